"""A matte's edge, moved and softened by hand; and foreground colours for where it was moved to."""

from __future__ import annotations

import math
from typing import Any

from array_api_compat import array_namespace

from anyportal_core.method.matting import bounds, levels, spread
from anyportal_core.ops import ImageOps

_SURE = 2**-12
"""What is closer to 0 or 1 is that: half float tells it no longer, and a blur seldom ends elsewhere."""

_STEP = 4
"""Pixels that an edge is moved by at once: discs cost their area, and many small ones make a large one."""

_SMALL = 240
"""Height of the picture that colours are spread on: they are smooth."""


def shifted(alpha: Any, pixels: float, ops: ImageOps) -> Any:
    """The matte ``(H, W)`` grown by so many pixels, or shrunk where they are below 0; its edge stays as soft as it was.

    The greatest value within a disc: along a straight edge the same profile, farther out. Parts of a pixel lie between
    two such.
    """
    move = ops.dilate if pixels > 0 else ops.erode
    whole, part = divmod(abs(pixels), 1.0)
    out, left = alpha, int(whole)
    while left > 0:
        out = move(out, min(left, _STEP))
        left -= _STEP
    return out if part == 0 else out + part * (move(out, 1) - out)


def softened(alpha: Any, sigma: float, ops: ImageOps) -> Any:
    """The matte ``(H, W)`` with its edge blurred by ``sigma`` pixels; exactly 0 and 1 away from it."""
    xp = array_namespace(alpha)
    blurred = ops.gaussian(alpha, sigma)
    blurred = xp.where(blurred < _SURE, xp.zeros_like(alpha), blurred)
    return xp.where(blurred > 1 - _SURE, xp.ones_like(alpha), blurred)


def refined(alpha: Any, shift: float, softness: float, ops: ImageOps) -> Any:
    """Both, around the foreground only: ``alpha`` ``(H, W)``; ``shift`` and ``softness`` in pixels, 0 is none."""
    xp = array_namespace(alpha)
    box = bounds(alpha > 0, math.ceil(max(shift, 0.0) + 4 * softness) + 2)
    if box is None:
        return alpha
    part = alpha[box]
    if shift:
        part = shifted(part, shift, ops)
    if softness:
        part = softened(part, softness, ops)
    out = xp.zeros_like(alpha)
    out[box] = part
    return out


def continued(foreground: Any, before: Any, after: Any, ops: ImageOps) -> Any:
    """Straight colours ``(H, W, 3)`` also where a matte reaches after it was moved: those of the foreground nearby.

    Args:
        foreground: ``(H, W, 3)``; where ``before`` was more than 0, it comes back as it is.
        before, after: ``(H, W)``.
    """
    xp = array_namespace(foreground, before)
    new = (after > 0) & (before <= 0)
    if not bool(xp.any(new)):
        return foreground
    height, width = before.shape
    shrink = max(1, round(height / _SMALL))
    h, w = -(-height // shrink), -(-width // shrink)
    weight = levels(before, 0.5, 1.0) + _SURE * before
    thin = ops.resize(weight, h, w, "area")
    own = ops.resize(foreground * weight[..., None], h, w, "area")
    colours = own / xp.clip(thin, 1e-9, None)[..., None]
    wide = ops.resize(spread(colours, thin, max(4, h // 8), ops), height, width)
    return xp.where(new[..., None], wide, foreground)
