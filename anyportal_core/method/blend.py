"""How overlapping windows fade into each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from anyportal_core.windows import Window

Frames = NDArray[np.float32]

_STEPS = 2**16  # sums of such fractions are exact in float32


def weights(windows: Sequence[Window]) -> list[NDArray[np.float32]]:
    """The weight of each window's frames ``(stop-start,)``; over every frame of the shot they sum to 1 exactly.

    A window's weight grows through its overlap with the windows before it, and falls through its overlap with those
    after, gently at both ends: where it grew from one frame to the next at once, one would see when. The windows are in
    order and leave no gap.
    """
    count = windows[-1].stop
    raw = np.zeros((len(windows), count))
    for i, window in enumerate(windows):
        frames = np.arange(window.start, window.stop)
        entered = windows[i - 1].stop if i else window.start
        left = windows[i + 1].start if i + 1 < len(windows) else window.stop
        rise = (frames - window.start + 1) / (max(entered - window.start, 0) + 1)
        fall = (window.stop - frames) / (max(window.stop - left, 0) + 1)
        share = np.minimum(1, np.minimum(rise, fall))
        raw[i, frames] = share * share * (3 - 2 * share)
    shares = np.floor(raw / raw.sum(0) * _STEPS)
    shares[shares.argmax(0), np.arange(count)] += _STEPS - shares.sum(0)
    return [(shares[i, w.start : w.stop] / _STEPS).astype(np.float32) for i, w in enumerate(windows)]


def joined(windows: Sequence[Window], make: Callable[[int, Window], Frames]) -> Iterator[Frames]:
    """Yield the shot's frames ``(t, H, W, C)`` in order, as soon as no window to come has a share in them.

    Args:
        make: the frames of a window by its number, ``(stop-start, H, W, C)``. One window is held at a time, and what
            it has in common with the next.
    """
    shares = weights(windows)
    waiting: Frames | None = None
    for number, window in enumerate(windows):
        made = make(number, window) * shares[number][:, None, None, None]
        if waiting is not None:
            made[: len(waiting)] += waiting
        end = windows[number + 1].start if number + 1 < len(windows) else window.stop
        done, waiting = made[: end - window.start], made[end - window.start :]
        if len(done):
            yield done
