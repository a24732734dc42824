"""Blurs so wide that a smaller picture serves as well: a fraction of the time at a plate's full size."""

from __future__ import annotations

from typing import Any

from anyportal_core.ops import ImageOps

_ENOUGH = 6.0
"""Deviation, in pixels, that a blur has on the smaller picture: what the smaller grid loses is below a thousandth."""


def wide_blur(image: Any, sigma: float, ops: ImageOps) -> Any:
    """Gaussian blur of ``(H, W)`` or ``(H, W, C)`` by ``sigma`` pixels, on a coarser grid where it is wide."""
    height, width = image.shape[:2]
    scale = min(1.0, _ENOUGH / max(sigma, 1e-6))
    small = max(1, round(height * scale)), max(1, round(width * scale))
    if scale > 0.5 or small == (height, width):
        return ops.gaussian(image, sigma)
    shrunk = ops.gaussian(ops.resize(image, *small, "area"), sigma * small[0] / height)
    return ops.resize(shrunk, height, width, "linear")
