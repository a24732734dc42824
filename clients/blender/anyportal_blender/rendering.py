"""Render one strip to EXR, as Blender shows it alone, where its media cannot be sent as they are.

The user's scene is not touched: a copy of it is rendered and thrown away, whatever happens. Rendering goes in slices,
so that the host can be used in between, and no copy outlives its slice: nobody can save it, or undo into it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import bpy

from . import colour, compat
from .compat import Timing
from .errors import Refused

FIRST = 1001
"""The number of the first rendered file: frames of a timeline may be negative, those of files had better not."""
_SLICE = 0.5  # seconds of rendering between two looks at what the user does


@dataclass
class Rendering:
    """Pictures of a strip on their way to the disk.

    Args:
        scene: the scene's name, and the strip's: what undo makes anew keeps its name only.
        folder: where the pictures go.
        first: first frame of the timeline, likewise `last`.
        where: where the strip lies; when it is moved meanwhile, the rendering is worth nothing.
    """

    scene: str
    strip: str
    folder: str
    first: int
    last: int
    where: Timing
    done: int = field(default=0, init=False)

    @classmethod
    def of(cls, scene: Any, strip: Any, folder: str, handles: int) -> Rendering:
        """The rendering of what a strip shows, and of handles."""
        return cls(scene.name, strip.name, folder, *span(strip, handles), compat.timing(strip))

    @property
    def pattern(self) -> str:
        return os.path.join(self.folder, "plate.%04d.exr")

    @property
    def fraction(self) -> float:
        return self.done / (self.last - self.first + 1)

    def number_of(self, frame: int) -> int:
        """The number of the file that shows a frame of the timeline."""
        return FIRST + frame - self.first

    def go_on(self, seconds: float = _SLICE) -> bool:
        """Render for a while; gives whether all of it is there.

        Raises:
            Refused: the strip is gone or was moved, or Blender did not render it.
        """
        end = time.monotonic() + seconds
        with _alone(self) as scene:
            while self.done <= self.last - self.first:
                self._render(scene)
                self.done += 1
                if time.monotonic() > end:
                    break
        return self.done > self.last - self.first

    def _render(self, scene: Any) -> None:
        frame = self.first + self.done
        path = self.pattern % self.number_of(frame)
        # As an animation of one frame: a still shows the frame of the window's scene, whichever scene is rendered.
        scene.frame_start = scene.frame_end = frame
        scene.render.filepath = os.path.join(self.folder, "frame")
        made = scene.render.frame_path(frame=frame)
        try:
            bpy.ops.render.render(animation=True, scene=scene.name)
        except RuntimeError as error:
            raise Refused(f"Blender could not render the strip: {error}", self.strip, "render it by hand") from None
        if not os.path.isfile(made):
            raise Refused("Blender rendered the strip but wrote no file", made, "look at the folder's rights and space")
        os.replace(made, path)


def span(strip: Any, handles: int) -> tuple[int, int]:
    """First and last frame of the timeline to render: what shows, and handles as far as there is more."""
    where = compat.timing(strip)
    first, last = where.left, where.right - 1
    if handles and not compat.is_retimed(strip) and not compat.inputs_of(strip):
        first = max(first - handles, min(first, where.content))
        last = min(last + handles, max(last, where.content + where.frames - 1))
    return first, last


def colour_space() -> str:
    """What to say of the colours of rendered pictures; empty where their files say it.

    Raises:
        Refused: the file works in a space that AnyPortal has no name for.
    """
    name = compat.working_space()
    said = colour.spoken(name)
    if said is None:
        raise Refused(f"AnyPortal has no {name}, in which this file renders", hint="render the strip by hand to a file")
    return said


@contextmanager
def _alone(rendering: Rendering) -> Iterator[Any]:
    """A copy of a scene that shows one strip and nothing else."""
    scene, where = compat.scene_named(rendering.scene), rendering.where
    original = compat.all_strips(scene).get(rendering.strip) if scene else None
    if original is None:
        raise Refused("the strip is gone", rendering.strip, "undo what removed it, and start again")
    if compat.timing(original) != where:
        raise Refused("the strip was moved or trimmed while it was rendered", rendering.strip, "start again")
    copy = scene.copy()
    try:
        strip = compat.all_strips(copy)[rendering.strip]
        _keep_only(copy, strip)
        _neutral(strip)
        if (rendering.first, rendering.last) != (where.left, where.right - 1):
            compat.place(strip, where.content, rendering.first, rendering.last + 1)
        _set_up(copy.render)
        yield copy
    finally:
        bpy.data.scenes.remove(copy)


def _keep_only(scene: Any, strip: Any) -> None:
    """Mute all other strips but those that this one is made of and those that it lies in."""
    kept = {strip.name}
    waiting = [strip]
    while waiting:
        part = waiting.pop()
        parts = compat.inputs_of(part) + (list(compat.strips_of(part)) if part.type == "META" else [])
        kept |= {each.name for each in parts}  # what is muted among them stays so
        waiting += parts
    for meta in compat.all_strips(scene).values():
        if meta.type == "META" and strip.name in _names_in(meta):
            kept.add(meta.name)
            _neutral(meta)
    for other in compat.all_strips(scene).values():
        if other.name not in kept:
            other.mute = True
    strip.mute = False


def _names_in(meta: Any) -> set[str]:
    """The names of all strips inside a meta strip, however deep."""
    inner = list(compat.strips_of(meta))
    return {each.name for each in inner}.union(*(_names_in(each) for each in inner if each.type == "META"))


def _neutral(strip: Any) -> None:
    """How a strip lies over others is for the result: its picture is wanted alone, and whole."""
    strip.blend_type, strip.blend_alpha = "REPLACE", 1.0


def _set_up(render: Any) -> None:
    render.resolution_percentage = 100
    render.use_sequencer, render.use_compositing = True, False
    render.use_border = render.use_multiview = render.use_stamp = render.use_placeholder = False
    render.use_overwrite = render.use_file_extension = True
    render.dither_intensity = 0
    compat.write_exr(render.image_settings)
