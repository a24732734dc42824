"""A contact shadow: where the foreground stands on the ground, the ground under it is darker."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from anyportal_core.ops import ImageOps

_REACH = 0.07
"""How far up from its lowest point the foreground counts as touching the ground, in parts of its height."""

_FLAT = 0.25
"""Height of the shadow on the ground over its width: the ground is seen at a low angle."""

_SOFT = 0.55
"""The wide part's share of the shadow; the rest is close to the contact."""

_DEEP = 0.85
"""Of the light at most is kept back where contact is closest."""

_GRID = 480
"""Long side of the picture that it is spread on: it is smooth."""

_CUT_OFF = 0.02
"""A foreground that comes so near to the picture's lower edge, in parts of its height, stands outside it."""


def contact_shadow(matte: Any, strength: float, size: float, ops: ImageOps) -> Any:
    """What the background's linear light is multiplied by, ``(H, W)``, 0..1; 1 where there is no shadow.

    Where the foreground is cut off by the lower edge of the picture, no ground is seen, and there is no shadow.

    Args:
        matte: ``(H, W)``, 0..1.
        strength: 0..1.
        size: 1 is usual: how far the shadow spreads, beside the foreground's size.
    """
    xp = array_namespace(matte)
    height = matte.shape[0]
    solid = matte > 0.5
    rows, columns = xp.any(solid, axis=1), xp.any(solid, axis=0)
    ones = xp.ones_like(matte)
    if not bool(xp.any(rows)):
        return ones
    top, bottom = _ends(xp, rows)
    left, right = _ends(xp, columns)
    tall = bottom - top
    if bottom >= height - 1 - max(_CUT_OFF * height, 1):
        return ones
    feet = _feet(xp, matte, bottom - _REACH * tall, bottom)
    spread = max(size * 0.14 * min(tall, 2 * (right - left)), 1.0)
    wide, close = (_spread(feet, sigma, ops) for sigma in (spread, spread / 4))
    if not float(xp.max(wide)) > 0:
        return ones
    # The light of the whole sky that the body keeps back, and the dark seam where it touches the ground.
    density = _SOFT * wide / xp.max(wide) + (1 - _SOFT) * close / xp.max(close)
    return ones - strength * _DEEP * xp.clip(density, 0.0, 1.0)


def _ends(xp: Any, there: Any) -> tuple[int, int]:
    """The first and the last place that is true."""
    found = xp.nonzero(there)[0]
    return int(found[0]), int(found[-1])


def _feet(xp: Any, matte: Any, start: float, bottom: int) -> Any:
    """The foreground near the ground, the more the nearer."""
    rows = xp.arange(matte.shape[0], dtype=matte.dtype)
    near = xp.clip((rows - start) / max(bottom - start, 1.0), 0.0, 1.0)
    return matte * (near**2)[:, None]


def _spread(feet: Any, sigma: float, ops: ImageOps) -> Any:
    """Blurred by ``sigma`` along the ground, and by less across it."""
    height, width = feet.shape
    scale = min(1.0, _GRID / max(height, width))
    small = max(1, round(height * scale)), max(1, round(width * scale))
    # Made tall, so that one round blur is a flat one: squeezed instead, thin feet would fall between its columns.
    tall = ops.resize(ops.resize(feet, *small, "area"), max(1, round(small[0] / _FLAT)), small[1], "linear")
    return ops.resize(ops.gaussian(tall, sigma * scale), height, width, "linear")
