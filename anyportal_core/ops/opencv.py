"""The OpenCV half of the ``ImageOps`` port: the module is the port, for arrays of up to four channels."""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.ops import Border, Filter

Array = NDArray[np.float32]
Matrix = NDArray[np.float64]

_BORDERS: Final[dict[Border, int]] = {
    "reflect": cv2.BORDER_REFLECT_101,
    "replicate": cv2.BORDER_REPLICATE,
    "zero": cv2.BORDER_CONSTANT,
}
_FILTERS: Final[dict[Filter, int]] = {
    "area": cv2.INTER_AREA,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}

_NOWHERE = 1e-6
"""Pixels, and parts of the size: what moves a picture by less does not move it."""


def gaussian(image: Array, sigma: float) -> Array:
    """Gaussian blur, ``sigma`` in pixels; the border is reflected without repeating the edge."""
    if sigma <= 0:
        return image.copy()
    return _like(image, cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))


def box(image: Array, radius: int) -> Array:
    """Mean over a ``(2*radius+1)`` square, border reflected."""
    side = 2 * radius + 1
    return _like(image, cv2.blur(image, (side, side), borderType=cv2.BORDER_REFLECT_101))


def convolve(image: Array, kernel: Array) -> Array:
    """Filter with a small ``(k, k)`` kernel, k odd, not turned round; border as of ``gaussian``."""
    return _like(image, cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101))


def resize(image: Array, height: int, width: int, filter: Filter = "linear") -> Array:
    """Resample to ``(height, width)``; pixel centres at half-integers. ``area`` is for shrinking."""
    if image.shape[:2] == (height, width):
        return image.copy()
    return _like(image, cv2.resize(image, (width, height), interpolation=_FILTERS[filter]))


def remap(image: Array, x: Array, y: Array, border: Border = "reflect") -> Array:
    """Sample at pixel coordinates ``x, y`` ``(H', W')`` bilinearly (0,0 is the centre of the first pixel)."""
    x, y = x.astype(np.float32, copy=False), y.astype(np.float32, copy=False)
    return _like(image, cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=_BORDERS[border]))


def warp(image: Array, matrix: Matrix, height: int, width: int, border: Border = "reflect") -> Array:
    """Sample through a homography of unit coordinates: output ``(height, width)`` to input, bicubically.

    Where the output is coarser than the input, the input is first shrunk to ``shrunk_size`` by the mean of its
    pixels. That grid lies still on the input: a slow move does not make it shimmer. Through the identity the very
    pixels come back.
    """
    size = shrunk_size(image, matrix, height, width)
    if size != image.shape[:2]:
        image = resize(image, *size, "area")
    if min(image.shape[:2]) == 1:  # OpenCV 5.0 never returns from warping a single row or column
        image = np.repeat(np.repeat(image, 1 + (image.shape[0] == 1), 0), 1 + (image.shape[1] == 1), 1)
    pixels = unit_to_pixels(image.shape[0], image.shape[1]) @ matrix @ pixels_to_unit(height, width)
    pixels = pixels / pixels[2, 2]
    if image.shape[:2] == (height, width) and np.abs(pixels - np.eye(3)).max() < _NOWHERE:
        return image.copy()
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    if not pixels[2, :2].any():
        out = cv2.warpAffine(image, pixels[:2], (width, height), flags=flags, borderMode=_BORDERS[border])
    else:
        out = cv2.warpPerspective(image, pixels, (width, height), flags=flags, borderMode=_BORDERS[border])
    return _like(image, out)


def dilate(mask: Array, radius: int) -> Array:
    """Greatest value within a disc of ``radius`` pixels."""
    return _like(mask, cv2.dilate(mask, _disc(radius)))


def erode(mask: Array, radius: int) -> Array:
    """Smallest value within a disc of ``radius`` pixels."""
    return _like(mask, cv2.erode(mask, _disc(radius)))


def pixels_to_unit(height: int, width: int) -> Matrix:
    """Pixel coordinates (0,0 is the centre of the first pixel) to unit coordinates, ``(3, 3)``."""
    return np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])


def unit_to_pixels(height: int, width: int) -> Matrix:
    """The inverse of ``pixels_to_unit``."""
    return np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1.0]])


def _like(image: Array, result: Any) -> Array:
    """Give back the channel axis, which OpenCV drops when it has one entry."""
    kept: Array = result[..., None] if image.ndim == 3 and result.ndim == 2 else result
    return kept


def _disc(radius: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside: NDArray[np.bool_] = x * x + y * y <= radius * radius
    return inside.astype(np.uint8)


def shrunk_size(image: Array, matrix: Matrix, height: int, width: int) -> tuple[int, int]:
    """The size ``(h, w)`` at which ``warp`` samples: so small that it skips no pixels, in steps of a fourth octave.

    In steps, so that a slow zoom does not resample anew in every frame, and a caller may keep a shrunk still.
    """
    across, down = _minification(matrix, image.shape[0], image.shape[1], height, width)
    return _in_steps(image.shape[0], down), _in_steps(image.shape[1], across)


def _in_steps(size: int, minification: float) -> int:
    steps = math.floor(4 * math.log2(max(minification, 1.0)) + 1e-6)
    return max(1, round(size / math.exp2(steps / 4)))


def _minification(matrix: Matrix, in_height: int, in_width: int, height: int, width: int) -> tuple[float, float]:
    """Input pixels per output pixel along the input's x and y, at the middle of the output."""
    x, y, w = matrix @ np.array([0.5, 0.5, 1.0])
    jacobian = (matrix[:2, :2] - np.outer([x / w, y / w], matrix[2, :2])) / w
    jacobian = np.diag([in_width, in_height]) @ jacobian @ np.diag([1 / width, 1 / height])
    across, down = np.hypot(jacobian[:, 0], jacobian[:, 1])
    return float(across), float(down)
