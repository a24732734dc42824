"""Role ``clean_plate``: pictures without the foreground."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from anyportal_core.frames import FrameSource
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.settings import Setting

BACKGROUND_ORDER: Final = Setting(
    "background_order",
    "choice",
    "paper",
    "Where the foreground is removed: from the plate, before a background is painted after it (released), or from the "
    "painted background (paper).",
    choices=("released", "paper"),
)
"""A plug-in that declares this setting lets the recipe choose; without it the plate is cleaned."""


class CleanPlatePlugin(Protocol):
    """Removes the foreground from the plate, or from a background that was painted after the plate."""

    def clean(self, plate: FrameSource, matte: FrameSource, context: RoleContext) -> Iterator[Chunk]:
        """Yield ``frames`` ``(t, H, W, 3)``, display-referred, work size, for all frames in order.

        Args:
            plate: the pictures to clean.
            matte: ``(T, H, W, 1)``.
        """
        ...
