"""Strips that are no file: Blender renders them alone, and nothing of the edit changes for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.blender.cut import Cut

BLUE = np.array([0x20, 0x40, 0xC0]) / 255


def state(owner: Any) -> dict[str, Any]:
    """All plain properties of something, and of what belongs to it."""
    found = {}
    for prop in owner.bl_rna.properties:
        value = getattr(owner, prop.identifier)
        if prop.type == "POINTER" and value is not None and prop.identifier != "rna_type" and hasattr(value, "bl_rna"):
            continue
        found[prop.identifier] = tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value
    return found


def edit(cut: Cut) -> dict[str, Any]:
    """Everything that a rendering might have left changed."""
    from anyportal_blender import compat

    parts = [cut.scene, cut.scene.render, cut.scene.render.image_settings, cut.scene.view_settings]
    found = {str(number): state(part) for number, part in enumerate(parts)}
    return found | {name: state(strip) for name, strip in compat.all_strips(cut.scene).items()}


def rendered(cut: Cut) -> Path:
    """The folder of what was rendered."""
    return cut.folder / "anyportal/Scene" / cut.scene.sequence_editor.active_strip.name / "rendered/v001"


@pytest.fixture
def scenes(bpy: Any) -> Iterator[None]:
    yield
    assert len(bpy.data.scenes) == 1


@pytest.mark.usefixtures("scenes")
def test_a_meta_strip_is_rendered_alone_and_the_edit_is_as_before(cut: Cut, bpy: Any, capfd: Any) -> None:
    meta = cut.meta(22, 30)
    cut.strips.new_image("over all", str(cut.media / "matte.1001.png"), 4, 20).frame_final_end = 32
    cut.scene.frame_set(7)
    cut.scene.render.resolution_percentage = 50
    cut.scene.view_settings.exposure = 3
    cut.select(meta)
    cut.wish(matte_kind="NONE", more="relight_strength=0 matte.plugin=draft.propagate", handles=3)
    before = edit(cut)
    from anyportal_blender import rendering, shot

    made = rendering.Rendering.of(cut.scene, meta, str(cut.folder), 3)
    assert (made.first, made.last) == (20, 31)
    while not made.go_on():
        pass
    assert edit(cut) == before
    cut.scene.view_settings.exposure = 0
    cut.scene.render.resolution_percentage = 100
    plate = bpy.data.images.load(str(cut.folder / "plate.1006.exr"))
    assert tuple(plate.size) == (160, 96)
    assert shot.shot_of(cut.scene, meta, {}).why == "it is of type meta, which is no file"
    for strip in cut.strips:
        strip.mute = strip.name != "meta"
    shown = cut.look(25)
    meta.mute = True
    cut.strips.new_image("exr", str(cut.folder / "plate.1006.exr"), 5, 25)
    np.testing.assert_allclose(cut.look(25), shown, atol=0.005)


@pytest.mark.usefixtures("scenes")
def test_the_result_of_a_rendered_strip_lies_where_it_does_and_repeats_nothing_it_did(cut: Cut, capfd: Any) -> None:
    meta = cut.meta(22, 30)
    meta.color_saturation, meta.color_multiply, meta.blend_alpha = 0.0, 1.5, 0.5
    cut.select(meta)
    folder = rendered(cut)
    plate = cut.look(25)
    result = cut.replace(handles=2)
    assert (result.type, result.channel, result.frame_final_start, result.frame_final_end) == ("IMAGE", 2, 22, 30)
    assert (result.frame_start, len(result.elements)) == (20, 12)
    look = (result.color_saturation, result.color_multiply, result.blend_alpha)
    assert look == (1, 1, pytest.approx(0.5))
    assert sorted(path.name for path in folder.iterdir())[::11] == ["plate.1001.exr", "plate.1012.exr"]
    assert "meta is rendered by Blender first: it is of type meta" in capfd.readouterr().out
    comp = cut.look(25)
    np.testing.assert_allclose(comp[50:70, 75:85], plate[50:70, 75:85], atol=0.05)
    assert comp[4:12, 10:40, 2].mean() > comp[4:12, 10:40, 0].mean() + 0.1  # blue behind what has no colour


def test_pictures_of_what_failed_are_taken_away(cut: Cut) -> None:
    cut.meta()
    with pytest.raises(RuntimeError, match="The matte has 1 frame"):
        cut.replace(matte_file=str(cut.media / "matte.1001.png"))
    assert [path for path in (cut.folder / "anyportal").rglob("*") if path.is_file()] == []


def test_an_effect_is_rendered_with_what_it_reads_and_a_muted_part_stays_muted(cut: Cut) -> None:
    from anyportal_blender import rendering

    movie = cut.movie()
    over = cut.strips.new_image("over", str(cut.media / "matte.1001.png"), 2, 20)
    over.frame_final_end = 32
    effect = cut.cross(movie, over, 3)
    cut.strips.new_image("hides all", str(cut.media / "plate.1001.png"), 5, 20).frame_final_end = 32
    made = rendering.Rendering.of(cut.scene, effect, str(cut.folder), 4)
    assert (made.first, made.last) == (20, 31)
    while not made.go_on():
        pass
    cut.strips["hides all"].mute = True
    shown = cut.look(28)
    movie.mute = over.mute = effect.mute = True
    cut.strips.new_image("exr", str(cut.folder / "plate.1009.exr"), 6, 28)
    np.testing.assert_allclose(cut.look(28), shown, atol=0.01)


def test_a_strip_with_retiming_keys_is_no_file(cut: Cut, bpy: Any) -> None:
    from anyportal_blender import source

    strip = cut.movie()
    strip.select = True
    with cut.sequencer():
        bpy.ops.sequencer.retiming_key_add(timeline_frame=26)
    assert "another speed" in source.why_rendered(strip)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda strip: strip.modifiers.new("bright", "BRIGHT_CONTRAST"), "modifiers"),
        (lambda strip: setattr(strip, "use_reverse_frames", True), "another speed"),
        (lambda strip: setattr(strip, "strobe", 2), "another speed"),
        (lambda strip: setattr(strip, "use_deinterlace", True), "deinterlaced"),
        (lambda strip: setattr(strip.colorspace_settings, "name", "AgX Base sRGB"), "AgX Base sRGB"),
        (lambda strip: setattr(strip.colorspace_settings, "name", "AgX Log"), ""),
        (lambda strip: setattr(strip, "frame_final_start", 24), ""),
        (lambda strip: setattr(strip, "frame_final_end", 60), ""),
        (lambda strip: setattr(strip, "animation_offset_start", 3), ""),
    ],
)
def test_what_cannot_be_sent_as_a_file_is_said(cut: Cut, change: Any, why: str) -> None:
    from anyportal_blender import source

    strip = cut.movie()
    change(strip)
    assert (why in source.why_rendered(strip)) if why else source.why_rendered(strip) == ""
