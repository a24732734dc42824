"""How a background moves: homographies of what is far from the foreground, and how two clips of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from anyportal_core.evaluation.tracking import Bytes, equalised, morphed

Homographies = Sequence[Any]
"""From each frame to the next, ``(3, 3)``; None where none was found."""

_SPAN = 4
_LEAST = 2.0
"""Pixels that the plate's corners have to move over a span: a smaller camera motion is not measured."""
_MOST = 60.0


def homographies(clip: Bytes, matte: Bytes) -> Homographies:
    """By features that are followed there and back, outside the foreground."""
    looks = [equalised(frame, 2.0) for frame in clip]
    return [_between(a, b, m) for a, b, m in zip(looks, looks[1:], matte, strict=False)]


def _between(first: Bytes, second: Bytes, matte: Bytes) -> Any:
    free = (~morphed(matte > 25, 6, cv2.dilate)).astype(np.uint8)
    points: Any = cv2.goodFeaturesToTrack(first, 600, 0.005, 7, mask=free)
    if points is None or len(points) < 12:
        return None
    look: Any = {"winSize": (21, 21), "maxLevel": 3}
    moved, there, _ = cv2.calcOpticalFlowPyrLK(first, second, points, None, **look)  # type: ignore[call-overload]
    again, back, _ = cv2.calcOpticalFlowPyrLK(second, first, moved, None, **look)  # type: ignore[call-overload]
    good = (there[:, 0] > 0) & (back[:, 0] > 0) & (np.abs(again - points).reshape(-1, 2).max(1) < 1)
    if good.sum() < 12:
        return None
    found, used = cv2.findHomography(points[good], moved[good], cv2.USAC_MAGSAC, 1.0, maxIters=2000)
    count = 0 if used is None else int(used.sum())
    return found if found is not None and count >= 10 and count >= 0.2 * good.sum() else None


def camera_error(plate: Homographies, result: Homographies, width: int, height: int) -> float:
    """Mean error of the corners over spans of frames, in parts of the plate's motion; nan where that is small."""
    errors, sizes = [], []
    for start in range(len(plate) - _SPAN + 1):
        given, made = (_chained(clip[start : start + _SPAN]) for clip in (plate, result))
        if given is None:
            continue
        size = _distance(given, np.eye(3), width, height)
        sizes.append(size)
        # Where nothing was found to follow, it counts as a camera that stood still.
        errors.append(size if made is None else min(_distance(given, made, width, height), _MOST))
    if not sizes or np.median(sizes) < _LEAST:
        return float("nan")
    return float(np.mean(errors) / np.median(sizes))


def _chained(steps: Homographies) -> Any:
    whole = np.eye(3)
    for step in steps:
        if step is None:
            return None
        whole = step @ whole
    return whole


def _distance(first: Any, second: Any, width: int, height: int) -> float:
    x, y = (0.15 * width, 0.85 * width), (0.15 * height, 0.85 * height)
    corners = np.array([[[x[0], y[0]]], [[x[1], y[0]]], [[x[1], y[1]]], [[x[0], y[1]]]], np.float32)
    a, b = (cv2.perspectiveTransform(corners, matrix).reshape(-1, 2) for matrix in (first, second))
    return float(np.linalg.norm(a - b, axis=1).mean())
