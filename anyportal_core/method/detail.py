"""What frames in the middle of the refinement take over inside the matte: another video's detail, or all of it.

AnyPortal (arXiv 2509.07472), third stage; `refinement.Transfer` says which. The blur is the released scripts': its
kernel ends at three sigmas, which the published numbers show in the third decimal.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from array_api_compat import array_namespace, device

from anyportal_core.windows import reflect


def take_over(
    target: Any, source: Any, matte: Any, band: Literal["whole", "high"], sigma: float, outside: Any = None
) -> Any:
    """``target`` with the foreground of ``source``, ``(..., H, W, C)`` in 0..1.

    Args:
        target: decoded frames of the current estimate.
        source: the video whose foreground is taken.
        matte: ``(..., H, W, 1)``, 0..1: how far it is taken over.
        band: all of it, or its high band on the target's low band.
        sigma: of the Gaussian that splits the bands, in pixels.
        outside: what surrounds the foreground, where it is not ``target``.
    """
    xp = array_namespace(target, source, matte)
    inside = source if band == "whole" else source - blur(source, sigma) + blur(target, sigma)
    around = target if outside is None else outside
    return xp.clip(around * (1 - matte) + inside * matte, 0.0, 1.0)


def blur(frames: Any, sigma: float) -> Any:
    """Gaussian blur of ``(..., H, W, C)``; the border is reflected without repeating the edge."""
    kernel = gaussian_kernel(sigma)
    for axis in (-3, -2):
        frames = _along(frames, kernel, axis)
    return frames


def gaussian_kernel(sigma: float) -> list[float]:
    """Weights of a Gaussian over ``6 * int(sigma) + 1`` pixels, 1 in all."""
    reach = 3 * int(sigma)
    raw = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-reach, reach + 1)]
    return [weight / sum(raw) for weight in raw]


def _along(frames: Any, kernel: list[float], axis: int) -> Any:
    xp = array_namespace(frames)
    count, reach = frames.shape[axis], len(kernel) // 2
    indices = [reflect(index, count) for index in range(-reach, count + reach)]
    padded = xp.moveaxis(xp.take(frames, xp.asarray(indices, device=device(frames)), axis=axis), axis, 0)
    out = padded[:count] * kernel[0]
    for start, weight in enumerate(kernel[1:], start=1):
        out = out + padded[start : start + count] * weight
    return xp.moveaxis(out, 0, axis)
