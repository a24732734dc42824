"""How the camera moved from one frame to the next, as the background shows it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image

Matrix = NDArray[np.float64]

_FEATURES = 400
_ENOUGH = 12
_MANY = 40  # matches from which a homography is fitted, else rotation, scale and shift
_CLOSE = 0.7  # pixels that the way there and back may differ by
_OFF = 1.5  # pixels that a match may be off the common motion
_SHARE = 0.4  # of the matches that must go along
_FARTHEST = 0.3  # of the picture's size: no camera moves that far in a frame


def camera_motion(frame: Image, before: Image, free: NDArray[np.bool_]) -> Matrix:
    """Pixels of ``frame`` to those of the frame before it, ``(3, 3)``; the identity where nothing tells.

    Args:
        free: ``(H, W)``, where the frame before it shows background.
    """
    now, then = _grey(frame), _grey(before)
    spacing = max(4.0, max(now.shape) / 80)
    found = cv2.goodFeaturesToTrack(then, _FEATURES, 0.005, spacing, mask=free.astype(np.uint8) * 255)
    if found is None or len(found) < _ENOUGH:
        return np.eye(3)
    start = np.asarray(found, np.float32)
    end, there = _tracked(then, now, start)
    back, here = _tracked(now, then, end)
    kept = there & here & (np.abs(back - start).max((1, 2)) < _CLOSE)
    return _fitted(end[kept, 0], start[kept, 0], now.shape)


def _tracked(a: NDArray[np.uint8], b: NDArray[np.uint8], points: Image) -> tuple[Image, NDArray[np.bool_]]:
    end, found, _ = cv2.calcOpticalFlowPyrLK(a, b, points, points.copy(), winSize=(15, 15), maxLevel=4)
    good = (found[:, 0] > 0) & np.isfinite(end).all((1, 2))
    return np.where(good[:, None, None], end, 0).astype(np.float32), good


def _fitted(now: Image, then: Image, shape: tuple[int, ...]) -> Matrix:
    if len(now) < _ENOUGH:
        return np.eye(3)
    if len(now) >= _MANY:
        matrix, inliers = cv2.findHomography(now, then, cv2.RANSAC, _OFF)
    else:
        similar, inliers = cv2.estimateAffinePartial2D(now, then, method=cv2.RANSAC, ransacReprojThreshold=_OFF)
        matrix = None if similar is None else np.vstack([similar, [0, 0, 1]])
    if matrix is None or inliers.sum() < max(_ENOUGH, _SHARE * len(now)):
        return np.eye(3)
    corners = _corners(*shape)
    moved = cv2.perspectiveTransform(corners, matrix) - corners
    believed = np.isfinite(moved).all() and np.abs(moved).max() < _FARTHEST * max(shape)
    return np.asarray(matrix, np.float64) if believed else np.eye(3)


def _corners(height: int, width: int) -> Matrix:
    return np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)


def warped(image: Image, matrix: Matrix, height: int, width: int, border: int = cv2.BORDER_REPLICATE) -> Image:
    """``out[p] = image[matrix p]``, bilinear, ``(height, width)``."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpPerspective(image, matrix, (width, height), flags=flags, borderMode=border)
    return np.asarray(out, np.float32)


def leaves(matrix: Matrix, height: int, width: int, canvas: tuple[int, int]) -> bool:
    """Whether a frame of this size, put on a canvas by ``matrix``, sticks out of it."""
    at = cv2.perspectiveTransform(_corners(height, width), matrix)[0]
    return bool(at.min() < 0 or at[:, 0].max() > canvas[1] or at[:, 1].max() > canvas[0])


def _grey(frame: Image) -> NDArray[np.uint8]:
    eight = np.clip(frame * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(eight, cv2.COLOR_RGB2GRAY), np.uint8)
