"""Masks that correct what was found by itself: each is felt on the frames around its own, along the motion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType

import numpy as np

from anyportal_core.frames import FrameSource, Image
from anyportal_core.plugins.draft.flow import Flow, follow
from anyportal_core.plugins.draft.matte.amended import amended
from anyportal_core.plugins.draft.matte.common import each_frame, each_frame_back
from anyportal_core.plugins.draft.matte.pile import Pile

_NOTHING = 0.02
_FLAT = np.float32(0.5)


class Corrections:
    """What masks add to the probability found, or take from it, on every frame; it waits on disk.

    Args:
        masks: ``(H, W)`` 0..1 by the index of their frame.
        find: the probability found on a frame.
        felt: for how many frames before and after its own a mask is felt, ever less.
        checkpoint: raises where the user gave up.
    """

    def __init__(
        self,
        plate: FrameSource,
        masks: Mapping[int, Image],
        find: Callable[[Image], Image],
        felt: int,
        checkpoint: Callable[[], None],
    ) -> None:
        self._stack = ExitStack()
        self._felt, self._at = felt, sorted(masks)
        self._piles: dict[tuple[int, int], Pile] = {}
        self._flow, self._checkpoint = Flow(shrink=2), checkpoint
        for index in self._at:
            frame = plate.read(index, index + 1)[0]
            found = find(frame)
            delta = amended(frame, masks[index], found) - found
            later = each_frame(plate, index + 1, min(len(plate), index + felt))
            earlier = each_frame_back(plate, index - 1, max(0, index - felt + 1))
            for way, frames in ((1, later), (-1, earlier)):
                self._piles[index, way] = self._carried(frame, delta, frames)

    def __enter__(self) -> Corrections:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def __call__(self, index: int, found: Image) -> Image:
        """The probability ``(H, W)`` found on a frame, corrected."""
        for key in self._at:
            away = abs(index - key)
            if away < self._felt:
                delta = (self._piles[key, 1 if index >= key else -1].read(away) - _FLAT) * 2
                delta[np.abs(delta) < _NOTHING] = 0
                found = found + np.float32(self._weight(index, key)) * delta
        return np.clip(found, np.float32(0), np.float32(1))

    def _weight(self, index: int, key: int) -> float:
        """1 at the mask's own frame, 0 where it is felt no more or another mask is."""
        others = [abs(other - key) for other in self._at if (other - key) * (index - key) > 0]
        return max(0.0, 1 - abs(index - key) / min([self._felt, *others]))

    def _carried(self, frame: Image, delta: Image, frames: Iterable[Image]) -> Pile:
        pile = self._stack.enter_context(Pile(*delta.shape))
        pile.push(delta * _FLAT + _FLAT)
        for following in frames:
            self._checkpoint()
            pair = self._flow.pair(following, frame)
            delta = np.where(pair.seen, follow(delta, pair.forward), np.float32(0))
            pile.push(delta * _FLAT + _FLAT)
            frame = following
        return pile
