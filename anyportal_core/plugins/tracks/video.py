"""Role ``motion``: point tracks, drawn with their depth as a tracking video."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from anyportal_core.errors import RecipeError
from anyportal_core.frames import FrameSource
from anyportal_core.method.tracking import draw_tracks
from anyportal_core.overlaps import laid_out, read_window, window_length, windows_of
from anyportal_core.plugins.device import Load, check_fits, keep_on
from anyportal_core.plugins.tracks.depth import Depth, load_depth
from anyportal_core.plugins.tracks.flow import pixels
from anyportal_core.roles import Chunk, RoleContext, StoredFrames
from anyportal_core.roles.tracks import OVERLAP

Floats = NDArray[np.float32]

MODEL: Final = "depth"
WORKING_MEMORY: Final = 2.0
"""Gigabytes that a pass over one frame takes besides the weights."""

MOST_SHARED: Final = int(OVERLAP.maximum or 0)
"""Frames that two windows have in common at most."""


class TrackingVideo:
    """Every point is drawn wherever it is thought to be, whether in sight or not, as the published drawing does.

    What is hidden keeps the depth that it was last seen at: so it lies behind what hides it. The foreground's points
    are drawn like all others.
    """

    def follow(
        self, plate: FrameSource, matte: FrameSource, tracks: StoredFrames | None, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield ``tracking`` ``(t, H, W, 3)`` uint8, laid out as the tracks are (see `anyportal_core.overlaps`)."""
        if tracks is None:
            raise RecipeError(
                "there are no tracks to draw", where="recipe.settings.motion.plugin", hint="set tracks.plugin"
            )
        windows = windows_of(tracks)
        depths = None if "depth" in tracks.names else _Depths(plate, context)

        def draw(number: int) -> Chunk:
            places = np.asarray(read_window(tracks, windows, number, "places"), np.float32)
            if depths is None:
                z = np.asarray(read_window(tracks, windows, number, "depth"), np.float32)
            else:
                seen = np.asarray(read_window(tracks, windows, number, "seen"), bool)
                found = [depths.at(i, spots) for i, spots in zip(windows[number].indices, places, strict=True)]
                z = _held(np.stack(found), seen)
            points = np.concatenate([places, z[..., None]], axis=-1)
            return {"tracking": draw_tracks(points, plate.height, plate.width)}

        yield from laid_out(windows, window_length(tracks), lambda number: context.part(number, partial(draw, number)))

    def check_memory(self, context: RoleContext) -> None:
        check_fits(context.device, _memory(context))


class _Depths:
    """Depth of a shot's frames. Those that two windows share are found once."""

    def __init__(self, plate: FrameSource, context: RoleContext) -> None:
        self._plate, self._context = plate, context
        self._network = _load(context)
        self._kept: dict[int, Floats] = {}

    def at(self, index: int, places: Floats) -> Floats:
        """Depth ``(N,)`` of a frame at places ``(N, 2)``; windows are asked for in order."""
        if index not in self._kept:
            self._context.checkpoint()
            self._kept[index] = np.asarray(self._network(self._plate.read(index, index + 1)[0]), np.float32)
            self._context.progress((index + 1) / len(self._plate))
        self._kept = {kept: depth for kept, depth in self._kept.items() if kept > index - MOST_SHARED}
        rows, columns = pixels(places, self._plate.height, self._plate.width)
        return self._kept[index][rows, columns]


def _held(depth: Floats, seen: NDArray[np.bool_]) -> Floats:
    """``(T, N)``: where a point is not seen, what it had when it was seen last; it is in the first frame."""
    held = depth.copy()
    for before, now, there in zip(held[:-1], held[1:], seen[1:], strict=True):
        now[~there] = before[~there]
    return held


def _load(context: RoleContext) -> Depth:
    folder, device = context.models.find(MODEL), context.device
    key = MODEL, context.models.revision(MODEL), device
    return keep_on(device, key, _memory(context), lambda: load_depth(folder, device))


def _memory(context: RoleContext) -> Load:
    return Load(((context.models.find(MODEL), torch.float32),), WORKING_MEMORY)
