"""Windows that overlap, and what is made window by window, stored frame by frame.

Point tracks and the tracking video drawn from them tell where a point was in the first frame of a window, so every
window of a long shot needs its own. Windows overlap by at most half: no frame is in more than two. A frame's
own arrays are those of the window that begins last; beside each array ``name`` lies ``name_before``, as the window
before has the same frame, 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from anyportal_core.roles import Array, Chunk, StoredFrames
from anyportal_core.windows import Window

BEFORE = "_before"


def chain(count: int, length: int, overlap: int) -> list[Window]:
    """Windows of ``length`` frames, the last one shorter. ``overlap`` is at most half of it."""
    starts = [0, *range(length - overlap, max(count - overlap, 0), length - overlap)]
    return [_window(start, min(start + length, count)) for start in starts]


def laid_out(windows: Sequence[Window], length: int, make: Callable[[int], Chunk]) -> Iterator[Chunk]:
    """Yield a chunk for each window: the frames up to where the next one begins.

    Args:
        windows: as `chain` cuts them.
        length: frames of a full window.
        make: gives the arrays of all frames of the window of a number.
    """
    before: Chunk = {}
    for number, window in enumerate(windows):
        arrays = make(number)
        end = windows[number + 1].start if number + 1 < len(windows) else window.stop
        count = end - window.start
        yield {
            **{name: array[:count] for name, array in arrays.items()},
            **{name + BEFORE: _begun_with(before.get(name), array[:count]) for name, array in arrays.items()},
            "window_start": np.full(count, window.start, np.int64),
            "window_length": np.full(count, length, np.int64),
        }
        before = {name: array[count:] for name, array in arrays.items()}


def windows_of(stored: StoredFrames) -> list[Window]:
    """The windows that something was laid out in."""
    starts, length = np.unique(stored.read("window_start", 0, stored.count)), window_length(stored)
    return [_window(int(start), min(int(start) + length, stored.count)) for start in starts]


def window_length(stored: StoredFrames) -> int:
    """Frames of a full window."""
    return int(stored.read("window_length", 0, 1)[0])


def read_window(stored: StoredFrames, windows: Sequence[Window], number: int, name: str) -> Array:
    """An array for all frames of a window, ``(t, ...)``."""
    window = windows[number]
    after = windows[number + 1].start if number + 1 < len(windows) else window.stop
    own, shared = stored.read(name, window.start, after), stored.read(name + BEFORE, after, window.stop)
    return np.concatenate([own, shared])


def _begun_with(before: Array | None, like: Array) -> Array:
    """``before`` and zeros behind it, as many frames as ``like``."""
    begun = np.zeros_like(like)
    if before is not None:
        begun[: len(before)] = before
    return begun


def _window(start: int, stop: int) -> Window:
    return Window(start, stop, tuple(range(start, stop)))
