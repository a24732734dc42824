"""Reads a tracking video in the windows that it was drawn in."""

from __future__ import annotations

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.overlaps import read_window, window_length, windows_of
from anyportal_core.roles import StoredFrames
from anyportal_core.windows import Window


def tracked_windows(motion: StoredFrames) -> list[Window]:
    """The windows that a tracking video was drawn in."""
    return windows_of(motion)


def read_tracking(motion: StoredFrames, windows: list[Window], number: int) -> tuple[Image, int]:
    """A window's tracking video ``(t, H, W, 3)`` 0..1, and how many frames the model is to see."""
    drawn = read_window(motion, windows, number, "tracking")
    return drawn.astype(np.float32) / np.float32(255), window_length(motion)
