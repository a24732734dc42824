"""Pictures of a clip by index, in the order in which a retimed or mirrored clip wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from anyportal_core.frames import Image
from anyportal_core.media.clip import Clip, Frame

_AHEAD = 8
"""Frames ahead: of a movie, one that is nearer is reached sooner by reading on than from its key frame."""

_KEPT_VALUES = 48_000_000
"""Of a movie that is played backwards, so many values are decoded at once; a frame alone may need all from its key."""


class Wandering:
    """Cheap where the index stays, rises by a little, or falls by one.

    Args:
        size: ``(h, w)`` to decode to.
        prepare: makes the picture of a frame.
    """

    def __init__(self, clip: Clip, size: tuple[int, int], prepare: Callable[[Frame], Image]) -> None:
        self._clip, self._size, self._prepare = clip, size, prepare
        movie = clip.info.kind == "movie"
        self._ahead = _AHEAD if movie else 1
        self._backwards = max(1, _KEPT_VALUES // (3 * size[0] * size[1])) if movie else 1
        self._kept: dict[int, Image] = {}
        self._coming: Iterator[Frame] = iter(())
        self._next = -1  # of what is coming; below 0: nothing is

    def read(self, index: int) -> Image:
        """Picture ``index`` ``(h, w, 3)``."""
        if index not in self._kept:
            falls = bool(self._kept) and index == min(self._kept) - 1
            first = max(0, index + 1 - self._backwards) if falls else index
            if self._next < 0 or not 0 <= first - self._next < self._ahead:
                self._coming = self._clip.frames(self._clip.info.numbers[first:], size=self._size)
                self._next = first
            wanted = islice(self._coming, first - self._next, index + 1 - self._next)
            self._kept, self._next = {}, -1  # what is left where reading fails
            self._kept = {first + place: self._prepare(frame) for place, frame in enumerate(wanted)}
            self._next = index + 1
        return self._kept[index]
