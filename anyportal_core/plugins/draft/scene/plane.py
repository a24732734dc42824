"""Motions of a plane between two pictures, fitted to matched points. Pixel coordinates, float64 matrices."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Points = NDArray[np.float32]

_NOISE = 0.2  # of a match, in pixels, at least
_MEDIAN = 2 * np.log(2)  # of the squared length of a normal error with unit variance along either axis


@dataclass(frozen=True)
class Models:
    """The motions that were fitted to one set of matches.

    Args:
        similarity, homography: ``(3, 3)``, from the first picture to the second.
        similarity_cost, homography_cost: how badly each explains the plane's matches, its complexity included.
        inlying: the matches ``(n,)`` that lie on the plane.
        uncertainty: standard deviation of the homography at the picture's worst corner, in pixels.
    """

    similarity: Matrix
    homography: Matrix
    similarity_cost: float
    homography_cost: float
    inlying: NDArray[np.bool_]
    uncertainty: float

    @classmethod
    def still(cls) -> Models:
        """No motion, known for certain."""
        return cls(np.eye(3), np.eye(3), 0.0, 0.0, np.ones(1000, bool), 0.0)

    @property
    def inliers(self) -> int:
        return int(self.inlying.sum())


def fit_models(start: Points, end: Points, shape: tuple[int, ...]) -> Models | None:
    """Find the plane most matches ``(n, 2)`` lie on, and fit both motions to it; None where there is none.

    The cost is Torr's GRIC ("Geometric motion segmentation and model selection", 1998): the squared errors in
    units of the noise, held at 4, plus a price for each parameter. Each match weighs as much as it lies on the
    plane, so that what is nearer or farther does not choose between the two. The noise is that of the matches on the
    plane: were it taken for less, all errors in grainy footage would be held, and the fewer parameters would win.
    """
    found, inlying = cv2.findHomography(start, end, cv2.USAC_MAGSAC, 1.0, maxIters=2000, confidence=0.999)
    if found is None or not np.isfinite(found).all() or (inlying > 0).sum() < 4:
        return None
    homography, lies = np.asarray(found / found[2, 2], np.float64), inlying[:, 0] > 0
    squares = _squares(homography, start, end)
    variance = max(_NOISE**2, float(np.median(squares[lies])) / _MEDIAN)
    weights = 1 / (1 + squares / variance)
    similarity = fit_similarity(start, end, weights)
    price = np.log(4 * len(start))
    plain, leaning = (
        float(weights @ np.minimum(each / variance, 4)) for each in (_squares(similarity, start, end), squares)
    )
    return Models(
        similarity=similarity,
        homography=homography,
        similarity_cost=plain + 4 * price,
        homography_cost=leaning + 8 * price,
        inlying=lies,
        uncertainty=_uncertainty(start[lies], shape),
    )


def _squares(matrix: Matrix, start: Points, end: Points) -> NDArray[np.float64]:
    """Squared distances ``(n,)``, in pixels."""
    return np.asarray(np.square(transform(matrix, start) - end).sum(1), np.float64)


def _uncertainty(points: Points, shape: tuple[int, ...]) -> float:
    """How far a homography fitted to matches of ``points`` may be off at the corners, to first order."""
    height, width = shape[:2]
    size = max(height, width)
    jacobian = motion_jacobian((points - [width / 2, height / 2]) / size)
    corners = motion_jacobian((corners_of(height, width) - [width / 2, height / 2]) / size)
    if len(jacobian) < 8:
        return float("inf")
    covariance = np.linalg.pinv(jacobian.T @ jacobian, rcond=1e-12)
    return float(_NOISE * np.sqrt(np.einsum("ij,jk,ik->i", corners, covariance, corners).max()))


def motion_jacobian(points: NDArray[np.floating]) -> Matrix:
    """Derivatives of the moved ``(x, y)`` by a homography's eight parameters at the identity, ``(2n, 8)``."""
    x, y = points.T.astype(np.float64)
    one, nil = np.ones_like(x), np.zeros_like(x)
    across = np.stack([x, y, one, nil, nil, nil, -x * x, -x * y], 1)
    down = np.stack([nil, nil, nil, x, y, one, -x * y, -y * y], 1)
    return np.concatenate([across, down])


def transform(matrix: Matrix, points: NDArray[np.floating]) -> Points:
    """Points ``(n, 2)`` moved by a homography, float32."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    depth = np.where(np.abs(moved[:, 2:]) < 1e-9, 1e-9, moved[:, 2:])
    return (moved[:, :2] / depth).astype(np.float32)


def fit_similarity(start: NDArray[np.floating], end: NDArray[np.floating], weights: NDArray[np.float64]) -> Matrix:
    """Least squares for shift, turn and scale: one complex factor and one complex shift."""
    a, b = (points.astype(np.float64) @ np.array([1, 1j]) for points in (start, end))
    middle_a, middle_b = np.average(a, weights=weights), np.average(b, weights=weights)
    from_middle = (a - middle_a) * weights
    factor = np.vdot(from_middle, b - middle_b) / np.vdot(from_middle, a - middle_a).real
    shift = middle_b - factor * middle_a
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag], [0, 0, 1]])


def corners_of(height: int, width: int) -> Matrix:
    """The four corners of a picture in pixel coordinates ``(4, 2)``, clockwise from the top left."""
    return np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5


def through_corners(start: Matrix, end: Matrix) -> Matrix:
    """The homography that takes four points ``(4, 2)`` to four others, with ``[2, 2] == 1``."""
    x, y = start.T
    u, v = end.T
    one, nil = np.ones(4), np.zeros(4)
    system = np.concatenate(
        [
            np.stack([x, y, one, nil, nil, nil, -u * x, -u * y], 1),
            np.stack([nil, nil, nil, x, y, one, -v * x, -v * y], 1),
        ]
    )
    return np.append(np.linalg.solve(system, np.concatenate([u, v])), 1.0).reshape(3, 3)
