"""Results that are made again in Nuke: what is kept, what is refused, and versions side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.hosts.nuke import house
from tests.hosts.nuke.flows import ALL, BACKDROP, STRAIGHT, click, comp_of, names_in, replace, said
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


def test_a_part_made_again_has_the_size_of_the_rest(nuke: FakeNuke, tmp_path: Path) -> None:
    plate = house.make_read(nuke, house.write_sequence(tmp_path / "over", kind="exr", window=(8, 4, 80, 56)))
    plate["last"].setValue(1003)
    plate["frame"].setValue("frame*1")  # no untouched Read: it is rendered
    nuke.root_node["last_frame"].setValue(1003)
    read = replace(nuke, [plate], STRAIGHT)
    assert read is not None and nuke.errors == []
    # Meanwhile somebody has cropped the overscan away: the nodes that put it in its place are there all the same.
    for number, colours, matte in house.pictures():
        pixels = np.dstack([colours**2.2, matte]).astype(np.float32)
        if number <= 1003:
            house.write_image(tmp_path / f"over/plate.{number}.exr", pixels[4:60, 8:88], "RGBA", "half")
    plate["frame"].setValue("")
    nuke.answers.append({"Frames": "1002", "Context around a part": "0"})
    house.settle(nuke, lambda: click(read, "rerun"))
    assert "the result's nodes are for rendered overscan" in said(read)["sent"]
    assert said(read)["version"] == "v002" and nuke.errors == []
    assert {read.image(frame).format.wide for frame in (1001, 1002, 1003)} == {96}
    assert {comp_of(nuke).image(frame).box for frame in (1001, 1002, 1003)} == {(-8, -4, 88, 60)}


def test_proxies_and_full_frames_are_never_mixed(nuke: FakeNuke, exr: Node) -> None:
    exr["last"].setValue(1002)
    read = replace(nuke, [exr], STRAIGHT)
    assert read is not None
    nuke.answers.append({"Size": "proxy (a quick look)"})
    click(read, "rerun")
    assert "is of full size" in nuke.messages[-1] and "anew" in nuke.messages[-1] and said(read)["version"] == "v001"
    nuke.delete(read)
    read = replace(nuke, [exr], {**STRAIGHT, "Size": "proxy (a quick look)"})
    assert read is not None
    nuke.answers.append({"Size": "full", "Frames": "1002", "Context around a part": "0"})
    click(read, "rerun")
    assert "two sizes" in nuke.messages[-1] and "Rerun all frames" in nuke.messages[-1]
    nuke.answers.append({"Size": "full"})
    house.settle(nuke, lambda: click(read, "rerun"))
    assert nuke.errors == [] and {read.image(frame).format.wide for frame in (1001, 1002)} == {96}


def test_what_a_host_left_behind_of_a_part_leaves_the_rest_alone(nuke: FakeNuke, exr: Node) -> None:
    read = replace(nuke, [exr], STRAIGHT)
    assert read is not None
    first = {frame: read.image(frame).rgb() for frame in ALL}
    nuke.answers.append({BACKDROP: "#c08040", "Frames": "1003", "Context around a part": "1"})
    house.settle(nuke, lambda: click(read, "rerun"))
    folder = Path(read["file"].value()).parent
    record = json.loads((folder / "anyportal.json").read_text())
    # As a host leaves it that ends in the midst: one neighbour is the version's before again, one not yet.
    for frame in (1003, 1004):
        (folder / f"{exr.title}_v002.{frame}.exr").unlink()
    (folder / "anyportal.json").write_text(
        json.dumps({**record, "state": "submitted", "by": {}, "files": {}, "frames": ""})
    )
    house.settle(nuke, lambda: click(read, "show_job"))
    changed = [frame for frame in ALL if np.abs(read.image(frame).rgb() - first[frame]).max() > 0.05]
    assert changed == [1003] and nuke.errors == [] and not read.image(1004).checkerboard
    record = json.loads((folder / "anyportal.json").read_text())
    assert (record["state"], record["frames"], record["kept"]) == ("done", "1001-1006", "1001-1002,1004-1006")
    assert names_in(folder) == sorted([*(f"{exr.title}_v002.{frame}.exr" for frame in ALL), "anyportal.json"])


def test_versions_of_another_script_are_not_compared(nuke: FakeNuke, exr: Node, tmp_path: Path) -> None:
    exr["last"].setValue(1001)
    scripts = [tmp_path / name for name in ("shotA_v001.nk", "shotA_v002.nk", "shotB_v001.nk")]
    for script in scripts:
        script.touch()
        nuke.script = str(script)
        read = replace(nuke, [exr], STRAIGHT)
        assert read is not None
        click(read, "compare")
        if script == scripts[1]:
            assert nuke.all[-1]["label"].content == "0: v002\n1: v001"
        else:
            assert "There is no version before" in nuke.messages.pop()
        nuke.delete(read)
    assert nuke.messages == []
