"""Nuke on a workstation, the daemon on a GPU box: whole flows over TLS, with nothing changed but the daemon's name."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import remote
from tests.hosts.nuke import house
from tests.hosts.nuke.flows import BACKDROP, STRAIGHT, click, names_in, replace, result_of, said
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node
from tests.hosts.remote import REFUSALS, Studio

pytest_plugins = ["tests.hosts.nuke.flows"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with remote.studio(tmp_path_factory.mktemp("studio")) as found:
        yield found


@pytest.fixture(scope="module")
def environment(studio: Studio) -> dict[str, str]:
    """In place of the daemon of this machine that the flows have: none runs here, and nobody names one yet."""
    return studio.env


@pytest.fixture
def named(studio: Studio, surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_DAEMON", studio.box.address)


@pytest.fixture
def plate(nuke: FakeNuke, exr: Node) -> Node:
    exr["last"].setValue(1002)
    return exr


def test_a_read_comes_back_is_rerun_and_compared(nuke: FakeNuke, named: None, plate: Node, studio: Studio) -> None:
    read = replace(nuke, [plate], STRAIGHT)
    assert read is not None and nuke.errors == [], nuke.errors
    assert said(read)["status"] == "done" and said(read)["job"] in studio.jobs()
    first = read.image(1002).rgb()
    nuke.answers.append({BACKDROP: "#c08040"})
    house.settle(nuke, lambda: click(read, "rerun"))
    assert nuke.errors == [] and said(read)["version"] == "v002" and said(read)["job"] == studio.jobs()[0]
    assert abs(read.image(1002).rgb() - first).max() > 0.05
    click(read, "compare")
    assert nuke.all[-1]["label"].content == "0: v002\n1: v001"
    click(read, "show_job")
    assert "succeeded, 100 %" in nuke.messages[-1] and "  matte: reused" in nuke.messages[-1]
    click(read, "doctor")
    assert f"running: {studio.box.address}" in nuke.messages[-1] and "BROKEN" not in nuke.messages[-1]
    assert not studio.worked_here


def test_what_is_rendered_and_a_part_go_there_too(nuke: FakeNuke, named: None, plate: Node, studio: Studio) -> None:
    grade = nuke.make("Grade", [plate])
    nuke.root_node["last_frame"].setValue(1003)
    read = replace(nuke, [grade], {**STRAIGHT, "Frames": "1002", "Context around a part": "1"})
    assert read is not None and nuke.errors == [] and said(read)["job"] == studio.jobs()[0]
    assert not read.image(1002).checkerboard and not studio.worked_here


def test_a_cancel_ends_the_job_there(nuke: FakeNuke, named: None, exr: Node, studio: Studio, tmp_path: Path) -> None:
    seen: list[str] = []

    def look() -> None:
        read = result_of(nuke)
        if read is not None and said(read)["job"] and not seen:
            seen.append(said(read)["job"])
            click(read, "cancel")

    with studio.busy():
        replace(nuke, [exr], {**STRAIGHT, BACKDROP: "#030201"}, between=look)
    assert nuke.errors == nuke.messages == [] and result_of(nuke) is None
    assert names_in(tmp_path / "anyportal" / exr.title) == []
    jobs = {line["job"]: line["state"] for line in studio.desk.run("jobs", "--daemon", studio.box.address)}
    assert jobs[seen[0]] == "cancelled"


def test_results_of_a_host_that_ended_are_brought_from_there(
    nuke: FakeNuke, named: None, plate: Node, studio: Studio
) -> None:
    read = replace(nuke, [plate], STRAIGHT)
    assert read is not None
    folder = Path(read["file"].value()).parent
    record = json.loads((folder / "anyportal.json").read_text())
    for path in folder.glob("*.exr"):
        path.unlink()
    (folder / "anyportal.json").write_text(json.dumps({**record, "state": "submitted", "by": {}, "files": {}}))
    house.settle(nuke, lambda: click(read, "show_job"))
    assert nuke.errors == [] and not read.image(1002).checkerboard and not studio.worked_here


def test_the_configuration_names_it_as_well(nuke: FakeNuke, plate: Node, studio: Studio) -> None:
    studio.config.write_text(f'daemon = "{studio.box.address}"\n')
    try:
        read = replace(nuke, [plate], {**STRAIGHT, BACKDROP: "#0a0b0c"})
    finally:
        studio.config.unlink()
    assert read is not None and nuke.errors == [] and said(read)["job"] == studio.jobs()[0]
    assert not studio.worked_here


def test_the_panel_offers_it_and_what_was_chosen_stays(
    surroundings: None, media: Path, tmp_path: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.session(tmp_path, monkeypatch, looks=True) as nuke:
        plate = house.make_read(nuke, media / "exr" / "plate.%04d.exr")
        plate["last"].setValue(1001)
        house.look_for_daemons(lambda: runpy.run_path(str(house.CLIENTS / "nuke" / "menu.py")))
        offered = f"{studio.box.address}, cpu, 0 waiting, 0 running, 0.1.0"
        read = replace(nuke, [plate], {**STRAIGHT, BACKDROP: "#0c0b0a", "Daemon": offered})
        assert nuke.panels[-1].items["Daemon"][:3] == [
            "as configured: this machine", "this machine, started for each call", "any: the one done first",
        ]  # fmt: skip
        assert read is not None and nuke.errors == [] and said(read)["job"] == studio.jobs()[0]
        click(read, "show_job")
        assert "succeeded, 100 %" in nuke.messages[-1]
        nuke.answers.append(None)
        nuke.selection = [plate]
        house.load().replace_background()
        [label] = [name for name in nuke.panels[-1].items if name.startswith("Daemon")]
        assert nuke.panels[-1].fields[label].startswith(studio.box.address)
    assert not studio.worked_here


def test_any_goes_there_and_its_job_is_found_there(nuke: FakeNuke, plate: Node, studio: Studio) -> None:
    read = replace(nuke, [plate], {**STRAIGHT, BACKDROP: "#0b0c0a", "Daemon": "any: the one done first"})
    assert read is not None and nuke.errors == [] and said(read)["job"] == studio.jobs()[0]
    click(read, "show_job")
    assert "succeeded, 100 %" in nuke.messages[-1] and not studio.worked_here


def test_without_a_window_too(
    terminal: FakeNuke, media: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plate = house.make_read(terminal, media / "exr" / "plate.%04d.exr")
    script = tmp_path / "shot.nk"
    terminal.scriptSaveAs(str(script))
    shot = ["--script", str(script), "--node", plate.title, "--backdrop", "#102030", "--matte", "alpha"]
    shot += ["--colours", "straight", "--range=1001", "--context", "0", "--daemon", studio.box.address]
    assert house.load("anyportal_nuke.headless").main(shot) == 0
    assert not studio.worked_here
    with studio.refusing("wrong"):
        assert house.load("anyportal_nuke.headless").main(shot) == 5


@pytest.mark.parametrize("how", REFUSALS)
def test_who_is_refused_is_told_what_where_and_what_to_do(
    nuke: FakeNuke, named: None, plate: Node, studio: Studio, tmp_path: Path, how: str
) -> None:
    with studio.refusing(how):
        read = replace(nuke, [plate], STRAIGHT)
    assert read is not None and read["tile_color"].value() and nuke.messages == []
    for said_ in (nuke.errors[-1], read["label"].content):
        for words in (*REFUSALS[how], f"Where: {studio.box.address}", "What to do: "):
            assert words in said_
    assert names_in(tmp_path / "anyportal" / plate.title) == [] and not studio.worked_here


def test_this_machine_can_be_chosen_whoever_is_named(nuke: FakeNuke, named: None, plate: Node, studio: Studio) -> None:
    """The last test here: from now on something has been done on this machine."""
    before = studio.jobs()
    read = replace(nuke, [plate], {**STRAIGHT, BACKDROP: "#0d0e0f", "Daemon": "this machine"})
    assert read is not None and nuke.errors == [] and said(read)["status"] == "done"
    assert studio.worked_here and studio.jobs() == before
