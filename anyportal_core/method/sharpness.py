"""How sharp a picture is, and how long its shutter was open: measured at its edges.

A step that a lens has blurred by a Gaussian of deviation ``s`` has, once it is blurred again by ``a``, a slope in
proportion to ``1 / sqrt(s^2 + a^2)``. So the ratio of its slopes at two further blurs tells ``s`` whatever the step's
height (after Zhuo and Sim, "Defocus map estimation from a single image", Pattern Recognition 2011). Defocus only adds
to the blur of lens and sensor: a picture is as sharp as its sharpest edges are. What moves by ``v`` pixels a frame is
blurred along its way by ``shutter * v`` pixels more, whose variance is a twelfth of that length's square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyportal_core.ops import ImageOps

Image = NDArray[np.float32]
Values = NDArray[np.float64]

_FINE, _COARSE = 1.0, 2.0  # the two further blurs, in pixels
_SHARPEST = 0.2  # quantile of the edges' blur that is the picture's own
_TYPICAL = 0.35  # and the one by which edges along and across a motion are compared
_CONTRAST = 0.02  # slope per pixel, of code values, below which an edge may be grain
_FEW = 40  # edges below which nothing is said
_ALONG, _ACROSS = 0.9, 0.35  # cosine between an edge's normal and its motion
_SLOW = 3.0  # pixels a frame below which the shutter does not show
_BORDER = 8


@dataclass(frozen=True)
class Edges:
    """Points on the edges of a picture.

    Args:
        rows, columns: ``(n,)``.
        variance: ``(n,)`` the square of the blur across each, in pixels; never below 0.
        normal: ``(n, 2)`` x, y: where its slope points.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    variance: Values
    normal: Values


def find_edges(luma: Image, weight: Image, ops: ImageOps) -> Edges:
    """The clear edges of ``luma`` ``(H, W)`` in code values, where ``weight`` ``(H, W)`` is 1 all around."""
    (fine_x, fine_y), (coarse_x, coarse_y) = (_slopes(ops.gaussian(luma, sigma)) for sigma in (_FINE, _COARSE))
    fine, coarse = np.hypot(fine_x, fine_y), np.hypot(coarse_x, coarse_y)
    counts = (ops.erode(weight, _BORDER) >= 1) & _on_crest(fine, fine_x, fine_y) & (coarse > _CONTRAST)
    counts[:_BORDER] = counts[-_BORDER:] = False
    counts[:, :_BORDER] = counts[:, -_BORDER:] = False
    # A corner, or an edge beside another, has no single direction.
    aligned = (fine_x * coarse_x + fine_y * coarse_y) > 0.98 * fine * coarse
    rows, columns = np.nonzero(counts & aligned)
    steep = fine[rows, columns].astype(np.float64)
    ratio = np.maximum((steep / coarse[rows, columns]) ** 2, 1 + 1e-6)
    variance = np.maximum((_COARSE**2 - ratio * _FINE**2) / (ratio - 1), 0.0)
    normal = np.stack([fine_x[rows, columns], fine_y[rows, columns]], -1) / steep[:, None]
    return Edges(rows, columns, variance, normal)


def measure_blur(pictures: Sequence[Image], weights: Sequence[Image], ops: ImageOps) -> float | None:
    """The blur of lens and sensor in pixels, as a Gaussian's deviation; None where there are too few edges.

    Args:
        pictures: ``(H, W)`` luma, code values.
        weights: ``(H, W)``, 0..1: what counts is 1.
    """
    found = [find_edges(*pair, ops).variance for pair in zip(pictures, weights, strict=True)]
    variance = np.concatenate(found) if found else np.empty(0)
    return float(np.sqrt(np.quantile(variance, _SHARPEST))) if len(variance) >= _FEW else None


def measure_shutter(
    pictures: Sequence[Image], weights: Sequence[Image], motions: Sequence[Image], ops: ImageOps
) -> float | None:
    """The part of a frame's time that the shutter was open, 0..1; None where nothing moves fast enough to tell.

    Edges across their motion are blurred by it, edges along it are not: the difference of the sharpest of either.

    Args:
        motions: ``(H, W, 2)`` pixels a frame, x and y.
    """
    squares: list[Values] = []
    for picture, weight, motion in zip(pictures, weights, motions, strict=True):
        edges = find_edges(picture, weight, ops)
        moves = motion[edges.rows, edges.columns].astype(np.float64)
        speed = np.linalg.norm(moves, axis=-1)
        cosine = np.abs((edges.normal * moves).sum(-1)) / np.maximum(speed, 1e-9)
        along, across = (speed >= _SLOW) & (cosine > _ALONG), (speed < _SLOW / 4) | (cosine < _ACROSS)
        if min(along.sum(), across.sum()) >= _FEW // 2:
            own = np.quantile(edges.variance[across], _TYPICAL)
            squares.append(12 * (edges.variance[along] - own) / (speed * cosine)[along] ** 2)
    if sum(map(len, squares)) < _FEW:
        return None
    return float(np.clip(np.sqrt(max(np.quantile(np.concatenate(squares), _TYPICAL), 0.0)), 0.0, 1.0))


def missing_blur(wanted: float | None, present: float | None) -> float:
    """The deviation of the blur that makes something as soft as it should be; 0 where it is soft enough already."""
    if wanted is None or present is None:
        return 0.0
    return float(np.sqrt(max(wanted**2 - present**2, 0.0)))


def _slopes(image: Image) -> tuple[Image, Image]:
    """Central differences along x and y."""
    x, y = np.zeros_like(image), np.zeros_like(image)
    x[:, 1:-1] = (image[:, 2:] - image[:, :-2]) / 2
    y[1:-1] = (image[2:] - image[:-2]) / 2
    return x, y


def _on_crest(slope: Image, x: Image, y: Image) -> NDArray[np.bool_]:
    """Whether a pixel is the steepest across its edge, taken along the nearer axis."""
    flat, tall = np.zeros(slope.shape, bool), np.zeros(slope.shape, bool)
    flat[:, 1:-1] = (slope[:, 1:-1] >= slope[:, :-2]) & (slope[:, 1:-1] > slope[:, 2:])
    tall[1:-1] = (slope[1:-1] >= slope[:-2]) & (slope[1:-1] > slope[2:])
    return np.where(np.abs(x) >= np.abs(y), flat, tall)
