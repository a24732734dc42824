"""Results that are made again in Nuke: what is kept, what is refused, and versions side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.hosts.nuke import house
from tests.hosts.nuke.flows import ALL, BACKDROP, STRAIGHT, click, names_in, replace, said
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node

pytest_plugins = ["tests.hosts.nuke.flows"]


def test_a_rerun_of_some_frames_keeps_the_others_and_both_versions_can_be_compared(
    nuke: FakeNuke, exr: Node, tmp_path: Path
) -> None:
    read = replace(nuke, [exr], STRAIGHT)
    assert read is not None
    shot = tmp_path / "anyportal" / exr.title
    first = {frame: read.image(frame).rgb() for frame in ALL}
    nodes = list(nuke.all)
    nuke.answers.append({BACKDROP: "#c08040", "Frames": "1002,1004-1005", "Context around a part": "1"})
    house.settle(nuke, lambda: click(read, "rerun"))
    assert nuke.errors == [] and nuke.all == nodes  # the node shows the next version, what hangs on it stays
    assert read["file"].value() == f"{shot}/v002/{exr.title}_v002.%04d.exr" and said(read)["version"] == "v002"
    assert names_in(shot / "v002") == sorted([*(f"{exr.title}_v002.{f}.exr" for f in ALL), "anyportal.json"])
    changed = [frame for frame in ALL if np.abs(read.image(frame).rgb() - first[frame]).max() > 0.05]
    assert changed == [1002, 1004, 1005]
    record = json.loads((shot / "v002" / "anyportal.json").read_text())
    assert (record["frames"], record["kept"]) == ("1001-1006", "1001,1003,1006")
    assert record["wish"]["handles"] == 1 and nuke.steps[-1][0] == "AnyPortal: rerun"
    assert nuke.panels[-1].fields["The plate's colours are"] == "straight"  # as it was asked for

    click(read, "compare")
    switch = nuke.all[-1]
    assert switch.kind == "Switch" and switch["label"].content == "0: v002\n1: v001"
    assert np.abs(switch.image(1002).rgb() - first[1002]).max() > 0.05
    switch["which"].setValue(1)
    assert np.array_equal(switch.image(1002).rgb(), first[1002])
    assert [nuke.viewer[0], nuke.viewer[1]] == [read, switch.sources[1]]
    assert [name for name, _ in nuke.steps[-3:]] == ["AnyPortal: rerun", "AnyPortal: compare", "Switch1.which"]
    for _ in range(3):  # the switch that was turned, the comparison, the rerun
        nuke.undo()
    assert nuke.all == nodes and "/v001/" in read["file"].value() and said(read)["version"] == "v001"


def test_a_rerun_that_comes_to_nothing_shows_what_was_shown(nuke: FakeNuke, exr: Node, tmp_path: Path) -> None:
    exr["last"].setValue(1002)
    read = replace(nuke, [exr], STRAIGHT)
    assert read is not None
    before = {name: read[name].value() for name in ("file", "first", "last", "anyportal_version", "anyportal_job")}
    nuke.answers.append({"Settings (name=value)": "no_such_setting=1"})
    house.settle(nuke, lambda: click(read, "rerun"))
    assert {name: read[name].value() for name in before} == before
    assert "no_such_setting" in nuke.errors[-1] and "no_such_setting" in read["label"].content
    assert names_in(tmp_path / "anyportal" / exr.title) == ["v001"]
    click(read, "compare")
    assert "no version before v001" in nuke.messages[-1]


def test_a_rerun_keeps_another_node_s_matte(nuke: FakeNuke, exr: Node, media: Path) -> None:
    plate = house.make_read(nuke, media / "png" / "plate.%04d.png")
    nuke.answers = [{"Plate": plate.title}]
    read = replace(nuke, [exr, plate], {"Matte": f"the alpha of {exr.title}"})
    assert read is not None
    nuke.selection = []
    nuke.answers.append({})  # OK, as it is
    house.settle(nuke, lambda: click(read, "rerun"))
    assert nuke.panels[-1].fields["Matte"] == f"the alpha of {exr.title}"
    assert json.loads(read["anyportal_asked"].content)["matte"] == f"node:{exr.title}"
    assert said(read)["version"] == "v002" and len(nuke.rendered) == 2 * house.COUNT
    nuke.delete(exr)
    nuke.answers.append({})
    house.settle(nuke, lambda: click(read, "rerun"))
    assert f"no node {exr.title}" in nuke.messages[-1] and said(read)["version"] == "v002"
    # Another shot begins without it: it is this one's.
    nuke.answers.append(None)
    nuke.selection = [plate]
    house.load().replace_background()
    assert nuke.panels[-1].fields["Matte"] == "found by the preset"
