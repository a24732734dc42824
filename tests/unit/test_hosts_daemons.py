"""The choice of a daemon that the hosts offer: what is found, what is not, and that nobody waits for it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2] / "clients/hostkit"))
import anyportal_hostkit as hostkit

HEAD = "import json, os, sys, time\ndef say(**e): print(json.dumps({'schema': 1, **e}), flush=True)\n"
ROW = {"queued_jobs": 2, "running_jobs": 1, "version": "0.1.0", "tls": True, "logged_in": True, "note": ""}
BOX = {"event": "discovered", "name": "gpu-box", "address": "gpu-box:29571", "gpu": "NVIDIA RTX 6000 Ada", **ROW}
ATTIC = {"event": "discovered", "name": "attic", "address": "192.168.1.7:4000", "gpu": "cpu", **ROW}
ATTIC |= {"queued_jobs": None, "running_jobs": None, "logged_in": False, "note": "not logged in"}
HERE = {"event": "discovered", "name": "127.0.0.1", "address": "127.0.0.1:29571", "gpu": "cpu", **ROW, "tls": False}


@pytest.fixture(autouse=True)
def nobody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANYPORTAL_DAEMON", raising=False)


@pytest.fixture
def command(tmp_path: Path) -> Any:
    """Make a program that speaks as `anyportal discover` does; gives the command to run it."""

    def make(*events: dict[str, Any], ending: str = "") -> list[str]:
        path = tmp_path / "fake_anyportal.py"
        body = "".join(f"say(**{event!r})\n" for event in events)
        path.write_text(f"{HEAD}assert sys.argv[1] == 'discover'\n{body}{ending}", encoding="utf-8")
        return [sys.executable, str(path)]

    return make


def looked(search: Any, command: list[str] | None) -> bool:
    """Look, and wait until it is over; gives whether there was something new."""
    search.begin(command)
    end, news = time.monotonic() + 60, False
    while True:
        news = search.poll() or news
        if not search.running:
            return news
        assert time.monotonic() < end
        time.sleep(0.01)


def listed(search: Any, chosen: str = "") -> list[tuple[str, str]]:
    return [tuple(choice) for choice in search.choices(chosen)]


def test_there_is_a_choice_before_anybody_has_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    always = [("local", "this machine"), ("any", "any: the one done first")]
    assert listed(hostkit.daemons.Search()) == [("", "as configured"), *always]
    assert listed(hostkit.daemons.Search(), "gpu-box")[3:] == [("gpu-box", "gpu-box")]
    monkeypatch.setenv("ANYPORTAL_DAEMON", "gpu-box")
    assert listed(hostkit.daemons.Search()) == [("", "as configured: gpu-box"), *always]


def test_everybody_is_told_with_gpu_queue_and_version(command: Any) -> None:
    search = hostkit.daemons.Search()
    named = {"event": "named", "daemon": "gpu-box", "origin": "configuration"}
    assert looked(search, command(named, BOX, ATTIC, HERE)) and search.why == "" and not search.poll()
    assert listed(search) == [
        ("", "as configured: gpu-box"),
        ("local", "this machine, cpu, 2 waiting, 1 running, 0.1.0"),
        ("any", "any: the one done first"),
        ("gpu-box:29571", "gpu-box, NVIDIA RTX 6000 Ada, 2 waiting, 1 running, 0.1.0"),
        ("192.168.1.7:4000", "attic (192.168.1.7:4000), cpu, 0.1.0, not logged in"),
    ]
    # What was chosen is there once, as it was chosen, whether it is found or not.
    assert [daemon for daemon, _ in listed(search, "gpu-box")][3:] == ["gpu-box", "192.168.1.7:4000"]
    assert listed(search, "old-box")[-1] == ("old-box", "old-box, not found now")


def test_nobody_is_found(command: Any) -> None:
    search = hostkit.daemons.Search()
    assert looked(search, command())
    texts = [text for _, text in listed(search)]
    assert texts == ["as configured: this machine", "this machine, started for each call", "any: the one done first"]


def test_what_cannot_be_looked_for_is_said_and_what_was_known_stays(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = hostkit.daemons.Search()
    looked(search, command(BOX))
    before = listed(search)
    error = {"event": "error", "message": "the configuration has no key 'deamon'", "hint": "did you mean daemon?"}
    assert looked(search, command(error, ending="sys.exit(2)"))
    assert "no key 'deamon'" in search.why and "did you mean daemon?" in search.why and "\n" not in search.why
    assert listed(search) == before
    assert looked(search, ["/gone/anyportal"]) and "/gone/anyportal" in search.why and listed(search) == before
    monkeypatch.setattr(hostkit.daemons, "_PATIENCE", 0.5)
    assert looked(search, command(ending="time.sleep(600)")) and "did not answer within" in search.why
    silent = {"event": "log", "job": "", "sequence": 0, "severity": "warning", "text": "announcements cannot be heard"}
    assert looked(search, command(silent, BOX)) and search.why == "announcements cannot be heard"
    assert looked(search, command(BOX)) and search.why == ""


def test_it_begins_and_is_heard_without_waiting(command: Any) -> None:
    search, slow = hostkit.daemons.Search(), command(ending="time.sleep(600)")
    begun = time.monotonic()
    search.begin(slow)
    search.begin(slow)  # it is looked for already
    assert not search.poll() and search.running
    search.close()
    assert not search.running and time.monotonic() - begun < 5  # as long as a process takes to begin, at most


def test_what_others_say_of_themselves_is_one_line(command: Any) -> None:
    search = hostkit.daemons.Search()
    looked(search, command({**BOX, "name": "a\nb\x1b[2J" + 100 * "x", "gpu": 90 * "G"}))
    text = listed(search)[3][1]
    assert text.isprintable() and text.startswith("a b [2Jxxx") and len(text) < 160


def test_the_words_behind_the_command() -> None:
    assert hostkit.daemons.option("") == [] and hostkit.daemons.option("any") == ["--daemon=any"]
