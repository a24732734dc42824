"""Role ``first_frame``: the picture that the new background begins with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from anyportal_core.frames import FrameSource
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.background import Backdrop


class FirstFramePlugin(Protocol):
    """Makes the new place as it looks in the shot's first frame, without the foreground."""

    def paint(
        self, plate: FrameSource, matte: FrameSource, backdrop: Backdrop, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield one chunk of one frame: ``frames`` ``(1, H, W, 3)``, display-referred, work size.

        Args:
            matte: ``(T, H, W, 1)``.
            backdrop: a prompt, or a still that is the first frame.
        """
        ...
