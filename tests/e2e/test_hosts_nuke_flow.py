"""The Nuke client from the menu to the comp: a fake Nuke, a real `anyportal`, a real daemon, small real pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from anyportal_core.testing.clips import moving_scene, write_movie
from tests.hosts.nuke import house, images
from tests.hosts.nuke.flows import ALL, BACKDROP, SKY, STRAIGHT, click, comp_of, names_in, replace, result_of, said
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node

pytest_plugins = ["tests.hosts.nuke.flows"]


# The way of a first shot


def test_a_read_goes_as_it_is_with_another_node_s_alpha_and_comes_back_as_layers(
    nuke: FakeNuke, exr: Node, media: Path, tmp_path: Path
) -> None:
    plate = house.make_read(nuke, media / "png" / "plate.%04d.png", frame_mode="start at", frame="11")
    exr["frame_mode"].setValue("start at")
    exr["frame"].setValue("11")
    steps = len(nuke.steps)
    nuke.answers = [{"Plate": plate.title}]
    read = replace(nuke, [exr, plate], {"Matte": f"the alpha of {exr.title}"})
    assert read is not None and nuke.errors == [], nuke.errors
    assert nuke.panels[-1].fields["Frames"] == "11-16"
    assert said(read)["status"] == "done" and said(read)["sent"] == "as it is" and said(read)["job"].startswith("jobs/")
    # Only the matte was rendered, under the plate's numbers; nothing of that is left.
    assert [(each.frame, each.path.name) for each in nuke.rendered] == [
        (frame - 990, f"matte.{frame}.exr") for frame in ALL
    ]
    assert list(nuke.rendered[0].image.planes) == ["rgba.alpha"]
    shot = tmp_path / "anyportal" / plate.title
    assert names_in(shot) == ["v001"]
    files = [f"{plate.title}_v001.{frame}.exr" for frame in ALL]
    assert names_in(shot / "v001") == sorted([*files, "anyportal.json"])
    # The Read shows the files where the plate shows its own.
    assert read["file"].value() == f"{shot}/v001/{plate.title}_v001.%04d.exr"
    assert [read.file_frame(frame) for frame in range(11, 17)] == ALL
    assert {name: read[name].value() for name in ("first", "last", "origfirst", "origlast", "on_error")} == {
        "first": 1001, "last": 1006, "origfirst": 1001, "origlast": 1006, "on_error": "checkerboard",
    }  # fmt: skip
    assert (read["raw"].value(), read["colorspace"].value()) == (False, "linear")
    # The Merge makes the comp of the layers, to half a float's precision.
    merged, comp = comp_of(nuke).image(13).rgb(), read.image(13).rgb()
    assert np.abs(merged - comp).max() < 2e-3
    foreground = next(node for node in nuke.all if node["label"].content == "foreground")
    gain = next(node for node in nuke.all if node["label"].content == "gain")
    assert np.abs(foreground.image(13).rgb() - comp).max() > 0.05 and gain.image(13).rgb().max() > 0
    # One step to undo, and it undoes all of it.
    assert [name for name, _ in nuke.steps[steps:]] == ["AnyPortal: replace background"]
    nuke.undo()
    assert nuke.all == [exr, plate] and nuke.root_node.knob("anyportal") is None


def test_frames_fill_in_while_they_arrive(nuke: FakeNuke, exr: Node, tmp_path: Path) -> None:
    seen: list[tuple[str, bool]] = []

    def look() -> None:
        read = result_of(nuke)
        if read is not None:
            seen.append((str(read["anyportal_status"].content), read.image(1001).checkerboard))

    read = replace(nuke, [exr], {**STRAIGHT, BACKDROP: "#203040"}, between=look)
    assert read is not None and said(read)["status"] == "done"
    assert seen[0] == ("starting", True)  # there before anything else is, with a checkerboard
    assert {"queued", "running"} & {status.partition(":")[0] for status, _ in seen}
    assert not read.image(1001).checkerboard and read.reloads >= 2
    assert any("sending footage" in bar or "reading footage" in bar for bar in nuke.bars)
    record = json.loads((tmp_path / f"anyportal/{exr.title}/v001/anyportal.json").read_text())
    assert record["host"]["name"] == "nuke" and record["host"]["asked"]["colours"] == "straight"
    assert record["job"] == said(read)["job"] and record["recipe_digest"] == read["anyportal_digest"].value()
    assert record["wish"]["colour_space"] == "Linear Rec.709" and record["wish"]["settings"] == {"clean_edges": False}
    assert record["wish"]["rate"] == "23.976"


# What is rendered


def test_anything_else_is_rendered_as_it_is_in_the_working_space(nuke: FakeNuke, exr: Node, tmp_path: Path) -> None:
    grade = nuke.make("Grade", [exr], multiply=3.0)
    nuke.root_node["last_frame"].setValue(1003)
    nuke.root_node["proxy"].setValue(True)  # full size all the same: nobody chose a proxy
    nuke.modified(False)
    nuke.view_names = ["left", "right"]
    before = [nuke.make("Dot", [grade])]
    nuke.modified(False)
    read = replace(nuke, before, STRAIGHT)
    assert read is not None and nuke.errors == []
    assert said(read)["sent"] == "rendered, since it is no untouched Read"
    assert [(each.frame, each.view) for each in nuke.rendered] == [(1001, "left"), (1002, "left"), (1003, "left")]
    first = nuke.rendered[0].image
    wanted = grade.image(1001)
    assert (first.format, first.box) == (wanted.format, wanted.box)  # full format, no autocrop
    half = wanted.planes["rgba.red"].astype(np.float16)
    assert np.array_equal(first.planes["rgba.red"], half) and half.max() > 1  # raw, half, not clamped
    assert first.metadata["nuke/shot"] == "sh010"
    assert read["raw"].value() is True and nuke.root_node["proxy"].value() is True
    assert [read["first"].value(), read["last"].value(), read["frame"].value()] == [1001, 1003, ""]
    assert not [node for node in nuke.all if node.kind in ("Write", "Crop")]
    assert "rendered to EXR, since it is no untouched Read" in nuke.printed[-1]
    assert names_in(tmp_path / "anyportal" / "Dot1") == ["v001"]


def test_rendering_leaves_the_script_as_it_was(nuke: FakeNuke, exr: Node, tmp_path: Path) -> None:
    upstream = house.load("anyportal_nuke.upstream")
    steps, nodes = len(nuke.steps), list(nuke.all)
    nuke.modified(False)
    none = house.load("anyportal_nuke.matte").read_matte("", exr, None, "")
    picture = upstream.Picture(exr, upstream.format_of(exr), none, False, "", False)
    upstream.render(picture, 1002, str(tmp_path / "one.exr"))
    assert (len(nuke.steps), nuke.all, nuke.modified()) == (steps, nodes, False)


def test_a_node_in_a_group_is_rendered_there(nuke: FakeNuke, media: Path) -> None:
    group = nuke.make("Group")
    with group:  # type: ignore[attr-defined]
        plate = nuke.make("Grade", [house.make_read(nuke, media / "exr" / "plate.%04d.exr")])
    nuke.root_node["last_frame"].setValue(1001)
    read = replace(nuke, [plate], STRAIGHT)
    assert read is not None and read.parent() is group and said(read)["status"] == "done"
    assert "/Group1.Grade1/v001/" in read["file"].value()
    nuke.answers.append({})
    house.settle(nuke, lambda: click(read, "rerun"))
    assert nuke.messages == nuke.errors == [] and "/Group1.Grade1/v002/" in read["file"].value()


def test_rendered_overscan_comes_back_outside_the_format(nuke: FakeNuke, tmp_path: Path) -> None:
    """hosts.md: "Reformat to the constant full format; keep `node.bbox()` and format to restore overscan"."""
    pattern = house.write_sequence(tmp_path / "over", kind="exr", window=(8, 4, 80, 56))
    plate = house.make_read(nuke, pattern)
    plate["last"].setValue(1002)
    assert plate.image(1001).box == (-8, -4, 88, 60)
    nuke.root_node["last_frame"].setValue(1002)
    read = replace(nuke, [nuke.make("Grade", [plate])], STRAIGHT)
    assert read is not None and "no untouched Read" in said(read)["sent"]
    comp = comp_of(nuke).image(1001)
    assert (comp.format.wide, comp.format.high, comp.box) == (80, 56, (-8, -4, 88, 60))
    # The new background reaches to the corner of the overscan, and the foreground stands where it stood.
    sky = np.array([0x10, 0x20, 0x30], np.float32) / 255
    corner = [comp.planes[f"rgba.{name}"][0, 0] for name in ("red", "green", "blue")]
    assert np.allclose(corner, images.decoded(sky), atol=0.01)
    alpha = next(node for node in nuke.all if node["label"].content == "matte").image(1001).planes["rgba.alpha"]
    assert np.abs(alpha - plate.image(1001).planes["rgba.alpha"]).max() < 0.01


def test_premultiplied_colours_are_divided_first(nuke: FakeNuke, exr: Node) -> None:
    premult = nuke.make("Premult", [exr])
    nuke.root_node["last_frame"].setValue(1001)
    replace(nuke, [premult], {**STRAIGHT, "The plate's colours are": "premultiplied"})
    image = nuke.rendered[0].image
    inside = image.planes["rgba.alpha"] > 0.05
    straight = exr.image(1001).planes["rgba.red"]
    assert np.abs(image.planes["rgba.red"] - straight)[inside].max() < 5e-3


def test_a_channel_is_the_matte(nuke: FakeNuke, exr: Node) -> None:
    exr["last"].setValue(1001)
    replace(nuke, [exr], {"Matte": "a channel of the plate", "Matte's channel or file": "rgba.green"})
    assert np.allclose(nuke.rendered[0].image.planes["rgba.alpha"], exr.image(1001).planes["rgba.green"], atol=1e-3)


def test_a_proxy_is_chosen_and_labelled(nuke: FakeNuke, exr: Node, tmp_path: Path) -> None:
    exr["last"].setValue(1002)
    read = replace(nuke, [exr], {**STRAIGHT, "Size": "proxy (a quick look)"})
    assert read is not None and nuke.root_node["proxy"].value() is False
    assert f"/anyportal/{exr.title}_proxy/v001/" in read["file"].value()
    assert read.image(1001).format.wide == 48 and comp_of(nuke).image(1001).format.wide == 96
    assert any("PROXY" in node["label"].content for node in nuke.all)
    assert "PROXY" in read["label"].content


def test_a_movie_comes_back_where_it_shows(nuke: FakeNuke, tmp_path: Path) -> None:
    movie = write_movie(tmp_path / "plate.mov", moving_scene(12).plate)
    plate = nuke.make("Read")
    plate["file"].fromUserText(f"{movie} 3-6")  # type: ignore[attr-defined]
    matte = house.write_sequence(tmp_path / "m", kind="exr")
    other = house.make_read(nuke, matte, frame_mode="start at", frame="1")
    nuke.answers = [{"Plate": plate.title}]
    read = replace(nuke, [plate, other], {"Matte": f"the alpha of {other.title}"})
    assert read is not None and nuke.errors == [], nuke.errors
    assert [read[name].value() for name in ("first", "last", "frame_mode", "frame")] == [2, 5, "start at", "3"]
    assert [each.path.name for each in nuke.rendered] == [f"matte.{n:04d}.exr" for n in (2, 3, 4, 5)]
    assert not read.image(3).checkerboard and not read.image(6).checkerboard


def test_a_still_comes_back_wherever_the_plate_shows(nuke: FakeNuke, media: Path) -> None:
    plate = nuke.make("Read")
    plate["file"].fromUserText(f"{media}/exr/plate.1003.exr 5-9")  # type: ignore[attr-defined]
    read = replace(nuke, [plate], STRAIGHT)
    assert read is not None and nuke.errors == [], nuke.errors
    assert [read[name].value() for name in ("first", "last", "frame")] == [5, 9, ""]
    assert read["file"].value().endswith("_v001.1003.exr") and not read.image(7).checkerboard


# An end that somebody wishes, and one that nobody does


def test_cancel_while_frames_are_rendered(nuke: FakeNuke, exr: Node, tmp_path: Path) -> None:
    grade = nuke.make("Grade", [exr])
    nuke.cancel_at = lambda task: task.steps >= 3
    assert replace(nuke, [grade], STRAIGHT) is None
    assert [each.frame for each in nuke.rendered] == [1001, 1002, 1003]
    assert nuke.errors == [] and nuke.all == [exr, grade] and not (tmp_path / "anyportal" / "Grade1").exists()


def test_cancel_in_nuke_s_own_bar(nuke: FakeNuke, exr: Node) -> None:
    """hosts.md: "failure or cancel is RuntimeError"."""
    grade = nuke.make("Grade", [exr])
    nuke.cancel_render_at = 1002
    assert replace(nuke, [grade], STRAIGHT) is None
    assert nuke.errors == [] and nuke.all == [exr, grade]


def test_cancel_while_the_job_is_sent(nuke: FakeNuke, exr: Node, tmp_path: Path) -> None:
    nuke.cancel_at = lambda task: "reading footage" in task.messages
    assert replace(nuke, [exr], {**STRAIGHT, BACKDROP: "#010203"}) is None
    assert nuke.errors == [] and nuke.all == [exr] and names_in(tmp_path / "anyportal" / exr.title) == []


def test_the_node_s_button_cancels(nuke: FakeNuke, exr: Node) -> None:
    clicked: list[int] = []

    def look() -> None:
        read = result_of(nuke)
        if read is not None and not clicked:
            clicked.append(1)
            click(read, "cancel")

    replace(nuke, [exr], {**STRAIGHT, BACKDROP: "#030201"}, between=look)
    read = result_of(nuke)
    assert clicked and nuke.errors == nuke.messages == [] and read is None
    assert nuke.steps[-1][0] == "AnyPortal: cancelled"
    nuke.undo()  # one step, too
    assert {"Read", "Shuffle", "Merge2"} <= {node.kind for node in nuke.all if node is not exr}


def test_a_frame_that_cannot_be_rendered_is_named(nuke: FakeNuke, tmp_path: Path) -> None:
    plate = house.make_read(nuke, house.write_sequence(tmp_path / "hole", kind="exr"))
    (tmp_path / "hole" / "plate.1003.exr").unlink()
    read = replace(nuke, [nuke.make("Grade", [plate])], STRAIGHT)
    assert read is not None and read["label"].content.splitlines()[0] == "AnyPortal"  # of no version
    assert "Frame 1003 of Grade1" in read["label"].content and not (tmp_path / "anyportal").exists()
    assert "plate.1003.exr" in nuke.errors[-1] and names_in(tmp_path / "anyportal") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ANYPORTAL_DAEMON": "127.0.0.1:9"}, ["127.0.0.1:9"]),
        ({"ANYPORTAL_TOKEN": "wrong"}, ["token", "What to do"]),
    ],
)
def test_a_daemon_that_does_not_answer_is_told_on_the_node(
    nuke: FakeNuke, exr: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], words: list[str]
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    read = replace(nuke, [exr], STRAIGHT)
    assert read is not None and read["tile_color"].value() and nuke.messages == []
    for word in words:
        assert word in read["label"].content and word in nuke.errors[-1]
    assert names_in(tmp_path / "anyportal" / exr.title) == []
    for name in change:
        monkeypatch.delenv(name)
    nuke.answers.append({})
    house.settle(nuke, lambda: click(read, "rerun"))  # the same node, once it is mended
    assert said(read)["status"] == "done" and not read["tile_color"].value()
    assert said(read)["version"] == "v001"


def test_without_the_command_nothing_begins(nuke: FakeNuke, exr: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_COMMAND", "/gone/anyportal")
    assert replace(nuke, [exr], STRAIGHT) is None
    assert "/gone/anyportal" in nuke.messages[0] and nuke.all == [exr]


def test_a_result_that_is_deleted_meanwhile_is_let_go_of(nuke: FakeNuke, exr: Node, tmp_path: Path) -> None:
    def drop() -> None:
        read = result_of(nuke)
        if read is not None and said(read)["status"] == "queued":
            nuke.delete(read)

    replace(nuke, [exr], {**STRAIGHT, BACKDROP: "#0a0b0c"}, between=drop)
    assert nuke.errors == [] and result_of(nuke) is None
    assert len(names_in(tmp_path / "anyportal" / exr.title / "v001")) == house.COUNT + 1


# Questions


def test_what_the_menu_refuses(nuke: FakeNuke, exr: Node) -> None:
    """hosts.md: "`nuke.selectedNode()` raises when nothing is selected"."""
    act = house.load().replace_background
    act()
    nuke.selection = [exr, nuke.make("Dot"), nuke.make("Dot")]
    act()
    nuke.selection = [exr]
    nuke.answers = [dict(STRAIGHT, **{"The plate's colours are": "say which"}), {**SKY, "Settings (name=value)": "x"}]
    act()
    act()
    assert [text.splitlines()[0] for text in nuke.messages] == [
        "Nothing is selected.",
        "3 nodes are selected.",
        "There is no backdrop.",
        "'x' is no setting.",
    ]
    nuke.answers = [{**SKY, **STRAIGHT, "The plate's colours are": "say which"}, None]
    act()
    act()
    assert "how do its colours stand" in nuke.messages[-1] and len(nuke.messages) == 5 and nuke.all[0] is exr


def test_the_job_and_the_installation_can_be_looked_at(nuke: FakeNuke, exr: Node) -> None:
    exr["last"].setValue(1002)
    read = replace(nuke, [exr], STRAIGHT)
    assert read is not None
    click(read, "show_job")
    shown = nuke.messages[-1]
    assert said(read)["job"] in shown and "succeeded, 100 %" in shown and "  finish: " in shown
    click(read, "doctor")
    checks = nuke.messages[-1]
    assert "ok  nuke: 15.1v2" in checks and "ok  colour: Nuke" in checks and "running: 127.0.0.1" in checks
    click(read, "cancel")  # it has ended: the command says so
    assert "has ended already" in nuke.messages[-1]


def test_results_that_a_host_left_behind_are_brought(nuke: FakeNuke, exr: Node) -> None:
    exr["last"].setValue(1002)
    read = replace(nuke, [exr], STRAIGHT)
    assert read is not None
    folder = Path(read["file"].value()).parent
    record = json.loads((folder / "anyportal.json").read_text())
    for path in folder.glob("*.exr"):
        path.unlink()
    (folder / "anyportal.json").write_text(json.dumps({**record, "state": "submitted", "by": {}, "files": {}}))
    assert read.image(1001).checkerboard
    house.settle(nuke, lambda: click(read, "show_job"))
    assert "Bring its results?" in nuke.messages[-1]
    assert not read.image(1002).checkerboard and nuke.errors == []


# Without a window


def test_the_same_in_a_terminal(
    terminal: FakeNuke, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    plate = house.make_read(terminal, media / "exr" / "plate.%04d.exr")
    script, saved = tmp_path / "shot.nk", tmp_path / "done.nk"
    terminal.scriptSaveAs(str(script))

    def run(*arguments: str) -> int:
        program = str(house.CLIENTS / "nuke" / "anyportal_nuke_render.py")
        terminal.rawArgs = ["Nuke15.1", "-t", program, *arguments]
        monkeypatch.setattr(sys, "argv", [program])
        for node in list(terminal.all):
            terminal.delete(node)
        house.unload()
        with pytest.raises(SystemExit) as ended:
            house.runpy.run_path(program, run_name="__main__")
        return int(ended.value.code or 0)

    shot = ["--script", str(script), "--node", plate.title, "--backdrop", "#102030", "--matte", "alpha"]
    assert run(*shot) == 2 and "premultiplied" in capfd.readouterr().err
    assert run(*shot, "--colours", "straight", "--save", str(saved), "--range", "1001-1002") == 0
    out = capfd.readouterr().out
    assert "done" not in out and f"AnyPortal: {tmp_path}/anyportal/Read1/v001/Read1_v001.%04d.exr" in out
    assert terminal.script == str(script) and result_of(terminal) is not None

    again = ["--script", str(saved), "--rerun", f"AnyPortal_{plate.title}", "--save", str(saved)]
    assert run(*again, "--set", "relight_strength=0.5", "--range=1002", "--context", "0") == 0
    read = result_of(terminal)
    assert read is not None and "/v002/" in read["file"].value()
    assert names_in(tmp_path / "anyportal/Read1/v002") == [
        "Read1_v002.1001.exr", "Read1_v002.1002.exr", "anyportal.json",
    ]  # fmt: skip
    assert run(*shot, "--colours", "straight", "--preset", "drafty") == 4 and "drafty" in capfd.readouterr().err
    assert run("--script", str(script), "--doctor") == 0 and "ok  nuke: 15.1v2" in capfd.readouterr().out


def test_a_script_calls_and_waits(terminal: FakeNuke, media: Path, tmp_path: Path) -> None:
    plate = house.make_read(terminal, media / "exr" / "plate.%04d.exr")
    read = house.load().process(
        plate, "#102030", matte="alpha", colours="straight", frames="1001-1002", folder=str(tmp_path / "o"), context=0
    )
    assert read["file"].value() == f"{tmp_path}/o/{plate.title}/v001/{plate.title}_v001.%04d.exr"
    assert not read.image(1002).checkerboard
    terminal.view_names = ["left", "right"]
    grade = terminal.make("Grade", [plate])
    house.load().process(grade, "#102030", matte="alpha", colours="straight", frames="1001", context=0, view="right")
    assert [each.view for each in terminal.rendered] == ["right"]
