"""What a person asks for in Nuke, the panel, and the nodes of the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.hosts.nuke import house
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node


def refused() -> Any:
    return pytest.raises(house.load("anyportal_nuke").Refused)


# What is asked for


def test_what_is_asked_for_is_checked(read: Node, asked: Any) -> None:
    for what, word in (
        ({"backdrop": " "}, "no backdrop"),
        ({"seed": "many"}, "'many' is no whole number"),
        ({"context": -1}, "-1"),
        ({"size": "half"}, "half"),
        ({"mask": "m.png", "mask_frame": "last"}, "'last' is no frame of a mask"),
        ({"preset_": "x"}, "preset_"),
    ):
        with refused() as told:
            asked(read, **what)
        assert word in str(told.value)


def test_settings_as_people_write_them(nuke: FakeNuke) -> None:
    module = house.load("anyportal_nuke.asked")
    found = module.read_settings("relight_strength=0.5 matte.plugin=draft.key note='a b' clean_edges=false")
    assert found == {"relight_strength": 0.5, "matte.plugin": "draft.key", "note": "a b", "clean_edges": False}
    assert module.read_settings(module.write_settings(found)) == found
    for text, word in (
        ("relight", "no setting"),
        ("a='b", "cannot be read"),
        ("""a='{"1001": 1, "1001": 0}'""", "two values"),
    ):
        with refused() as told:
            module.read_settings(text)
        assert word in str(told.value)


def test_the_script_remembers_what_was_asked_last(nuke: FakeNuke, tmp_path: Path) -> None:
    module = house.load("anyportal_nuke.asked")
    assert module.remembered() == module.DEFAULTS
    module.remember(dict(module.DEFAULTS, backdrop="beach.jpg", seed=7, frames="1005"))
    nuke.scriptSaveAs(str(tmp_path / "saved.json"))
    nuke.root_node.knobs_.pop("anyportal")
    nuke.scriptOpen(str(tmp_path / "saved.json"))
    again = module.remembered()
    assert (again["backdrop"], again["seed"], again["frames"]) == ("beach.jpg", 7, "")  # frames are a shot's own


# The panel


def test_the_panel_offers_what_there_is_and_says_what_was_chosen(nuke: FakeNuke, read: Node, tmp_path: Path) -> None:
    panel = house.load("anyportal_nuke.panel")
    exr = house.make_read(nuke, house.write_sequence(tmp_path / "exr", kind="exr"))
    complete = house.load("anyportal_nuke.asked").complete
    defaults = complete({"backdrop": "#102030"})
    nuke.answers = [{}, {"Matte": "the alpha of Read1", "Frames": "1002", "Seed": "5"}, None]
    assert complete(panel.ask("title", defaults, exr, [read], "1001-1006", "/r")) == defaults  # nothing was touched
    found = panel.ask("title", defaults, exr, [read], "1001-1006", "/r")
    assert (found["matte"], found["frames"], found["seed"]) == ("node:Read1", "1002", "5")
    assert panel.ask("title", defaults, exr, [read], "1001-1006", "/r") is None
    assert nuke.panels[0].items["Matte"] == [
        "found by the preset", "the plate's alpha", "the alpha of Read1", "a channel of the plate", "a file",
        "a picture of one frame",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "field"),
    [
        ({"matte": "alpha", "colours": "straight"}, "the plate's alpha"),
        ({"matte": "channel:mask.a"}, "a channel of the plate"),
        ({"matte": "/m/matte.%04d.exr"}, "a file"),
        ({"mask": "/m/mask.png"}, "a picture of one frame"),
        ({"matte": "node:Gone1"}, "the alpha of Gone1"),  # which is refused then: never another matte silently
        ({"matte": "node:Read1:mask.a"}, "mask.a of Read1"),
        ({"size": "proxy", "colour_space": "ACEScg", "settings": {"relight_strength": 0.5}, "folder": "/x"}, ""),
    ],
)
def test_the_panel_begins_with_what_was_asked_before(
    nuke: FakeNuke, tmp_path: Path, before: dict[str, Any], field: str
) -> None:
    exr = house.make_read(nuke, house.write_sequence(tmp_path / "exr", kind="exr"))
    complete = house.load("anyportal_nuke.asked").complete
    asked = complete({"backdrop": "#102030", **before})
    nuke.answers = [{}]
    found = complete(house.load("anyportal_nuke.panel").ask("title", asked, exr, [], "1001-1006", "/r"))
    assert nuke.panels[0].items["Matte"][0] == (field or "found by the preset")
    assert found == asked


# The result's nodes


def test_a_result_says_its_range_itself(nuke: FakeNuke, read: Node, asked: Any, tmp_path: Path) -> None:
    """hosts.md: "`file.fromUserText(...)`; set first/last/origfirst/origlast": the disk shows what is there so far."""
    module = house.load("anyportal_nuke.result")
    (tmp_path / "r.1003.exr").touch()
    plan, pattern = asked(read), f"{tmp_path}/r.%04d.exr"
    made = module.create(plan, "v001", pattern, plan.wanted)
    names = ("first", "last", "origfirst", "origlast")
    assert [made.read[name].value() for name in names] == [1001, 1006, 1001, 1006]
    assert made.read["file"].said == f"{pattern} 1001-1006"
    assert nuke.layer_channels["matte"] == ["matte.alpha"]  # told of before any file has
    made.status("[Errno 28] the disk is full", failed=True)
    assert made.read["label"].value() == "AnyPortal v001\n#102030\n\\[Errno 28] the disk is full"  # no TCL


def test_a_result_of_an_older_script_can_be_made_again(nuke: FakeNuke, read: Node, asked: Any) -> None:
    module, tab = house.load("anyportal_nuke.result"), house.load("anyportal_nuke.tab")
    plan = asked(read)
    made = module.create(plan, "v001", "/r/r.%04d.exr", plan.wanted)
    del made.read.knobs_["anyportal_place"]
    house.load("anyportal_nuke.again").fit(plan, made.read)
    made.save()
    module.note(made, plan)
    assert tab.read_place(made.read) == {"proxy": False, "box": [0, 0, 96, 64], "whole": [0, 0, 96, 64]}
    made.restore()


def test_what_arrived_before_the_end_stays(nuke: FakeNuke, read: Node, asked: Any, tmp_path: Path) -> None:
    module = house.load("anyportal_nuke.job")
    plan, pattern = asked(read), f"{tmp_path}/v001/r.%04d.exr"
    job = module.Job(plan, house.load("anyportal_nuke.result").create(plan, "v001", pattern, plan.wanted))
    assert module.running(job.shown.read) is job
    job.folder = str(tmp_path / "v001")
    (tmp_path / "v001").mkdir()
    job._on_event({"event": "file", "frame": 1002, "path": f"{tmp_path}/v001/r.1002.exr"}, lambda text, fraction: None)
    reloads = job.shown.read.reloads
    job._end("cancelled")
    assert job.shown.alive and (tmp_path / "v001").is_dir() and job.shown.read.reloads == reloads + 1
    assert job.shown.read["label"].value().endswith("cancelled\n1 frames arrived")
