"""What differs between the versions of Blender from 4.2 on. Nothing else asks which one runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

# The names of 5.1, and those before it, which 6.0 takes away.
_TIMES = {
    "content_start": "frame_start",
    "content_duration": "frame_duration",
    "left_handle": "frame_final_start",
    "right_handle": "frame_final_end",
    "left_handle_offset": "frame_offset_start",
    "right_handle_offset": "frame_offset_end",
    "content_trim_start": "animation_offset_start",
    "content_trim_end": "animation_offset_end",
}
_KEYFRAME = ("co", "interpolation", "easing", "handle_left_type", "handle_right_type", "handle_left", "handle_right")
PATH_OPTIONS = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()
"""For properties that are paths, which may begin with // for the folder of the .blend file."""


@dataclass(frozen=True)
class Timing:
    """Where a strip lies, in frames of the timeline; `left` is its first frame, `right` the one after its last.

    Args:
        content: where its media begin, were it not trimmed.
        frames: how many frames its media have.
        trim: how many frames at the head of the media are not part of the content.
    """

    content: int
    frames: int
    left: int
    right: int
    trim: int


def timing(strip: Any) -> Timing:
    """Where a strip lies."""
    names = ("content_start", "content_duration", "left_handle", "right_handle")
    content, frames, left, right = (round(getattr(strip, _time_name(strip, name))) for name in names)
    trim = _time_name(strip, "content_trim_start")
    return Timing(content, frames, left, right, round(getattr(strip, trim, 0)))


def place(strip: Any, content: int, left: int, right: int) -> None:
    """Put a strip's media at a frame of the timeline, then its handles."""
    setattr(strip, _time_name(strip, "content_start"), content)
    # A handle stops at the other one: the right one gives way first, and comes where it should be in the end.
    for name, frame in (("right_handle", right), ("left_handle", left), ("right_handle", right)):
        setattr(strip, _time_name(strip, name), frame)


def is_time(name: str) -> bool:
    """Whether a property of a strip says where it lies."""
    return name in _TIMES or name in _TIMES.values() or name in ("duration", "frame_final_duration", "content_end")


def is_retimed(strip: Any) -> bool:
    """Whether a strip shows its media at another speed: by keys, by a rate of its own, backwards, or in steps."""
    if len(getattr(strip, "retiming_keys", ())) or getattr(strip, "use_reverse_frames", False):
        return True
    if getattr(strip, "strobe", 1) > 1:
        return True
    offsets = sum(getattr(strip, _time_name(strip, name)) for name in ("left_handle_offset", "right_handle_offset"))
    where = timing(strip)
    return bool(abs((where.right - where.left) - (where.frames - offsets)) >= 1)


def scene_of(context: Any) -> Any:
    """The scene that the sequencer shows: its own from 5.0 on."""
    return getattr(context, "sequencer_scene", None) or context.scene


def scene_named(name: str) -> Any:
    """A scene by its name; None where there is none."""
    return bpy.data.scenes.get(name)


def strips_of(holder: Any) -> Any:
    """The strips of a sequence editor or of a meta strip: `sequences` before 4.4."""
    return holder.strips if hasattr(holder, "strips") else holder.sequences


def all_strips(scene: Any) -> dict[str, Any]:
    """All strips of a scene by their names, those inside meta strips too."""
    editor = scene.sequence_editor
    if editor is None:
        return {}
    found = editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all
    return {strip.name: strip for strip in found}


def inputs_of(strip: Any) -> list[Any]:
    """The strips that an effect reads."""
    return [found for name in ("input_1", "input_2") if (found := getattr(strip, name, None)) is not None]


def curves_of(scene: Any) -> Any:
    """The curves that animate a scene; None where there are none."""
    animation = scene.animation_data
    action = animation.action if animation else None
    if action is None:
        return None
    if hasattr(action, "fcurves"):  # until 4.5
        return action.fcurves
    from bpy_extras import anim_utils

    bag = anim_utils.action_get_channelbag_for_slot(action, animation.action_slot)
    return bag.fcurves if bag else None


def copy_curve(curves: Any, curve: Any, path: str) -> None:
    """The same curve for another property; one that is there already is replaced."""
    old = curves.find(path, index=curve.array_index)
    if old is not None:
        curves.remove(old)
    made = curves.new(path, index=curve.array_index)
    made.extrapolation = curve.extrapolation
    made.keyframe_points.add(len(curve.keyframe_points))
    for point, given in zip(made.keyframe_points, curve.keyframe_points, strict=True):
        for name in _KEYFRAME:
            setattr(point, name, getattr(given, name))
    made.update()


def write_exr(settings: Any) -> None:
    """Have a scene's pictures written as half float EXR with alpha."""
    if hasattr(settings, "media_type"):  # from 5.0: it decides which formats may be named
        settings.media_type = "IMAGE"
    settings.file_format = "OPEN_EXR"
    settings.color_mode, settings.color_depth, settings.exr_codec = "RGBA", "16", "ZIP"


def working_space() -> str:
    """The name of the scene-linear space that Blender renders in: the file's own from 5.0 on."""
    chosen = getattr(getattr(bpy.data, "colorspace", None), "working_space", "")
    return str(chosen) or "Linear Rec.709"


def _time_name(strip: Any, name: str) -> str:
    return name if hasattr(strip, name) else _TIMES[name]
