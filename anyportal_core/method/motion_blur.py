"""The blur of a moving camera: a picture at several times while the shutter is open, and their mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_MOST = 24
"""Pictures of a frame at most: what moves by more pixels than that is drawn in steps of more than one."""

_CORNERS = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1], [0.5, 0.5, 1]]).T


def exposed(before: Matrix, here: Matrix, after: Matrix, shutter: float, pixels: float) -> list[Matrix]:
    """Where a frame's picture lies at evenly spaced times while the shutter is open, about the frame's own time.

    Args:
        before, here, after: homographies ``(3, 3)`` of the frame before, of this one and of the next.
        shutter: the part of a frame's time that it is open, 0..1.
        pixels: how many pixels the unit of their results has.
    """
    here = here / here[2, 2]
    length = shutter * pixels * max(_distance(before, here), _distance(here, after))
    count = min(math.ceil(length), _MOST)
    if count < 2:
        return [here]
    times = ((np.arange(count) + 0.5) / count - 0.5) * shutter
    return [_between(here, before if time < 0 else after, abs(float(time))) for time in times]


def motion_field(matrix: Matrix, height: int, width: int) -> NDArray[np.float32]:
    """How far each pixel is moved by a homography of unit coordinates, ``(height, width, 2)`` pixels, x and y."""
    y, x = np.mgrid[0:height, 0:width]
    x, y = (x + 0.5) / width, (y + 0.5) / height
    moved = np.tensordot(matrix, np.stack([x, y, np.ones_like(x)]), 1)
    way = np.stack([moved[0] / moved[2] - x, moved[1] / moved[2] - y], -1)
    return (way * (width, height)).astype(np.float32)


def _between(here: Matrix, there: Matrix, time: float) -> Matrix:
    return np.asarray(here * (1 - time) + there / there[2, 2] * time)


def _distance(one: Matrix, other: Matrix) -> float:
    """The farthest that a corner or the middle lies apart."""
    first, second = one @ _CORNERS, other @ _CORNERS
    return float(np.linalg.norm(first[:2] / first[2] - second[:2] / second[2], axis=0).max())
