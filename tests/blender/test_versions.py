"""Versions of a result: rerun, show another, compare, and what is recorded of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.blender.cut import Cut

BLUE, RED = "#2040c0", "#c04020"


def is_behind(cut: Cut, colour: str) -> bool:
    """Whether a colour is what stands behind the foreground."""
    wanted = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return bool(np.abs(cut.look(25)[4:12, 10:40].mean(axis=(0, 1)) - wanted).max() < 0.04)


def recorded(cut: Cut, version: str) -> dict[str, Any]:
    found = json.loads((cut.folder / f"anyportal/Scene/shot/{version}/anyportal.json").read_text())
    assert isinstance(found, dict)
    return found


def test_rerun_makes_a_version_of_what_the_strip_below_shows_by_now(cut: Cut, bpy: Any) -> None:
    cut.movie()
    cut.select(cut.replace(BLUE, handles=1))
    cut.strips["shot"].frame_final_start = 24
    cut.wish(RED)  # what the panel says by now is not asked
    bpy.ops.anyportal.rerun()
    result = cut.scene.sequence_editor.active_strip
    assert (result.name, len(cut.strips)) == ("shot AnyPortal v002", 2)
    assert (recorded(cut, "v001")["wish"]["range"], recorded(cut, "v002")["wish"]["range"]) == ("0-11", "4-11")
    assert recorded(cut, "v002")["wish"]["backdrop"] == BLUE
    assert (result.frame_final_start, result.frame_final_end) == (24, 32)
    assert result.frame_start == 23  # a handle before what is there now
    assert is_behind(cut, BLUE)


def test_rerun_without_the_strip_below_takes_the_footage_that_was_sent(cut: Cut, bpy: Any) -> None:
    strip = cut.movie()
    result = cut.replace(BLUE)
    cut.strips.remove(strip)
    cut.select(result)
    bpy.ops.anyportal.rerun()
    assert [each.name for each in cut.strips] == ["shot AnyPortal v002"]
    with pytest.raises(RuntimeError, match="The strip that this result was made of is gone"):
        bpy.ops.anyportal.replace()


def test_another_version_is_shown_in_the_same_strip(cut: Cut, bpy: Any) -> None:
    strip = cut.movie()
    strip.frame_final_start = 23
    cut.replace(BLUE)
    result = cut.replace(RED, handles=2)
    result.transform.offset_y, result.frame_final_end = 5, 30
    cut.select(result)
    for version, colour, content in (("v001", BLUE, 23), ("v002", RED, 21)):
        bpy.ops.anyportal.show_version(version=version)
        shown = cut.scene.sequence_editor.active_strip
        assert shown.name == f"shot AnyPortal {version}"
        assert (shown.frame_start, shown.frame_final_start, shown.frame_final_end) == (content, 23, 30)
        assert (shown.channel, shown.transform.offset_y) == (2, 5)
        assert is_behind(cut, colour)


def test_trims_of_the_result_stay_while_the_strip_below_does(cut: Cut, bpy: Any) -> None:
    cut.movie()
    result = cut.select(cut.replace(BLUE))
    result.frame_final_start = 26
    bpy.ops.anyportal.rerun()
    result = cut.scene.sequence_editor.active_strip
    assert (result.frame_final_start, result.frame_final_end) == (26, 32)
    cut.strips["shot"].frame_start = 100
    cut.strips.new_image("in the way", str(cut.media / "plate.1001.png"), 2, 105)
    bpy.ops.anyportal.rerun()
    result = cut.strips["shot AnyPortal v003"]
    assert (result.channel, result.frame_final_start, result.frame_final_end) == (3, 100, 112)


def test_what_blender_has_rendered_in_is_not_on_the_strip_as_well(cut: Cut, bpy: Any) -> None:
    strip = cut.movie()
    strip.color_saturation = 0.5
    cut.replace(BLUE, format="exr")
    strip.modifiers.new("bright", "BRIGHT_CONTRAST")
    cut.select(strip)
    result = cut.replace(BLUE)
    assert (result.name, result.type, result.color_saturation) == ("shot AnyPortal v002", "IMAGE", 1)
    cut.select(result)
    bpy.ops.anyportal.show_version(version="v001")
    assert cut.strips["shot AnyPortal v001"].color_saturation == 0.5


def test_a_version_of_another_kind_takes_the_place_of_the_strip(cut: Cut, bpy: Any) -> None:
    cut.movie()
    cut.replace(BLUE)
    result = cut.replace(RED, format="exr")
    assert (result.type, result.channel, result.colorspace_settings.name) == ("IMAGE", 2, "Linear Rec.709")
    assert is_behind(cut, RED)
    cut.select(result)
    bpy.ops.anyportal.show_version(version="v001")
    assert [(strip.type, strip.channel) for strip in cut.strips] == [("MOVIE", 1), ("MOVIE", 2)]
    assert is_behind(cut, BLUE)


def test_pictures_that_hold_light_and_such_that_hold_display_colours_are_told_apart(cut: Cut, bpy: Any) -> None:
    matte = str(cut.media / "matte.%04d.png")
    cut.pictures([f"plate.{number}.png" for number in range(1001, 1013)])
    cut.replace(BLUE, matte_file=matte)
    result = cut.select(cut.replace(RED, matte_file=matte, format="exr"))
    assert (result.colorspace_settings.name, is_behind(cut, RED)) == ("Linear Rec.709", True)
    bpy.ops.anyportal.show_version(version="v001")
    result = cut.scene.sequence_editor.active_strip
    assert (result.colorspace_settings.name, is_behind(cut, BLUE)) == ("sRGB", True)


def test_compare_toggles_between_the_version_before_and_this_one(cut: Cut, bpy: Any) -> None:
    cut.movie()
    cut.replace(BLUE)
    cut.select(cut.replace(RED))
    for colour in (BLUE, RED, BLUE):
        bpy.ops.anyportal.compare()
        assert is_behind(cut, colour)


def test_with_one_version_compare_shows_the_strip_below(cut: Cut, bpy: Any) -> None:
    cut.movie()
    cut.select(cut.replace(BLUE))
    bpy.ops.anyportal.compare()
    assert not is_behind(cut, BLUE)
    bpy.ops.anyportal.compare()
    assert is_behind(cut, BLUE)


def test_the_job_is_shown_and_its_wish_loaded(cut: Cut, bpy: Any, capfd: Any) -> None:
    cut.movie()
    cut.select(cut.replace(BLUE, seed=7, more="relight_strength=0.25 matte.plugin=draft.supplied", subject="a dog"))
    capfd.readouterr()
    bpy.ops.anyportal.job()
    said, record = capfd.readouterr().out, recorded(cut, "v001")
    assert record["seed"] == 7
    for text in (record["job"], record["recipe_digest"], BLUE, "a dog", "seed: 7", "finish: ran"):
        assert text in said
    wish = dict(record["wish"])
    cut.wish(RED, seed=0, more="", subject="", matte_kind="NONE")
    bpy.ops.anyportal.load()
    from anyportal_blender import settings

    loaded = settings.wish_of(cut.settings)
    assert loaded == {key: wish[key] for key in loaded}
    assert set(wish) - set(loaded) <= {"plate", "range", "name"}


def test_versions_are_found_where_the_project_has_moved_to(cut: Cut, bpy: Any, tmp_path_factory: Any) -> None:
    import shutil

    cut.movie()
    cut.replace(BLUE)
    cut.select(cut.replace(RED))
    cut.save()
    moved = tmp_path_factory.mktemp("moved") / "project"
    shutil.move(cut.folder, moved)
    cut.folder = moved
    bpy.ops.wm.open_mainfile(filepath=str(moved / "cut.blend"))
    assert is_behind(cut, RED)
    bpy.ops.anyportal.show_version(version="v001")
    assert is_behind(cut, BLUE)
