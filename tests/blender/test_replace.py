"""Replace the background of a strip, end to end: real Blender, real command, real daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.blender.cut import Cut

BLUE = np.array([0x20, 0x40, 0xC0]) / 255
FIRST = 1001


def times(strip: object) -> tuple[int, int, int]:
    """Where a strip's content starts, its first frame, and the one after its last."""
    from anyportal_blender import compat

    where = compat.timing(strip)
    return where.content, where.left, where.right


def test_a_trimmed_movie_gets_a_strip_above_with_its_trims_its_look_and_the_new_background(cut: Cut) -> None:
    strip = cut.movie()
    strip.frame_final_start, strip.frame_final_end = 23, 29
    strip.transform.offset_x, strip.crop.min_y, strip.use_flip_y, strip.blend_type = 20, 8, True, "ALPHA_OVER"
    plate = cut.look(25)
    result = cut.replace(handles=2)
    assert (result.channel, result.type) == (2, "MOVIE")
    assert times(result) == (21, 23, 29)  # two handles; the same frames show
    assert result.frame_duration == 10
    look = (result.transform.offset_x, result.crop.min_y, result.use_flip_y, result.blend_type)
    assert look == (20, 8, True, "ALPHA_OVER")
    assert times(strip) == (20, 23, 29)
    assert result.filepath == "//anyportal/Scene/shot/v001/shot_v001.mp4"
    comp = cut.look(25)
    np.testing.assert_allclose(comp[80:86, 30:60].mean(axis=(0, 1)), BLUE, atol=0.03)  # background, flipped and moved
    np.testing.assert_allclose(
        comp[30:50, 95:105], plate[30:50, 95:105], atol=0.08
    )  # the foreground of this very frame


def test_pictures_keep_their_numbers_and_colours_and_the_channel_above_need_not_be_free(cut: Cut) -> None:
    strip = cut.pictures([f"plate.{number}.png" for number in range(FIRST, FIRST + 12)])
    strip.frame_final_start, strip.frame_final_end = 22, 30
    strip.colorspace_settings.name = "Rec.1886"
    cut.strips.new_image("in the way", str(cut.media / "plate.1001.png"), 2, 25)
    cut.select(strip)
    plate = cut.look(24)
    result = cut.replace(matte_file=str(cut.media / "matte.%04d.png"))
    assert (result.channel, result.type, times(result)) == (3, "IMAGE", (22, 22, 30))
    assert [element.filename for element in result.elements][::7] == [
        "pictures_v001.1003.png",
        "pictures_v001.1010.png",
    ]
    assert result.colorspace_settings.name == "Rec.1886"
    comp = cut.look(24)
    np.testing.assert_allclose(comp[4:12, 10:40].mean(axis=(0, 1)), BLUE, atol=0.06)  # seen through Rec.1886
    np.testing.assert_allclose(comp[50:70, 75:85], plate[50:70, 75:85], atol=0.02)


def test_strips_beside_the_result_stay_where_they_are_though_its_handles_reach_over_them(cut: Cut) -> None:
    strip = cut.movie()
    strip.frame_final_start, strip.frame_final_end = 23, 27
    for start in (22, 27):
        cut.strips.new_image(f"at {start}", str(cut.media / "plate.1001.png"), 2, start)
    cut.select(strip)
    result = cut.replace(handles=3)
    assert (result.channel, times(result)) == (2, (20, 23, 27))
    assert [(cut.strips[f"at {start}"].channel, times(cut.strips[f"at {start}"])[1]) for start in (22, 27)] == [
        (2, 22),
        (2, 27),
    ]


def test_a_still_is_shown_for_as_long_as_the_strip(cut: Cut) -> None:
    strip = cut.pictures(["plate.1001.png"])
    strip.frame_final_end = 60
    result = cut.replace(matte_file=str(cut.media / "matte.1001.png"))
    assert (times(result)[1:], len(result.elements)) == ((20, 60), 1)
    np.testing.assert_allclose(cut.look(50)[4:12, 10:40].mean(axis=(0, 1)), BLUE, atol=0.02)


def test_a_held_frame_stays_held(cut: Cut) -> None:
    strip = cut.movie()
    strip.frame_final_start = 15
    assert times(cut.replace()) == (20, 15, 32)


def test_a_strip_inside_a_meta_strip_gets_its_result_there(cut: Cut) -> None:
    meta = cut.meta()
    cut.select(cut.inside(meta)[0])
    result = cut.replace()
    assert [strip.name for strip in cut.inside(meta)] == ["shot", result.name]
    assert [strip.name for strip in cut.strips] == ["meta"]


def test_opacity_that_is_animated_is_so_in_the_result(cut: Cut) -> None:
    from anyportal_blender import compat

    strip = cut.movie()
    for frame, value in ((20, 0.0), (30, 1.0)):
        strip.blend_alpha = value
        strip.keyframe_insert("blend_alpha", frame=frame)
    result = cut.replace()
    cut.scene.frame_set(25)
    assert 0.3 < strip.blend_alpha < 0.7
    assert result.blend_alpha == pytest.approx(strip.blend_alpha, abs=1e-4)
    assert len({curve.data_path for curve in compat.curves_of(cut.scene)}) == 2


def test_replacing_again_shows_a_new_version_in_the_strip_that_is_there(cut: Cut) -> None:
    cut.movie()
    first = cut.replace().name
    again = cut.replace("#c04020")
    assert [(strip.name, strip.channel) for strip in cut.strips] == [("shot", 1), ("shot AnyPortal v002", 2)]
    assert (first, again.name) == ("shot AnyPortal v001", "shot AnyPortal v002")
    np.testing.assert_allclose(
        cut.look(25)[4:12, 10:40].mean(axis=(0, 1)), np.array([0xC0, 0x40, 0x20]) / 255, atol=0.03
    )


def test_it_is_one_step_to_undo(cut: Cut, bpy: Any) -> None:
    cut.movie()
    bpy.ops.ed.undo_push(message="before")
    cut.replace()
    assert len(cut.strips) == 2
    bpy.ops.ed.undo()
    assert [strip.name for strip in cut.strips] == ["shot"]
    assert [path.name for path in (cut.folder / "anyportal/Scene/shot").iterdir()] == ["v001"]  # the files stay
    bpy.ops.ed.redo()
    assert len(cut.strips) == 2
