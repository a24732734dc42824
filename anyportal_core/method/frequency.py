"""Low and high band of a picture, and how one picture's detail is given to another."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from anyportal_core.ops import ImageOps


def split(image: Any, ops: ImageOps, sigma: float) -> tuple[Any, Any]:
    """``(low, high)`` of ``(H, W, C)`` float32, by a Gaussian of ``sigma`` pixels; ``low + high == image`` exactly.

    The bands are float64: the difference of two float32 of one picture fits into it without rounding.
    """
    xp = array_namespace(image)
    low = xp.astype(ops.gaussian(image, sigma), xp.float64)
    return low, xp.astype(image, xp.float64) - low


def transfer_detail(source: Any, target: Any, matte: Any, ops: ImageOps, sigma: float) -> Any:
    """``target`` with the high band of ``source`` where ``matte`` is 1, ``(H, W, C)`` float32.

    AnyPortal (arXiv 2509.07472), refinement: the foreground keeps the detail of the original video. Where the
    matte is 0 ``target`` comes back bit for bit.

    Args:
        matte: ``(H, W, 1)``, 0..1: how far the detail is taken over.
    """
    xp = array_namespace(source, target, matte)
    low, _ = split(target, ops, sigma)
    _, high = split(source, ops, sigma)
    detailed = xp.astype(low + high, target.dtype)
    return xp.where(matte == 0, target, target + (detailed - target) * matte)
