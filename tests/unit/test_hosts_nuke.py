"""The Nuke client's parts on a fake Nuke that has the traps of ../shared/hosts.md; whole flows are in tests/e2e."""

from __future__ import annotations

import ast
import contextlib
import ntpath
import runpy
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anyportal_core.media.encoding import SRGB, named
from tests.hosts.nuke import house, images
from tests.hosts.nuke.module import ACES_SPACES, FakeNuke
from tests.hosts.nuke.nodes import Node

CLIENT = house.CLIENTS / "nuke"
ALL = list(range(1001, 1007))


@pytest.fixture
def nuke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNuke]:
    with house.session(tmp_path, monkeypatch) as fake:
        yield fake


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return house.write_sequence(tmp_path_factory.mktemp("plate"))


@pytest.fixture
def read(nuke: FakeNuke, plate: Path) -> Node:
    return house.make_read(nuke, plate)


@pytest.fixture
def asked(nuke: FakeNuke) -> Any:
    """Plan something: `asked(node, **what)`."""

    def make(node: Node, *others: Node, **what: Any) -> Any:
        find = house.load("anyportal_nuke.flow").find_in([node, *others])
        return house.load("anyportal_nuke.plan").Plan(node, {"backdrop": "#102030", **what}, find)

    return make


def refused() -> Any:
    return pytest.raises(house.load("anyportal_nuke").Refused)


# Loading


def test_init_needs_no_window_and_loads_no_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with house.session(tmp_path, monkeypatch, gui=False):
        assert "anyportal_nuke" not in sys.modules
        assert sys.path[-2:] == [str(CLIENT), str(house.CLIENTS / "hostkit")]
        before = list(sys.path)
        runpy.run_path(str(CLIENT / "init.py"))
        assert sys.path == before  # read twice, on NUKE_PATH and through a plug-in path
        house.load()  # nothing of the client needs a window to be loaded


def test_no_file_of_the_client_imports_qt() -> None:
    for path in CLIENT.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not [name for name in names if name.startswith(("PySide", "shiboken", "socket", "http", "urllib"))]


def test_the_menu_has_everything(nuke: FakeNuke) -> None:
    runpy.run_path(str(CLIENT / "menu.py"))
    assert {path.removeprefix("Nuke/AnyPortal/") for path in nuke.menus} == {
        "Replace background...", "Rerun...", "Compare with previous", "Show job", "Cancel", "Doctor",
    }  # fmt: skip
    for label in ("Rerun...", "Compare with previous", "Show job", "Cancel"):
        nuke.menus[f"Nuke/AnyPortal/{label}"]()
    assert len(nuke.messages) == 4 and all("no result of AnyPortal" in text for text in nuke.messages)


# Threads


def test_what_another_thread_asks_for_is_raised_there(nuke: FakeNuke) -> None:
    """hosts.md: "`executeInMainThreadWithResult` swallows exceptions and returns None"."""
    threads = house.load("anyportal_nuke.threads")
    caught: list[Any] = []

    def work() -> None:
        caught.append(threads.in_main(nuke.make, "Read").title)
        try:
            threads.in_main(lambda: {}["gone"])
        except KeyError as error:
            caught.append(str(error))

    worker = threading.Thread(target=work, name="AnyPortal")
    house.settle(nuke, worker.start)
    assert caught == ["Read1", "'gone'"]


def test_the_main_thread_calls_directly_and_so_does_everything_without_a_window(nuke: FakeNuke) -> None:
    """hosts.md: "`executeInMainThread*` called from the main thread hangs Nuke"; "with `-t` call directly"."""
    threads = house.load("anyportal_nuke.threads")
    seen: list[int] = []
    assert threads.in_main(lambda: 7) == 7
    threads.later(seen.append, 1)
    nuke.GUI = False
    worker = threading.Thread(target=lambda: seen.append(threads.in_main(lambda: 2)))
    worker.start()
    worker.join(10)
    assert seen == [1, 2]


def test_a_bar_goes_with_the_work_whoever_still_knows_it(nuke: FakeNuke) -> None:
    """hosts.md: "`nuke.ProgressTask`: hold it in the worker thread, poll `isCancelled()`, end with `del task`"."""
    kept: list[Any] = []

    def work() -> None:
        with house.load("anyportal_nuke.bar").Bar("title") as bar:
            bar.show("rendering", 0.5)
            kept.extend([bar, bar.cancelled, list(nuke.live_tasks)])

    house.settle(nuke, threading.Thread(target=work, name="AnyPortal").start)
    assert len(kept[2]) == 1 and nuke.live_tasks == []


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


def test_paths_are_worked_out(
    nuke: FakeNuke, asked: Any, plate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    plan = asked(plate)
    assert plan.rendered and plan.box[:4] == (-8, -4, house.WIDE + 8, house.HIGH + 4)
    assert asked(plate, frames="1005").box == plan.box  # a part has the size of the whole
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
    plan = asked(nuke.make("Grade", [read]), frames="1002,1004-1005", context=2)
    assert plan.renders() == (list(range(1001, 1008)), False)  # what lies between is context, too


@pytest.mark.parametrize(
    ("text", "word"),
    [("1005-1001", "backwards"), ("next", "no frame range"), (",", "names no frames"), ("1001,1099", "no frame 1099")],
)
def test_a_range_that_is_none(read: Node, asked: Any, text: str, word: str) -> None:
    with refused() as told:
        asked(read, frames=text)
    assert word in str(told.value)


# Colour


def test_every_space_of_the_table_is_one_that_the_core_knows(nuke: FakeNuke) -> None:
    for space, _ in house.load("anyportal_nuke.colour")._SPACES:
        encoding = named(space.name, SRGB)
        assert (encoding.primaries, encoding.transfer == "linear") == (space.primaries, space.linear)


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("sRGB", "sRGB"),
        ("default (sRGB)", "sRGB"),
        ("ACES - ACEScg\tACES/ACES - ACEScg", "ACEScg"),
        ("scene_linear (ACES - ACEScg)", "ACEScg"),
        ("Utility/Linear/Linear Rec.709 (sRGB)", "Linear Rec.709"),
        ("Linear Rec.709 (sRGB),lin_rec709", "Linear Rec.709"),
        ("nothing,lin_ap1", "ACEScg"),
        ("linear", "Linear Rec.709"),
        ("AlexaV3LogC", None),
        ("Output - Rec.709", None),  # a display, not the camera's curve
    ],
)
def test_entries_are_split_before_they_are_compared(nuke: FakeNuke, entry: str, name: str | None) -> None:
    """hosts.md: "`nuke.getColorspaceList(knob)` entries are tab- or comma-joined aliases: split before comparing"."""
    found = house.load("anyportal_nuke.colour").known(entry)
    assert (found.name if found else None) == name


def test_an_alias_that_says_nothing_is_found_by_its_entry(nuke: FakeNuke, read: Node) -> None:
    nuke.colour_spaces = ["odd,ACES - ACEScg"]
    assert house.load("anyportal_nuke.colour").known("odd", read["colorspace"]).name == "ACEScg"


def test_default_is_the_project_s_choice_for_such_files(nuke: FakeNuke, read: Node, tmp_path: Path) -> None:
    """hosts.md: Root knobs `workingSpaceLUT`, `floatLut`."""
    colour = house.load("anyportal_nuke.colour")
    assert colour.of_read(read) == "sRGB"
    nuke.root_node["int8Lut"].setValue("rec709")
    assert colour.of_read(read) == "rec709"
    exr = house.make_read(nuke, house.write_sequence(tmp_path / "exr", kind="exr"))
    assert colour.of_read(exr) == "linear"
    exr["raw"].setValue(True)
    nuke.root_node["workingSpaceLUT"].setValue("ACES - ACEScg")
    assert colour.of_read(exr) == "ACES - ACEScg"  # raw values are taken for the working space's


def test_the_config_is_the_environment_s_then_the_custom_then_the_stock_one(
    nuke: FakeNuke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hosts.md: "Config order: `$OCIO`, custom, stock path"."""
    identity = house.load("anyportal_nuke.colour").identity
    assert identity()["config"] == "nuke-default"
    for name, value in (
        ("colorManagement", "OCIO"), ("OCIO_config", "aces_1.2"), ("customOCIOConfigPath", "/show/config.ocio"),
    ):  # fmt: skip
        nuke.root_node[name].setValue(value)
    assert identity()["config"] == "aces_1.2"
    nuke.root_node["OCIO_config"].setValue("custom")
    assert identity()["config"] == "/show/config.ocio"
    monkeypatch.setenv("OCIO", "/site/config.ocio")
    assert identity()["config"] == "/site/config.ocio"


def test_a_read_goes_in_its_own_space_and_its_result_in_the_light_of_that(
    nuke: FakeNuke, read: Node, asked: Any
) -> None:
    plan = asked(read)
    assert (plan.wish()["colour_space"], plan.look.raw, plan.look.entry) == ("sRGB", False, "linear")
    nuke.colour_spaces = list(ACES_SPACES)
    read["colorspace"].setValue("Utility - sRGB - Texture")
    assert asked(read).look.entry == "Utility - Linear - sRGB"
    read["colorspace"].setValue("ACES - ACEScg")
    plan = asked(read)
    assert (plan.wish()["colour_space"], plan.look.entry) == ("ACEScg", "ACES - ACEScg")


def test_a_space_that_the_command_does_not_know_is_rendered_or_refused(nuke: FakeNuke, read: Node, asked: Any) -> None:
    nuke.colour_spaces = list(ACES_SPACES)
    nuke.root_node["workingSpaceLUT"].setValue("ACES - ACEScg")
    read["colorspace"].setValue("Input - ARRI - LogC")
    plan = asked(read)
    assert plan.rendered and "Input - ARRI - LogC" in plan.reason
    assert (plan.wish()["colour_space"], plan.look.raw) == ("ACEScg", True)
    nuke.root_node["workingSpaceLUT"].setValue("Input - ARRI - LogC")
    with refused() as told:
        asked(read)
    assert "working space 'Input - ARRI - LogC'" in str(told.value) and "ACES2065-1" in str(told.value)
    assert asked(read, colour_space="ACES2065-1").look.space.primaries == "ap0"  # a person may say what it is


def test_without_a_name_for_the_result_s_light_the_plate_is_rendered(nuke: FakeNuke, read: Node, asked: Any) -> None:
    nuke.colour_spaces = ["Utility - sRGB - Texture", "ACES - ACEScg"]
    nuke.root_node["workingSpaceLUT"].setValue("ACES - ACEScg")
    read["colorspace"].setValue("Utility - sRGB - Texture")
    assert asked(read).rendered


def test_colours_that_nuke_divides_before_it_converts_are_rendered(nuke: FakeNuke, read: Node, asked: Any) -> None:
    read["premultiplied"].setValue(True)
    assert "divides" in asked(read).reason
    read["raw"].setValue(True)
    assert not asked(read).rendered


def test_default_of_the_plate_is_not_default_of_its_result(nuke: FakeNuke, read: Node, asked: Any) -> None:
    nuke.colour_spaces = list(ACES_SPACES)
    nuke.root_node["int8Lut"].setValue("ACES - ACEScg")
    assert asked(read).look.entry == "ACES - ACEScg"  # an EXR's default would be another


# Mattes


def test_mattes(nuke: FakeNuke, read: Node, asked: Any, tmp_path: Path) -> None:
    exr = house.make_read(nuke, house.write_sequence(tmp_path / "exr", kind="exr"))
    assert asked(exr).wish()["matte"] == ""
    plan = asked(exr, matte="alpha", colours="photographed")
    assert (plan.wish()["matte"], plan.rendered, plan.wish()["settings"]) == ("alpha", False, {})
    assert asked(exr, matte="alpha", colours="straight").wish()["settings"] == {"clean_edges": False}
    plan = asked(exr, matte="alpha", colours="premultiplied")
    assert plan.rendered and plan.wish()["settings"] == {"clean_edges": False}
    assert asked(exr, matte="/m/matte.mov").wish()["matte"] == "/m/matte.mov"
    other = asked(read, exr, matte=f"node:{exr.title}")
    assert (other.matte.node, other.matte.channel, other.renders()) == (exr, "rgba.alpha", (ALL, True))
    assert asked(exr, matte="channel:rgba.red").matte.channel == "rgba.red"
    assert asked(exr, colours="straight").wish()["settings"] == {"clean_edges": False}  # a statement is never dropped


def test_a_mask_belongs_to_the_frame_that_is_stated_else_in_its_name(read: Node, asked: Any) -> None:
    read["frame_mode"].setValue("start at")
    read["frame"].setValue("1")
    assert asked(read, mask="/m/mask.1003.png").wish()["mask_frame"] == 1003
    assert asked(read, mask="/m/mask.0003.png").wish()["mask_frame"] is None  # the first, as nobody says another
    assert asked(read, mask="/m/mask.png", mask_frame="4").wish()["mask_frame"] == 1004
    assert "mask" not in asked(read).wish()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"matte": "alpha"}, ["how do its colours stand", "premultiplied", "straight"]),
        ({"matte": "alpha", "colours": "guess"}, ["guess"]),
        ({"matte": "alpha", "colours": "straight"}, ["no channel rgba.alpha", "rgba.red"]),
        ({"matte": "channel:mask.a"}, ["no channel mask.a"]),
        ({"matte": "channel:"}, ["none was named"]),
        ({"matte": "node:Read9"}, ["no node Read9"]),
        ({"matte": "/m/matte.mov", "colours": "premultiplied"}, ["/m/matte.mov", "a Read of the matte's files"]),
        ({"colours": "premultiplied"}, ["yet to be found", "the plate's alpha"]),
        ({"mask": "/m/mask.png", "colours": "premultiplied"}, ["yet to be found"]),
    ],
)
def test_a_matte_that_is_none(read: Node, asked: Any, what: dict[str, Any], words: list[str]) -> None:
    with refused() as told:
        asked(read, **what)
    assert all(word in str(told.value) for word in words)


def test_a_layer_that_is_a_mere_number_is_refused(nuke: FakeNuke, read: Node) -> None:
    """hosts.md: "purely numeric layer names fail"."""
    matte = house.load("anyportal_nuke.matte")
    read.channels = lambda: ["1.red"]  # type: ignore[method-assign]
    with refused() as told:
        matte.read_matte("channel:1.red", read, None, "")
    assert "mere number" in str(told.value)


# Indie


def test_indie_s_ten_nodes_are_got_around_by_the_selection(nuke: FakeNuke, plate: Path) -> None:
    """hosts.md: "Nuke Indie's Python sees 10 nodes: read selected nodes only"."""
    find_in = house.load("anyportal_nuke.flow").find_in
    for _ in range(12):
        nuke.make("Dot")
    read = house.make_read(nuke, plate)
    nuke.env["indie"] = True
    with refused() as told:
        find_in([])(read.title)
    assert "select it as well" in str(told.value)
    nuke.selection = [read]
    assert find_in(nuke.selectedNodes())(read.title) is read


def test_indie_shows_no_input_that_it_hides(nuke: FakeNuke, plate: Path, asked: Any) -> None:
    for _ in range(12):
        nuke.make("Dot")
    dot = nuke.make("Dot", [house.make_read(nuke, plate)])
    assert not asked(dot).rendered
    nuke.env["indie"], nuke.selection = True, [dot]
    assert asked(dot).rendered  # what is above is not known: it is rendered, which is right in any case


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
    for text, word in (("relight", "no setting"), ("a='b", "cannot be read")):
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


# The terminal


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start `nuke -t anyportal_nuke_render.py ...`: sys.argv has lost what Nuke takes away."""

    def start(*arguments: str, raw: bool = True) -> None:
        given = ["Nuke", "-t", str(CLIENT / "anyportal_nuke_render.py"), *arguments]
        # hosts.md: "a trailing number or range is stripped from `sys.argv`"
        taken = bool(arguments) and arguments[-1].replace("-", "").isdigit()
        monkeypatch.setattr(sys, "argv", given[2:-1] if taken else given[2:])
        sys.modules["nuke"].rawArgs = given if raw else []  # type: ignore[attr-defined]

    with house.session(tmp_path, monkeypatch, gui=False):
        yield start


def test_a_range_at_the_end_is_found_though_nuke_took_it(terminal: Any) -> None:
    headless = house.load("anyportal_nuke.headless")
    terminal("--node", "Read1", "--backdrop", "x.jpg", "--range", "1001-1010")
    assert headless._parse(headless.command_line()).frames == "1001-1010"
    terminal("--node", "Read1", "--range=-5--1")
    assert headless._parse(headless.command_line()).frames == "-5--1"


@pytest.mark.parametrize(
    ("arguments", "raw", "word"),
    [
        (["--node", "Read1", "--range", "1001-1010"], False, "--range=1001-1010"),
        (["--node", "Read1", "--backdrop", "x.jpg", "1001-1010"], True, "--range=1001-1010"),
        (["--node", "Read1", "--backdrop", "x.jpg"], True, "no node Read1"),
        (["--node", "Read1", "--script", "/gone.nk"], True, "/gone.nk is not there"),
    ],
)
def test_the_terminal_says_what_is_wrong(
    terminal: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], raw: bool, word: str
) -> None:
    terminal(*arguments, raw=raw)
    with contextlib.suppress(SystemExit):
        assert house.load("anyportal_nuke.headless").main() == 2
    assert word in capsys.readouterr().err


# Doctor


def test_the_doctor_looks_at_nuke_itself(nuke: FakeNuke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_COMMAND", "/gone/anyportal")
    nuke.root_node["workingSpaceLUT"].setValue("AlexaV3LogC")
    nuke.env["indie"] = True
    found = {check[0]: check for check in house.load("anyportal_nuke.checkup").checks()}
    assert found["nuke"][1] == "warning" and "ten others" in found["nuke"][3]
    assert found["colour"][1] == "warning" and "AlexaV3LogC" in found["colour"][2]
    assert found["script"][1] == found["results"][1] == "ok"
    assert found["command"][1] == "broken" and "/gone/anyportal" in found["command"][3]
    house.load().doctor()
    assert "BROKEN  command" in nuke.messages[0]


# Windows


def test_paths_lean_forward_on_windows_too(nuke: FakeNuke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nuke takes a backslash for the beginning of an escape: what is put together keeps the slashes it has."""
    paths = house.load("anyportal_hostkit.paths")
    monkeypatch.setattr(paths, "os", types.SimpleNamespace(path=ntpath))
    assert paths.file_of("C:/show/.plate_x/plate.%04d.exr", 7) == "C:/show/.plate_x/plate.0007.exr"
    assert paths.file_of("C:\\show\\plate.####.exr", 7) == "C:\\show\\plate.0007.exr"
    assert paths.printf("P:/show/plate.####.exr") == "P:/show/plate.%04d.exr"
    assert paths.bracketed("P:/show/plate.[1001-1100].exr") == ("P:/show/plate.%04d.exr", 1001, 1100)
    assert paths.file_of("plate.%04d.exr", 7) == "plate.0007.exr"
