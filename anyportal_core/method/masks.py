"""Painted masks: how much wider than the foreground they are, and the foreground within them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from array_api_compat import array_namespace

from anyportal_core.method.matting import levels, spread
from anyportal_core.ops import ImageOps

_TINY = 1e-4


def places(frame: Any, inside: Any, outside: Any, reach: int, ops: ImageOps) -> tuple[Any, Any]:
    """Where each pixel's colour lies between the colours outside (0) and inside (1) near it.

    Args:
        frame: ``(H, W, 3)`` display-referred, 0..1.
        inside, outside: ``(H, W)``, 1 where a pixel is surely so, else 0.
        reach: how far, in pixels, colours are fetched from.

    Returns:
        The place ``(H, W)``, and how different the two colours are, squared, ``(H, W)``.
    """
    xp = array_namespace(frame, inside)
    b, f = spread(frame, outside, reach, ops), spread(frame, inside, reach, ops)
    apart = xp.sum((f - b) ** 2, axis=-1)
    return xp.sum((frame - b) * (f - b), axis=-1) / (apart + _TINY), apart


def looseness(frame: Any, mask: Any, most: int, ops: ImageOps) -> int:
    """By how many pixels a mask was painted wider than what it shows: 0..``most``.

    Its outermost rings are compared with the colours outside and those deeper inside: a ring whose better half looks
    like the outside is none of the foreground. 0 where colours tell nothing.

    Args:
        frame: ``(H, W, 3)`` display-referred, 0..1.
        mask: ``(H, W)``, 1 inside, else 0.
    """
    xp = array_namespace(frame, mask)
    layers = [mask, *(ops.erode(mask, depth) for depth in range(1, most + 1))]
    deep = next((layer for layer in reversed(layers) if xp.sum(layer) > 0.1 * xp.sum(mask)), mask)
    around = (ops.dilate(mask, most + 2) - ops.dilate(mask, 1)) * (1 - mask)
    if xp.sum(deep) == 0 or xp.sum(around) == 0:
        return 0
    place, apart = places(frame, deep, around, 2 * most, ops)
    for depth, (layer, inner) in enumerate(pairwise(layers)):
        ring = (layer > 0.5) & (inner < 0.5)
        if not xp.any(ring):
            return 0
        telling = ring & (apart >= _median(apart[ring]))
        if _median(apart[ring]) < _SAME or _median(place[telling]) >= _LIKE:
            return depth
    return most


_SAME = 1e-3  # colours that differ by 3 % tell nothing
_LIKE = 0.45


def _median(values: Any) -> float:
    xp = array_namespace(values)
    return float(xp.sort(values)[values.shape[0] // 2])


def tightened(frame: Any, mask: Any, loose: int, ops: ImageOps) -> Any:
    """The foreground ``(H, W)`` 0..1 in a mask that is ``loose`` pixels too wide: its rim is decided by colours."""
    xp = array_namespace(frame, mask)
    if loose == 0:
        return xp.asarray(mask, copy=True)
    deep = ops.erode(mask, loose)
    around = (ops.dilate(mask, loose + 2) - ops.dilate(mask, 1)) * (1 - mask)
    if xp.sum(deep) == 0 or xp.sum(around) == 0:
        return xp.asarray(mask, copy=True)
    place, _ = places(frame, deep, around, 2 * loose, ops)
    return xp.maximum(ops.erode(mask, loose + 1), mask * levels(place, 0.25, 0.75))
