"""The windows that a tracking video is drawn in.

A tracking video's colours say where a point was in the first frame, so every window of a long shot needs one of its
own. Windows overlap by less than half: no frame is in more than two.
"""

from __future__ import annotations

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.roles import StoredFrames
from anyportal_core.windows import Window


def chain(count: int, length: int, overlap: int) -> list[Window]:
    """Windows of ``length`` frames, the last one shorter. ``overlap`` is at most half of it."""
    starts = [0, *range(length - overlap, max(count - overlap, 0), length - overlap)]
    return [_window(start, min(start + length, count)) for start in starts]


def tracked_windows(motion: StoredFrames) -> list[Window]:
    """The windows that a tracking video was drawn in."""
    starts = np.unique(motion.read("window_start", 0, motion.count))
    length = int(motion.read("window_length", 0, 1)[0])
    return [_window(int(start), min(int(start) + length, motion.count)) for start in starts]


def read_tracking(motion: StoredFrames, windows: list[Window], number: int) -> tuple[Image, int]:
    """A window's tracking video ``(t, H, W, 3)`` 0..1, and how many frames the model is to see."""
    window = windows[number]
    after = windows[number + 1].start if number + 1 < len(windows) else window.stop
    own = motion.read("tracking", window.start, after)
    shared = motion.read("tracking_before", after, window.stop)
    length = int(motion.read("window_length", 0, 1)[0])
    return np.concatenate([own, shared]).astype(np.float32) / np.float32(255), length


def _window(start: int, stop: int) -> Window:
    return Window(start, stop, tuple(range(start, stop)))
