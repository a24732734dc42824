"""Role ``refine``: steady in time, with the foreground's own detail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from anyportal_core.frames import FrameSource
from anyportal_core.roles import Chunk, RoleContext, StoredFrames


class RefinePlugin(Protocol):
    """Makes the relighting steady and hands the finish a gain.

    Yields ``log_gain`` ``(t, h, w, 3)``, as the harmonise role defines it. The harmonised ``veil`` goes along with it
    by itself; a plug-in that changes it yields its own, ``(t, 2, 3)``, zeros for none. A plug-in that repaints the
    background as well (makes ``video``) yields ``frames`` ``(t, H, W, 3)`` beside: its pictures show the light of
    ``harmonised``, the veil too, and none is added to the gain that they show.
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
