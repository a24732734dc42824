"""Pictures of any size shown to a model that takes certain sizes: continued by their reflection, cut out again."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device

from anyportal_core.sizes import Fit
from anyportal_core.windows import reflect


def continued(pictures: Any, place: Fit, axes: tuple[int, int] = (-3, -2)) -> Any:
    """Pictures of ``place.height`` by ``place.width`` as the model sees them, their reflection around them.

    The outermost pixels are not repeated; where a side is reflected over more than its length, it is over and over.

    Args:
        axes: of rows and columns; by default those of ``(..., H, W, C)``.
    """
    pictures = _taken(pictures, axes[0], place.height, place.top, place.rows)
    return _taken(pictures, axes[1], place.width, place.left, place.columns)


def cut_out(pictures: Any, place: Fit, axes: tuple[int, int] = (-3, -2)) -> Any:
    """What `continued` has added taken away again."""
    index = [slice(None)] * pictures.ndim
    index[axes[0]] = slice(place.top, place.top + place.height)
    index[axes[1]] = slice(place.left, place.left + place.width)
    return pictures[tuple(index)]


def _taken(pictures: Any, axis: int, side: int, before: int, count: int) -> Any:
    if count == side:
        return pictures
    xp = array_namespace(pictures)
    order = xp.asarray([reflect(index - before, side) for index in range(count)], device=device(pictures))
    return xp.take(pictures, order, axis=axis % pictures.ndim)
