"""The choice of a daemon in Nuke's panel: what is offered, what is kept, and a panel that can be used in any case."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.nuke import house
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node

ROW = {"schema": 1, "event": "discovered", "name": "gpu-box", "address": "gpu-box:29571", "gpu": "RTX", "note": ""}
ROW |= {"queued_jobs": 0, "running_jobs": 1, "version": "0.1.0", "tls": True, "logged_in": True}
ALWAYS = ["as configured: this machine", "this machine, started for each call", "any: the one done first"]


@pytest.fixture
def finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have `anyportal discover` find something."""
    program = tmp_path / "anyportal"
    monkeypatch.setenv("ANYPORTAL_COMMAND", str(program))
    monkeypatch.delenv("ANYPORTAL_DAEMON", raising=False)

    def find(*events: dict[str, Any], ending: str = "") -> None:
        body = "".join(f"print(json.dumps({event!r}))\n" for event in events)
        program.write_text(f"#!{sys.executable}\nimport json, sys, time\n{body}{ending}", encoding="utf-8")
        program.chmod(0o755)

    return find


@pytest.fixture
def nuke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNuke]:
    with house.session(tmp_path, monkeypatch, looks=True) as fake:
        yield fake


@pytest.fixture
def read(nuke: FakeNuke, tmp_path: Path) -> Node:
    return house.make_read(nuke, house.write_sequence(tmp_path / "plate"))


def looked() -> None:
    house.look_for_daemons(house.load().look_for_daemons)


def ask(nuke: FakeNuke, read: Node, answers: dict[str, str] | None, **before: Any) -> Any:
    """Open the panel; gives what is asked for then, the label of the choice and its items."""
    asked = house.load("anyportal_nuke.asked").complete({"backdrop": "#102030", **before})
    nuke.answers.append(answers)
    found = house.load("anyportal_nuke.panel").ask("title", asked, read, [], "1001-1006", "/r")
    [label] = [name for name in nuke.panels[-1].items if name.startswith("Daemon")]
    return found, label, nuke.panels[-1].items[label]


def test_who_is_found_is_offered_and_the_choice_goes_to_the_command(nuke: FakeNuke, read: Node, finds: Any) -> None:
    finds(ROW)
    looked()
    box = "gpu-box, RTX, 0 waiting, 1 running, 0.1.0"
    found, label, items = ask(nuke, read, {"Daemon": box})
    assert (found["daemon"], label, items) == ("gpu-box:29571", "Daemon", [*ALWAYS, box])
    plan = house.load("anyportal_nuke.plan").Plan(read, found, None)
    assert plan.wish()["daemon"] == "gpu-box:29571"
    found, _, items = ask(nuke, read, {}, daemon="gpu-box:29571")  # the first item is what shows
    assert (found["daemon"], items) == ("gpu-box:29571", [box, *ALWAYS])
    for value, item in (("local", ALWAYS[1]), ("any", ALWAYS[2]), ("", ALWAYS[0])):
        looked()
        assert ask(nuke, read, {"Daemon": item}, daemon="gpu-box:29571")[0]["daemon"] == value


def test_the_script_keeps_what_was_chosen(nuke: FakeNuke, finds: Any) -> None:
    asked = house.load("anyportal_nuke.asked")
    asked.remember(dict(asked.DEFAULTS, daemon="any"))
    assert asked.remembered()["daemon"] == "any"


def test_a_panel_that_opens_early_does_not_wait_and_says_so(nuke: FakeNuke, read: Node, finds: Any) -> None:
    finds(ROW, ending="time.sleep(600)")
    house.load().look_for_daemons()
    begun = time.monotonic()
    found, label, items = ask(nuke, read, {}, daemon="gpu-box")
    assert time.monotonic() - begun < 5
    assert (found["daemon"], label) == ("gpu-box", "Daemon (others are being looked for)")
    assert items == ["gpu-box", "as configured", "this machine", "any: the one done first"]


def test_where_nobody_can_be_looked_for_the_panel_says_why(nuke: FakeNuke, read: Node, finds: Any) -> None:
    error = {"schema": 1, "event": "error", "message": "the configuration has no key 'deamon'", "where": "client.toml"}
    finds(error, ending="sys.exit(2)")
    looked()
    found, label, _ = ask(nuke, read, {}, daemon="any")
    assert found["daemon"] == "any" and label.startswith("Daemon (others: The configuration has no key")
    assert "looking for daemons: The configuration has no key 'deamon'. Where: client.toml" in nuke.printed[-1]


def test_without_a_command_the_panel_opens_as_ever(nuke: FakeNuke, read: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_COMMAND", "/gone/anyportal")
    house.load().look_for_daemons()
    found, label, items = ask(nuke, read, {})
    assert (found["daemon"], items[1:]) == ("", ["this machine", "any: the one done first"])
    assert "/gone/anyportal" in label


def test_names_that_others_announce_are_no_more_than_letters(nuke: FakeNuke, read: Node, finds: Any) -> None:
    evil = {**ROW, "name": '"[exit]" $x {a', "address": "192.168.1.7:4000", "gpu": "", "version": ""}
    finds(evil, {**evil, "address": "192.168.1.7:4000"}, {**ROW, "name": "Büro 2"})
    looked()
    _, _, items = ask(nuke, read, None)
    assert items[3] == "__exit__ _x _a (192.168.1.7:4000), 0 waiting, 1 running"
    assert items[4] == f"{items[3]} at 192.168.1.7:4000" and items[5].startswith("Büro 2 (gpu-box)")
