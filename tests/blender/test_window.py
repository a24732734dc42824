"""What happens beside a user's work: the timer, the panel, cancelling. Here the timer is called by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.blender.panel import drawn, press

if TYPE_CHECKING:
    from tests.blender.cut import Cut


def test_a_button_returns_at_once_and_the_panel_shows_how_far_it_is(cut: Cut, bpy: Any, ticks: Any, capfd: Any) -> None:
    from anyportal_blender import running

    cut.meta()
    cut.wish()
    assert "anyportal.replace" in drawn(bpy)
    press(cut)
    assert len(cut.strips) == 1
    ticks(until=lambda: bool(running.now()[0].job))
    shown = drawn(bpy)
    assert running.now()[0].job in shown
    assert "anyportal.cancel" in shown
    assert any(text.startswith("meta: ") for text in shown)
    assert "meta is rendered by Blender first: it is of type meta, which is no file" in shown
    cut.strips["meta"].frame_start += 100  # the user goes on working meanwhile
    ticks()
    result = cut.strips["meta AnyPortal v001"]
    assert (result.frame_final_start, result.frame_final_end) == (120, 132)
    assert "meta AnyPortal v001 is there" in drawn(bpy)
    cut.select(result)
    assert {"v001", "anyportal.show_version", "anyportal.compare", "anyportal.rerun"} <= set(drawn(bpy))
    assert not bpy.app.timers.is_registered(running.tick) or running.now() == []


def test_cancelled_leaves_nothing(cut: Cut, bpy: Any, ticks: Any) -> None:
    from anyportal_blender import running

    cut.movie()
    cut.wish(matte_kind="NONE", more="matte.plugin=draft.person")
    assert not bpy.ops.anyportal.cancel.poll()
    press(cut)
    ticks(until=lambda: bool(running.now()[0].job))
    bpy.ops.anyportal.cancel()
    assert running.now()[0].phase == "cancelling"
    ticks()
    assert [strip.name for strip in cut.strips] == ["shot"]
    assert not list(cut.folder.rglob("v0*"))
    assert "shot: cancelled" in drawn(bpy)


def test_cancelled_while_it_is_rendered(cut: Cut, bpy: Any, ticks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from anyportal_blender import rendering, running

    cut.meta()
    cut.wish()
    monkeypatch.setattr(rendering.Rendering.go_on, "__defaults__", (0.0,))  # one picture at a time
    press(cut)
    ticks(until=lambda: running.now()[0].fraction > 0.2)
    assert any("rendering the strip" in text for text in drawn(bpy))
    bpy.ops.anyportal.cancel(number=0)
    ticks()
    assert len(cut.strips) == 1
    assert not [path for path in (cut.folder / "anyportal").rglob("*") if path.is_file()]
    assert len(bpy.data.scenes) == 1


def test_a_strip_that_is_moved_while_it_is_rendered(
    cut: Cut, bpy: Any, ticks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anyportal_blender import rendering, running

    meta = cut.meta()
    cut.wish()
    monkeypatch.setattr(rendering.Rendering.go_on, "__defaults__", (0.0,))
    press(cut)
    ticks(until=lambda: running.now()[0].fraction > 0.2)
    meta.frame_start += 5
    ticks()
    assert any("was moved or trimmed while it was rendered" in text for text in drawn(bpy))
    assert not [path for path in (cut.folder / "anyportal").rglob("*") if path.is_file()]


def test_what_fails_is_shown_in_the_panel(cut: Cut, bpy: Any, ticks: Any) -> None:
    cut.movie()
    cut.wish(more="relight_strenght=1")
    press(cut)
    ticks()
    shown = drawn(bpy)
    assert any("relight_strenght" in text for text in shown)
    assert any(text.startswith("What to do:") for text in shown)


def test_two_at_once_each_find_their_strip(cut: Cut, bpy: Any, ticks: Any) -> None:
    cut.movie("one")
    cut.wish()
    press(cut)
    cut.movie("two", start=60)
    press(cut)
    ticks()
    assert {(strip.name, strip.frame_final_start) for strip in cut.strips if strip.channel == 2} == {
        ("one AnyPortal v001", 20),
        ("two AnyPortal v001", 60),
    }


def test_a_strip_that_is_gone_when_its_result_comes(cut: Cut, bpy: Any, ticks: Any) -> None:
    from anyportal_blender import running

    cut.movie()
    cut.wish()
    press(cut)
    ticks(until=lambda: bool(running.now()[0].job))
    cut.strips.remove(cut.strips["shot"])
    ticks()
    shown = drawn(bpy)
    assert any("The strip shot is gone, so the result has no place" in text for text in shown)
    assert any(str(cut.folder / "anyportal/Scene/shot/v001") in text for text in shown)


def test_a_result_that_got_lost_is_brought_in(cut: Cut, bpy: Any, ticks: Any, capfd: Any) -> None:
    from anyportal_blender import running

    cut.movie()
    cut.wish()
    bpy.ops.anyportal.recover()
    assert "nothing is lost" in capfd.readouterr().out
    press(cut)
    ticks(until=lambda: bool(running.now()[0].job))
    running.now()[0]._work.kill()  # as if somebody had killed the command; the daemon goes on
    ticks()
    assert [strip.name for strip in cut.strips] == ["shot"]
    assert any("signal 9" in text for text in drawn(bpy))
    bpy.ops.anyportal.recover()
    assert [(strip.name, strip.frame_final_start) for strip in cut.strips][1:] == [("shot AnyPortal v001", 20)]
    bpy.ops.anyportal.recover()
    assert "nothing is lost" in capfd.readouterr().out


def test_another_file_ends_what_is_on_its_way(cut: Cut, bpy: Any, ticks: Any) -> None:
    from anyportal_blender import running

    cut.movie()
    cut.save()
    cut.wish(matte_kind="NONE", more="matte.plugin=draft.person")
    press(cut)
    ticks(until=lambda: bool(running.now()[0].job))
    bpy.ops.wm.open_mainfile(filepath=str(cut.folder / "cut.blend"))
    assert running.now() == []
    # A job of so few frames may be done by then: a whole version stays, half of one does not.
    assert all(list(version.glob("*.mp4")) for version in cut.folder.rglob("v0*"))
