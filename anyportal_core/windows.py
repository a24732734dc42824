"""How a shot of any length is cut into windows that a model can see at once.

Video models of the CogVideoX family take ``4k+1`` frames (one, then groups of four). A shot is cut in
windows of that length with overlap; a short shot is padded by reflection and trimmed again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Frames ``start <= i < stop`` of a shot, seen as ``len(indices)`` frames by the model.

    ``indices`` names the shot frame for every frame the model sees; it is longer than ``stop-start``
    only when the shot is shorter than one window (reflection).
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

    The last window is moved back so that it is full; so its overlap may be larger.

    Raises:
        ValueError: ``length`` is not ``4k+1``, or ``overlap`` is not smaller than it.
    """
    if length < 1 or length % 4 != 1:
        raise ValueError(f"a window has 4k+1 frames, not {length}")
    if not 0 <= overlap < length:
        raise ValueError(f"an overlap of {overlap} does not fit a window of {length}")
    if count <= length:
        return [Window(0, count, tuple(reflect(i, count) for i in range(length)))]
    starts = [*range(0, count - length, length - overlap), count - length]
    return [Window(s, s + length, tuple(range(s, s + length))) for s in starts]
