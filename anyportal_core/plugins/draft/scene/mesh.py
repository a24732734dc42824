"""A picture drawn as two layers, what is far and the nearest ground, blended by its rows: it bends and never tears."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.plugins.draft.scene.plane import Matrix, through_corners

_CELL = 8  # pixels: places are worked out so far apart, and are linear between
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def between(one: NDArray[np.float64], other: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Homographies ``(t, 3, 3)`` of unit coordinates that many parts ``(t,)`` of the way from one to another.

    What lies on the way is where the corners of a frame come from.
    """
    made = one.copy()
    for index, share in enumerate(shares):
        if share:
            first, second = (_moved(np.linalg.inv(each[index]), _CORNERS) for each in (one, other))
            back = np.linalg.inv(through_corners(_CORNERS, first + share * (second - first)))
            made[index] = back / back[2, 2]
    return made


def depth_line(placement: Matrix, horizon: float) -> NDArray[np.float64]:
    """How near a place ``(x, y, 1)`` of the backdrop is, as factors of a sum: 0 at the horizon, 1 at the plate's foot.

    Args:
        placement: of the first frame, where both layers are one.
        horizon: in parts of the plate's height from the top.
    """
    row = np.linalg.inv(placement)[1] / np.linalg.inv(placement)[2, 2]
    return np.asarray((row - [0, 0, horizon]) / (1 - horizon))


def places(
    far: Matrix, near: Matrix, line: NDArray[np.float64], across: NDArray[np.float64], down: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What of the backdrop lies at places of the plate, all in unit coordinates: x and y.

    A place of the backdrop is as near as its own row is, wherever the camera has moved it. As both layers stand for
    places on one line, the row that fits is the solution of one equation; held between the two, it is always there.
    """
    points = np.stack([across, down], -1)
    back, front = _moved(far, points), _moved(near, points)
    apart = front - back
    start, gain = back @ line[:2] + line[2], apart @ line[:2]
    share = np.clip(start / np.maximum(1 - gain, 0.25), 0, 1)
    found = back + share[..., None] * apart
    return found[..., 0], found[..., 1]


def draw(picture: Image, far: Matrix, near: Matrix, line: NDArray[np.float64], height: int, width: int) -> Image:
    """The backdrop ``picture`` as the plate ``(height, width)`` sees it; its border is reflected."""
    for axis in (0, 1):
        if picture.shape[axis] == 1:  # OpenCV 5.0 never returns from reflecting a single row or column
            picture = np.repeat(picture, 2, axis)
    rows, columns = (max(2, -(-side // _CELL) + 1) for side in (height, width))
    down, across = np.mgrid[0:rows, 0:columns] * float(_CELL)
    x, y = places(far, near, line, (across + 0.5) / width, (down + 0.5) / height)
    sides = np.array(picture.shape[1::-1])
    grids = [(each * side - 0.5).astype(np.float32) for each, side in zip((x, y), sides, strict=True)]
    at = [_between_cells(grid, height, width) for grid in grids]
    drawn = cv2.remap(picture, at[0], at[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(drawn, np.float32)


def _between_cells(grid: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """A value for every pixel, linear between those at every ``_CELL``-th."""
    scale = np.array([[1 / _CELL, 0, 0], [0, 1 / _CELL, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(grid, scale, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _moved(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved[..., :2] / moved[..., 2:])
