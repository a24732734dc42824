"""What colours the foreground and its surroundings have, learnt from frame to frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image

_BINS = 40
_FIRST = 0.3  # the share that the first frame's foreground keeps for good, against drift
_NEW = 0.5  # the share of the newest frame in what is learnt
_LIMIT = 3.0  # no colour alone decides: at most 20 to 1


class Colours:
    """Histograms (Lab) of the foreground and of what lies around it, re-estimated on every frame."""

    def __init__(self) -> None:
        self._first: NDArray[np.float64] | None = None
        self._inside = self._outside = np.zeros(_BINS**3)

    def learn(self, frame: Image, alpha: Image) -> None:
        """Take in a frame ``(H, W, 3)`` with its alpha ``(H, W)``; the surroundings are what lies near it."""
        radius = round(0.15 * max(alpha.shape))
        near = cv2.dilate(alpha, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)) > 0.3
        bins = _bins(frame)
        inside = _histogram(bins[alpha > 0.8])
        outside = _histogram(bins[near & (alpha < 0.2)])
        if self._first is None:
            self._first = self._inside = inside
            self._outside = outside
        self._inside = _NEW * inside + (1 - _NEW) * self._inside
        self._outside = _NEW * outside + (1 - _NEW) * self._outside

    def evidence(self, frame: Image) -> Image:
        """Log of how much likelier each pixel's colour is inside than around: ``(H, W)``, -3..3."""
        inside = self._inside if self._first is None else _FIRST * self._first + (1 - _FIRST) * self._inside
        table = np.log((inside + 1e-5) / (self._outside + 1e-5)).astype(np.float32)
        return np.clip(cv2.blur(table[_bins(frame)], (3, 3)), -_LIMIT, _LIMIT)


def likeness(frame: Image, inside: NDArray[np.bool_], outside: NDArray[np.bool_]) -> Image:
    """Log of how much likelier each pixel's colour is among those ``inside`` than ``outside``: ``(H, W)``, -3..3."""
    bins = _bins(frame)
    odds = np.log((_histogram(bins[inside]) + 1e-4) / (_histogram(bins[outside]) + 1e-4))
    return np.clip(odds, -_LIMIT, _LIMIT).astype(np.float32)[bins]


def _bins(frame: Image) -> NDArray[np.int32]:
    """The histogram bin of each pixel, in Lab scaled to fill the cube: ``(H, W)``."""
    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)
    scaled = lab * np.array([1 / 100, 1 / 160, 1 / 160], np.float32) + np.array([0, 0.5, 0.5], np.float32)
    lightness, a, b = cv2.split(np.clip((scaled * _BINS).astype(np.int32), 0, _BINS - 1))
    bins: NDArray[np.int32] = (lightness * _BINS + a) * _BINS + b
    return bins


def _histogram(bins: NDArray[np.int32]) -> NDArray[np.float64]:
    """Shares by bin, each spread to its neighbours; all 0 for no pixels."""
    cube = np.bincount(bins, minlength=_BINS**3).reshape(_BINS, _BINS, _BINS).astype(np.float64)
    for axis in range(3):
        padded = np.pad(cube, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        before, after = (np.take(padded, np.arange(i, i + _BINS), axis=axis) for i in (0, 2))
        cube = 0.25 * before + 0.5 * cube + 0.25 * after
    return cube.ravel() / max(1.0, float(cube.sum()))
