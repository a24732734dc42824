"""Role ``tracks``: points of a frame, followed through the frames after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import FrameSource
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.settings import Setting

Points = NDArray[np.float64]

POINTS: Final = Setting("points", "integer", 70, "Points along each side of the picture.", 4, 200)
WINDOW: Final = Setting(
    "window",
    "integer",
    49,
    "Frames that the background is made of at once, brought down to four times a number, and 1.",
    5,
    49,
)
OVERLAP: Final = Setting("overlap", "integer", 8, "Frames that two windows have in common, at most half of one.", 1, 24)
SETTINGS: Final = (POINTS, WINDOW, OVERLAP)
"""How a shot is cut, and where points lie. A plug-in that declares them lets the recipe choose; without them the
defaults hold. It never sees them: the stage reads them."""


class TracksPlugin(Protocol):
    """Follows points through one window of a shot at a time."""

    def follow(self, plate: FrameSource, start: Points, context: RoleContext) -> Iterator[Chunk]:
        """Yield for all frames of the window in order, the first frame's as they were given:

        ``places`` ``(t, N, 2)`` float32, x and y of every point, in pixels of the plate at work size, where pixel
        ``p`` reaches from ``p`` to ``p + 1``. A point that is hidden, or has left the picture, has a place as well:
        where it is thought to be.
        ``seen`` ``(t, N)`` bool, whether it is in sight.
        A plug-in that follows points in space yields ``depth`` ``(t, N)`` float32 beside it: the distance from the
        camera, above 0, in any scale.

        Args:
            plate: the window's frames.
            start: ``(N, 2)``, where the points are in its first frame: the middles of cells, row by row.
        """
        ...
