"""Where a foreground's surface faces, told from its matte alone: as if it were blown up like a cushion."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from anyportal_core.ops import ImageOps

_SCALES = (0.05, 0.1, 0.2, 0.35)
"""Blurs of the matte, in parts of its size, whose sum is the cushion: steep at its edge, still round in its middle."""

_STEEP = 0.8
"""Slopes in parts of the steepest that count as facing all sideways."""


def cushion(matte: Any, ops: ImageOps) -> tuple[Any, Any]:
    """Where the surface faces, to the right and down, each ``(h, w)`` -1..1; together at most 1 long.

    Args:
        matte: ``(h, w)``, 0..1, on a coarse grid.
    """
    xp = array_namespace(matte)
    size = float(xp.sum(matte)) ** 0.5
    if size < 1:
        return xp.zeros_like(matte), xp.zeros_like(matte)
    height = sum(ops.gaussian(matte, max(size * part, 0.5)) for part in _SCALES)
    down, across = (-_slope(ops.box(height, 1), axis) for axis in (0, 1))
    length = xp.sqrt(across * across + down * down)
    steepest = float(xp.max(length * xp.astype(matte > 0.5, matte.dtype)))
    scale = xp.clip(length, max(_STEEP * steepest, 1e-6), None)
    return across / scale, down / scale


def _slope(values: Any, axis: int) -> Any:
    """Half the difference of both neighbours; level where there is but one row or column."""
    xp = array_namespace(values)
    count = values.shape[axis]
    if count == 1:
        return xp.zeros_like(values)
    places = xp.arange(count)
    after, before = xp.clip(places + 1, None, count - 1), xp.clip(places - 1, 0, None)
    return (xp.take(values, after, axis=axis) - xp.take(values, before, axis=axis)) / 2
