"""Pictures made at work size, at the plate's size."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from anyportal_core.ops import ImageOps

_SHRINK = 8
"""Pixels of a plate in one of what tells where it is patched."""

_SOFT = 2
"""Of those, how far a patch fades out on both sides of its border, which lies twice as far from the foreground."""


def enlarge(picture: Any, height: int, width: int, ops: ImageOps) -> Any:
    """A picture ``(h, w, C)`` at a larger size, as sharp as can be without a rim at its edges.

    Lanczos's kernel is sharp and rings; so no pixel may be brighter or darker than those that it lies among.
    """
    xp = array_namespace(picture)
    sharp = ops.resize(picture, height, width, "lanczos")
    least, most = (ops.resize(reached, height, width, "linear") for reached in _extremes(picture, ops))
    return xp.minimum(xp.maximum(sharp, least), most)


def _extremes(picture: Any, ops: ImageOps) -> tuple[Any, Any]:
    """The darkest and the brightest within a pixel of each."""
    return ops.erode(picture, 1), ops.dilate(picture, 1)


def patched(plate: Any, painted: Any, matte: Any, ops: ImageOps) -> Any:
    """The plate ``(H, W, 3)`` with what was painted where the matte ``(H, W)`` is not 0, and softly around that."""
    xp = array_namespace(plate)
    height, width = matte.shape
    h, w = (max(1, -(-side // _SHRINK)) for side in (height, width))
    hole = xp.astype(ops.resize(xp.astype(matte > 0, matte.dtype), h, w, "area") > 0, matte.dtype)
    share = ops.resize(ops.box(ops.dilate(hole, 2 * _SOFT), _SOFT), height, width, "linear")
    share = xp.where(matte > 0, xp.ones_like(share), share)[..., None]
    return plate * (1 - share) + painted * share
