"""Role ``motion``: how the camera moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from anyportal_core.frames import FrameSource
from anyportal_core.roles import Chunk, RoleContext, StoredFrames


class MotionPlugin(Protocol):
    """Estimates the plate's camera motion from its background alone.

    A plug-in that makes ``homography`` yields ``homography`` ``(t, 3, 3)`` float64: it maps points of
    the shot's first frame to frame ``t``, both in unit coordinates ``((x+0.5)/W, (y+0.5)/H)``, with
    ``[2, 2] == 1``; so the first is the identity, and no matrix depends on a resolution. It also yields
    ``confidence`` ``(t,)`` float32 0..1. Where it tells parallax it yields two more homographies, ``far`` of what is
    far and ``near`` of the ground at the first frame's lower edge, and ``horizon`` ``(t,)``, the part of its height
    from the top where ground begins; the ground between moves as its row in the first frame says, linearly.
    A plug-in that makes ``tracking_video`` yields ``tracking`` ``(t, H, W, 3)``, in the windows of the tracks that it
    is drawn from (see `anyportal_core.overlaps`).
    """

    def follow(
        self, plate: FrameSource, matte: FrameSource, tracks: StoredFrames | None, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield the motion for all frames in order.

        Args:
            matte: ``(T, H, W, 1)``.
            tracks: what the tracks stage stored (see `anyportal_core.roles.tracks`), for a plug-in whose spec needs
                them; None for others.
        """
        ...
