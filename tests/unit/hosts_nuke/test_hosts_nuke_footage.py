"""Which files and frames the Nuke client sends, and what it has rendered instead."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hosts.nuke import house, images
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node

ALL = list(range(1001, 1007))


def refused() -> Any:
    return pytest.raises(house.load("anyportal_nuke").Refused)


# Footage


@pytest.mark.parametrize(
    ("mode", "text", "first"),
    [
        ("expression", "", 1001),
        ("expression", "frame", 1001),
        ("expression", "frame+499", 502),
        ("expression", "frame - 10", 1011),
        ("start at", "1", 1),
        ("start at", "-5", -5),
        ("offset", "100", 1101),
        ("offset", "-1000", 1),
    ],
)
def test_a_read_s_files_show_where_its_frame_knob_says(
    nuke: FakeNuke, read: Node, asked: Any, mode: str, text: str, first: int
) -> None:
    """hosts.md: "A Read's `frame_mode`/`frame` (expression, start at, offset) shifts frames: honour it"."""
    read["frame_mode"].setValue(mode)
    read["frame"].setValue(text)
    plan = asked(read)
    assert (plan.range.frames[0], plan.wanted) == (first, ALL)
    assert [read.file_frame(frame) for frame in plan.range.frames] == plan.wanted  # as the host itself reads them
    assert plan.wish()["range"] == "1001-1006"


def test_an_expression_that_no_number_says_is_rendered(nuke: FakeNuke, read: Node, asked: Any) -> None:
    read["frame"].setValue("frame*2")
    nuke.root_node["first_frame"].setValue(501)
    nuke.root_node["last_frame"].setValue(503)
    plan = asked(read)
    assert plan.rendered and "expression" in plan.reason and plan.range.frames == [501, 502, 503]


def test_a_movie_counts_from_one_here_and_from_zero_there(nuke: FakeNuke, asked: Any, tmp_path: Path) -> None:
    (tmp_path / "plate.mov").touch()
    read = nuke.make("Read")
    read["file"].fromUserText(f"{tmp_path}/plate.mov 11-20")
    plan = asked(read)
    assert plan.range.frames == list(range(11, 21))
    assert plan.wish()["range"] == "10-19" and "rate" not in plan.wish()
    read["frame_mode"].setValue("start at")
    read["frame"].setValue("1001")
    plan = asked(read, frames="1001,1003")
    assert (plan.wish()["range"], plan.range.whole) == ("10,12", list(range(1001, 1011)))


def test_a_still_goes_without_a_range(nuke: FakeNuke, asked: Any, plate: Path) -> None:
    read = nuke.make("Read")
    read["file"].fromUserText(f"{plate.parent}/plate.1003.png 5-9")
    plan = asked(read)
    assert (plan.still, plan.wish()["range"], plan.range.frames) == (True, "", [5, 6, 7, 8, 9])


def test_what_changes_no_pixel_leaves_a_read_untouched(nuke: FakeNuke, read: Node, asked: Any) -> None:
    grade = nuke.make("Grade", [nuke.make("Dot", [read])])
    assert asked(grade).rendered
    grade["disable"].setValue(True)
    write = nuke.make("Write", [grade])
    assert asked(write).footage.read is read
    write["reading"].setValue(True)  # it shows its own file instead
    assert asked(write).rendered


def test_paths_are_worked_out(nuke: FakeNuke, asked: Any, plate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOT", "plate")
    read = nuke.make("Read")
    read["file"].fromUserText("[getenv SHOT].####.png 1001-1006")
    nuke.root_node["project_directory"].setValue(str(plate.parent))
    assert asked(read).footage.path == str(plate)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": ""}, ["names no file"]),
        ({"last": 1099}, ["1099.png is not there", "Is the disk mounted?"]),
        ({"file": "/gone/plate.%04d.png"}, ["/gone/plate.1001.png is not there"]),
    ],
)
def test_media_that_are_not_there_are_told_before_anything_starts(
    read: Node, asked: Any, change: dict[str, Any], words: list[str]
) -> None:
    for name, value in change.items():
        read[name].setValue(value)
    with refused() as told:
        asked(read)
    assert all(word in str(told.value) for word in words)


def test_a_read_that_is_disabled_is_refused(nuke: FakeNuke, read: Node, asked: Any, tmp_path: Path) -> None:
    exr = house.make_read(nuke, house.write_sequence(tmp_path / "exr", kind="exr"))
    exr["disable"].setValue(True)
    for plan in (lambda: asked(nuke.make("Dot", [exr])), lambda: asked(read, exr, matte=f"node:{exr.title}")):
        with refused() as told:
            plan()
        assert f"{exr.title} is disabled" in str(told.value) and "Enable it" in str(told.value)


def test_in_proxy_mode_the_full_files_are_sent(nuke: FakeNuke, read: Node, asked: Any) -> None:
    """`nuke.filename` gives the proxy's name there, whatever size is asked for."""
    read["proxy"].setValue("/gone/small.%04d.exr")
    nuke.root_node["proxy"].setValue(True)
    nuke.modified(False)
    steps = len(nuke.steps)
    full = read["file"].value()
    assert (asked(read).footage.path, asked(read).rendered) == (full, False)
    assert asked(read).wish()["colour_space"] == "sRGB"  # what PNGs are by default, not what EXRs are
    assert asked(read, size="proxy").range.frames == ALL
    assert house.load("anyportal_nuke.actions")._frames_of(read) == "1001-1006"
    assert nuke.root_node["proxy"].value() is True and (nuke.modified(), len(nuke.steps)) == (False, steps)


def test_overscan_of_one_frame_is_overscan(
    nuke: FakeNuke, asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plate = house.make_read(nuke, house.write_sequence(tmp_path, kind="exr"))
    assert not asked(plate).rendered
    colours = np.zeros((house.HIGH, house.WIDE, 4), np.float32)
    house.write_image(tmp_path / "plate.1003.exr", np.pad(colours, ((4, 4), (8, 8), (0, 0))), "RGBA", "half",
                      window=(8, 4, house.WIDE, house.HIGH))  # fmt: skip
    monkeypatch.setattr(images.Format, "pixelAspect", lambda self: 2.0)
    nuke.at = 1005
    assert not asked(plate).rendered and not asked(plate).overscan  # results have the windows of the files
    matte = {"matte": f"node:{plate.title}"}
    plan = asked(plate, **matte)
    assert plan.rendered and "its matte" in plan.reason
    assert plan.box[:4] == (-8, -4, house.WIDE + 8, house.HIGH + 4)
    assert asked(plate, frames="1005", **matte).box == plan.box  # a part has the size of the whole
    house.load("anyportal_nuke.result").create(plan, "v001", f"{tmp_path}/r.%04d.exr", plan.wanted)
    assert next(node for node in nuke.all if node.kind == "Reformat")["box_pixel_aspect"].value() == 2.0
    assert nuke.at == 1005  # where a person left it


def test_the_work_s_thread_asks_the_script_nothing(nuke: FakeNuke, read: Node, asked: Any, tmp_path: Path) -> None:
    plan, found = asked(read), []
    nuke.script = "/elsewhere/saved.nk"  # while it works
    worker = threading.Thread(target=lambda: found.extend([plan.wish()["rate"], plan.folder()]), name="AnyPortal")
    house.settle(nuke, worker.start)
    assert found == ["23.976", f"{tmp_path}/anyportal/{read.title}"]


def test_an_error_upstream_is_refused(nuke: FakeNuke, read: Node, asked: Any) -> None:
    """hosts.md: "Refuse if the upstream graph has errors"."""
    grade = nuke.make("Grade", [read])
    read.broken = True
    with refused() as told:
        asked(grade)
    assert "ERROR" in str(told.value)


def test_files_that_the_command_does_not_read_are_rendered(nuke: FakeNuke, asked: Any, tmp_path: Path) -> None:
    (tmp_path / "clip.mov").touch()
    read = nuke.make("Read")
    read["file"].setValue(f"{tmp_path}/clip.mov")
    assert not asked(read).rendered
    read["file"].setValue(f"{tmp_path}/%V/plate.%04d.exr")
    plan_of = house.load("anyportal_nuke.footage").footage_of
    assert "view" in plan_of(read)[1]
    read["file"].setValue(f"{tmp_path}/A001.r3d")
    assert "r3d" in plan_of(read)[1]


# Ranges


def test_the_range_goes_by_override_limit_footage_project(nuke: FakeNuke, read: Node, asked: Any) -> None:
    """hosts.md: "Range precedence: override, Write `use_limit`, root range"."""
    grade = nuke.make("Grade", [read])
    write = nuke.make("Write", [grade])
    assert asked(write).range.frames == list(range(1001, 1011))  # the project's
    assert asked(read).range.frames == ALL
    for name, value in (("use_limit", True), ("first", 1002), ("last", 1004)):
        write[name].setValue(value)
    assert asked(write).range.frames == [1002, 1003, 1004]
    plan = asked(write, frames="1003,1004")
    assert (plan.range.frames, plan.range.origin) == ([1003, 1004], "as asked for")


def test_a_part_is_worked_out_with_its_neighbours(nuke: FakeNuke, read: Node, asked: Any) -> None:
    plan = asked(read, frames="1002,1005", context=2)
    assert (plan.wish()["range"], plan.wish()["handles"]) == ("1002,1005", 2)
    assert asked(read).wish()["handles"] == 0  # a whole shot has none
    assert (asked(read, frames="1002").wish()["handles"], asked(read, frames="1002").wish()["within"]) == (8, "")
    plan = asked(nuke.make("Grade", [read]), frames="1002,1004-1005", context=2)
    assert plan.renders() == (list(range(1001, 1008)), False)  # what lies between is context, too


def test_made_again_a_part_is_worked_out_with_what_the_whole_was(nuke: FakeNuke, read: Node, asked: Any) -> None:
    plan = asked(read, frames="1003", before=[1002, 1003, 1004, 1005])
    wish = plan.wish()
    assert (wish["range"], wish["handles"], wish["within"]) == ("1003", 0, "1002-1005")
    assert asked(read, frames="1003", before=[]).wish()["within"] == "1001-1006"  # nobody knows any more
    assert asked(read, frames="1006", before=[1002, 1003]).wish()["within"] == "1002-1006"
    assert asked(read, frames="1003", before=[900, 1003]).wish()["within"] == "1001-1003"  # the media were cut since
    assert asked(read, before=[1002]).wish()["within"] == ""  # all of it: nothing lies around
    plan = asked(read, frames="1003", context=1, before=[1001, 1006])
    assert (plan.wish()["handles"], plan.wish()["within"]) == (1, "")  # as a person says
    graded = asked(nuke.make("Grade", [read]), frames="1003", before=[1001, 1005])
    assert graded.renders() == ([1001, 1002, 1003, 1004, 1005], False)
    read["frame_mode"].setValue("start at")
    read["frame"].setValue("1")
    plan = asked(read, frames="3", before=[1002, 1005])
    assert (plan.wish()["range"], plan.wish()["within"], plan.within) == ("1003", "1002-1005", [2, 3, 4, 5])


def test_what_the_whole_was_worked_out_with_is_in_its_record(nuke: FakeNuke, read: Node, tmp_path: Path) -> None:
    analysed = house.load("anyportal_nuke.again").analysed
    read["file"].setValue(f"{tmp_path}/r.%04d.exr")
    assert analysed(read) == []
    for wish, numbers in (
        ({"range": "1003,1005", "handles": 2}, list(range(1001, 1008))),
        ({"range": "1003", "within": "1001-1009"}, list(range(1001, 1010))),
        ({"range": ""}, []),
        ({"range": "5-1"}, []),
    ):
        house.load("anyportal_hostkit").record.write(str(tmp_path), {"schema": 1, "wish": wish})
        assert analysed(read) == numbers


def test_a_result_of_rendered_overscan_is_made_again_so(
    nuke: FakeNuke, asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nodes put the overscan in place: files that bring their own would be moved twice."""
    plate = house.make_read(nuke, house.write_sequence(tmp_path, kind="exr", window=(8, 4, 80, 56)))
    plan = asked(plate)
    assert not plan.rendered
    place = {"proxy": False, "box": [-8, -4, 88, 60], "whole": list(plan.whole[:4])}
    monkeypatch.setattr(house.load("anyportal_nuke.tab"), "read_place", lambda node: place)
    house.load("anyportal_nuke.again").fit(plan, plate)
    assert plan.rendered and plan.overscan and plan.box[:4] == (-8, -4, 88, 60)
    assert (plan.wish()["plate"], plan.look.raw) == ("", True)


# Frames that are not there


def test_gaps_are_filled_as_the_read_fills_them_or_as_a_person_says(nuke: FakeNuke, asked: Any, tmp_path: Path) -> None:
    """Foundry's Read: `on_error` is error, black, checkerboard or nearest frame."""
    read = house.make_read(nuke, house.write_sequence(tmp_path))
    assert "missing" not in asked(read).wish()
    (tmp_path / "plate.1006.png").unlink()
    for on_error, missing in (("nearest frame", "hold"), ("black", "black")):
        read["on_error"].setValue(on_error)
        assert asked(read).wish()["missing"] == missing
    assert "missing" not in asked(nuke.make("Grade", [read])).wish()  # Nuke renders what stands in
    for on_error in ("error", "checkerboard"):
        read["on_error"].setValue(on_error)
        with refused() as told:
            asked(read)
        assert "1006.png is not there" in str(told.value)
    assert asked(read, missing="hold").wish()["missing"] == "hold"
    assert house.load("anyportal_nuke.actions")._frames_of(read) == "1001-1006"  # the panel opens all the same
    with refused() as told:
        asked(read, missing="skip")
    assert "error, hold, black" in str(told.value)
    read["file"].setValue("/gone/plate.%04d.png")
    with refused():
        asked(read, missing="hold")  # nothing is there at all


@pytest.mark.parametrize(
    ("text", "word"),
    [("1005-1001", "backwards"), ("next", "no frame range"), (",", "names no frames"), ("1001,1099", "no frame 1099")],
)
def test_a_range_that_is_none(read: Node, asked: Any, text: str, word: str) -> None:
    with refused() as told:
        asked(read, frames=text)
    assert word in str(told.value)
