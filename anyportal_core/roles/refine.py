"""Role ``refine``: steady in time, with the foreground's own detail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from anyportal_core.frames import FrameSource
from anyportal_core.roles import Chunk, RoleContext, StoredFrames


class RefinePlugin(Protocol):
    """Makes the relighting steady and hands the finish a gain.

    Yields ``log_gain`` ``(t, h, w, 3)`` and, if it likes, ``veil`` ``(t, 2, 3)``, as the harmonise role defines
    them. A plug-in that repaints the background as well (makes ``video``) yields ``frames`` ``(t, H, W, 3)`` beside.
    """

    def steady(
        self,
        plate: FrameSource,
        matte: FrameSource,
        background: FrameSource,
        harmonised: StoredFrames,
        context: RoleContext,
    ) -> Iterator[Chunk]:
        """Yield the refined relighting for all frames in order.

        ``harmonised`` holds ``log_gain`` or ``relit``, whichever the harmonise plug-in made.
        """
        ...
