"""How a shot of any length is cut into windows that a model can see at once.

Video models of the CogVideoX family take ``4k+1`` frames (one, then groups of four). A shot is cut in
windows of that length with overlap; a short shot is padded by reflection and trimmed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GROUP: Final = 4
"""Frames that the models see as one, but for a window's first."""


@dataclass(frozen=True)
class Window:
    """Frames ``start <= i < stop`` of a shot, seen as ``len(indices)`` frames by the model.

    ``indices`` names the shot frame for every frame the model sees; it is longer than ``stop-start``
    where the window reaches beyond the shot's end (reflection).
    """

    start: int
    stop: int
    indices: tuple[int, ...]


def reflect(index: int, count: int) -> int:
    """Fold an index into ``0..count-1`` by reflection without repeating the ends."""
    if count == 1:
        return 0
    period = 2 * (count - 1)
    index = index % period
    return index if index < count else period - index


def cut(count: int, length: int, overlap: int) -> list[Window]:
    """Cut ``count`` frames into windows of ``length`` with at least ``overlap`` common frames.

    The last window is moved back so that it is full, or nearly; so its overlap may be larger. Where the overlap allows
    it, windows begin on multiples of four: so the frames that two of them share fall into the same groups in both.

    Raises:
        ValueError: ``length`` is not ``4k+1``, or ``overlap`` is not smaller than it.
    """
    if length < 1 or length % 4 != 1:
        raise ValueError(f"a window has 4k+1 frames, not {length}")
    if not 0 <= overlap < length:
        raise ValueError(f"an overlap of {overlap} does not fit a window of {length}")
    if count <= length:
        return [_window(0, length, count)]
    group = GROUP if length - overlap >= GROUP else 1
    step = (length - overlap) // group * group
    last = -(-(count - length) // group) * group
    return [_window(start, length, count) for start in (*range(0, last, step), last)]


def _window(start: int, length: int, count: int) -> Window:
    indices = tuple(reflect(index, count) for index in range(start, start + length))
    return Window(start, min(start + length, count), indices)
