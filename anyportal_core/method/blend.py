"""How overlapping windows fade into each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anyportal_core.ops import ImageOps
from anyportal_core.windows import Window

Frames = NDArray[np.float32]

SIGMA: Final = 4.0
"""What is finer than so many pixels is detail, where frames are mixed."""

MOST: Final = 4.0
"""As many times less energy the detail of a mixed frame may be said to have: a mean of four pictures has a fourth."""

_STEPS = 2**16  # sums of such fractions are exact in float32
_NOTHING = 1e-8  # energy: a hundredth of a code value of eight bits
_EQUAL = 1e-3  # energies that differ by less are those of windows that agree


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


def joined(
    windows: Sequence[Window], make: Callable[[int, Window], Frames], ops: ImageOps | None = None
) -> Iterator[Frames]:
    """Yield the shot's frames ``(t, H, W, C)`` in order, as soon as no window to come has a share in them.

    Args:
        make: the frames of a window by its number, ``(stop-start, H, W, C)``, 0..1. One window is held at a time, and
            what it has in common with the next.
        ops: where given, frames that are mixed keep more of their detail (see `with_detail`).
    """
    shares = weights(windows)
    waiting: list[_Mix] = []
    for number, window in enumerate(windows):
        mixes = [_Mix.of(frame, share, ops) for frame, share in zip(make(number, window), shares[number], strict=True)]
        mixes = [mix.add(other) for mix, other in zip(mixes, waiting, strict=False)] + mixes[len(waiting) :]
        end = windows[number + 1].start if number + 1 < len(windows) else window.stop
        done, waiting = mixes[: end - window.start], mixes[end - window.start :]
        if done:
            yield np.stack([mix.finished(ops) for mix in done])


@dataclass(frozen=True)
class _Mix:
    """A frame as far as it is mixed: the sum of what windows give; where it is one, of the energy of their detail."""

    frame: Frames
    energy: Frames | None

    @classmethod
    def of(cls, frame: Frames, share: np.float32, ops: ImageOps | None) -> _Mix:
        return cls(frame * share, None if ops is None or share == 1 else share * energy(frame, ops))

    def add(self, other: _Mix) -> _Mix:
        both = None if self.energy is None or other.energy is None else self.energy + other.energy
        return _Mix(self.frame + other.frame, both)

    def finished(self, ops: ImageOps | None) -> Frames:
        return self.frame if ops is None or self.energy is None else with_detail(self.frame, self.energy, ops)


def with_detail(frame: Frames, wanted: Frames, ops: ImageOps) -> Frames:
    """A frame ``(H, W, C)`` with its detail raised half-way to the energy ``(H, W, 1)`` that is wanted of it.

    The mean of two pictures that agree in the large alone has less detail than either. What differs anew in every frame
    it makes calm, too, for the few frames in which windows fade into each other; what moves along, it does not, since
    the fading is a change itself. So half-way shows least.
    """
    lost = wanted / (energy(frame, ops) + _NOTHING)
    rise = np.clip(lost, 1, MOST) ** np.float32(0.25) - 1  # a fourth: the root, and half-way
    raised = np.clip(frame + rise * (frame - ops.gaussian(frame, SIGMA)), 0, 1)
    return np.where(lost < 1 + _EQUAL, frame, raised).astype(np.float32)


def energy(frame: Frames, ops: ImageOps) -> Frames:
    """The mean square of a frame's detail around every pixel, ``(H, W, 1)``."""
    detail = frame - ops.gaussian(frame, SIGMA)
    return np.asarray(ops.gaussian((detail * detail).mean(-1, keepdims=True), 2 * SIGMA), np.float32)
