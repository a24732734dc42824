"""Role ``harmonise``: the foreground's light and colour, made to belong to the background."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from anyportal_core.frames import FrameSource
from anyportal_core.roles import Chunk, RoleContext


class HarmonisePlugin(Protocol):
    """Relights the foreground, at full strength (the recipe's ``relight_strength`` acts in the finish).

    A plug-in that makes ``gain`` yields ``log_gain`` ``(t, h, w, 3)`` float32, the natural logarithm of
    new over old light, scene-linear, on a grid of any smaller size (unit coordinates as the plate's).
    Beside it it may yield ``veil`` ``(t, 2, 3)`` float32, light of the same kind that lies over the whole picture
    (haze, flare): what is taken off the plate's before the gain, and what the new place lays over it afterwards.
    A plug-in that makes ``relit`` yields ``relit`` ``(t, H, W, 3)``, the foreground relit, work size,
    display-referred.
    """

    def relight(
        self, plate: FrameSource, matte: FrameSource, background: FrameSource, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield the relighting for all frames in order. ``matte`` is ``(T, H, W, 1)``; sizes are equal."""
        ...
