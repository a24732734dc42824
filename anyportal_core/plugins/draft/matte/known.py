"""The background as far as it has been seen: what differs from it is foreground."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.plugins.draft.matte.camera import Matrix, leaves, warped

_BORDER = 0.5  # of the picture's size on each side, until the canvas is laid anew
_RATE = 0.3  # how fast what is known follows what is seen
_BINS = 24


class KnownBackground:
    """A canvas wider than the frame, on which the background that each frame shows is kept.

    It lies still while the camera moves over it, so that what is hidden for long is not sampled again and again;
    only when a frame sticks out is it laid anew around that frame, so its size does not grow with the shot.
    """

    def __init__(self, height: int, width: int) -> None:
        self._size = height, width
        down, across = round(_BORDER * height), round(_BORDER * width)
        self._canvas = height + 2 * down, width + 2 * across
        self._home: Matrix = np.array([[1, 0, across], [0, 1, down], [0, 0, 1]], np.float64)
        self._at = self._home.copy()
        self._image = np.zeros((*self._canvas, 3), np.float32)
        self._seen = np.zeros(self._canvas, np.float32)

    def move(self, camera: Matrix) -> None:
        """Go on to the next frame, whose pixels ``camera`` takes to the last one's."""
        self._at = self._at @ camera
        self._at /= self._at[2, 2]
        if leaves(self._at, *self._size, self._canvas):
            again: Matrix = np.array(self._at @ np.linalg.inv(self._home), dtype=np.float64)
            self._image = warped(self._image, again, *self._canvas)
            self._seen = warped(self._seen, again, *self._canvas, cv2.BORDER_CONSTANT)
            self._at = self._home.copy()

    def view(self) -> tuple[Image, NDArray[np.bool_]]:
        """The background ``(H, W, 3)`` of the present frame, and where it is known."""
        seen = warped(self._seen, self._at, *self._size, cv2.BORDER_CONSTANT)
        return warped(self._image, self._at, *self._size), seen > 0.9

    def learn(self, frame: Image, free: NDArray[np.bool_]) -> None:
        """Take in what a frame shows of it, ``free`` ``(H, W)``."""
        back: Matrix = np.asarray(np.linalg.inv(self._at), np.float64)
        now = warped(frame, back, *self._canvas)
        there = warped(free.astype(np.float32), back, *self._canvas, cv2.BORDER_CONSTANT) > 0.99
        known = self._seen > 0.5
        self._image[there & ~known] = now[there & ~known]
        self._image[there & known] += np.float32(_RATE) * (now - self._image)[there & known]
        self._seen[there] = 1


def difference(frame: Image, background: Image) -> Image:
    """How far each pixel is from the background within a pixel of it: ``(H, W)`` 0..1, finer where small."""
    near = np.ones((3, 3), np.uint8)
    soft = cv2.GaussianBlur(frame, (0, 0), 0.7)
    beyond = np.maximum(soft - cv2.dilate(background, near), cv2.erode(background, near) - soft)
    far = cv2.GaussianBlur(np.maximum(beyond, 0).max(-1), (0, 0), 1)
    return np.asarray(np.minimum(np.sqrt(2 * far), 1), np.float32)


@dataclass(frozen=True)
class Given:
    """A frame whose foreground was given: what still looks the same in its place is still what it was.

    Args:
        frame: ``(H, W, 3)``.
        foreground: ``(H, W)`` 0..1.
        since: the present frame's pixels to those of that frame.
        age: how many frames ago that was, either way in time.
    """

    frame: Image
    foreground: Image
    since: Matrix
    age: int = 0

    def moved(self, camera: Matrix) -> Given:
        """The same, seen from the next frame, whose pixels ``camera`` takes to the last one's."""
        since = self.since @ camera
        return replace(self, since=since / since[2, 2], age=self.age + 1)

    def evidence(self, frame: Image) -> Image:
        """The log odds of the foreground by what looks the same, ever less with time: ``(H, W)``, -3.3..3.3."""
        size = frame.shape[0], frame.shape[1]
        there = warped(np.ones(size, np.float32), self.since, *size, cv2.BORDER_CONSTANT) > 0.99
        off = difference(frame, warped(self.frame, self.since, *size))
        side = np.clip(warped(self.foreground, self.since, *size), 0.1, 0.9)
        odds = np.clip(1 - off / _SAME, 0, 1) * np.log(side / (1 - side)) * there
        return np.asarray(_WORTH * np.exp(-self.age / _FADES) * odds, np.float32)


_SAME = 0.2  # a difference from which on nothing looks the same
_WORTH, _FADES = 1.5, 24  # how much it counts at first, and the frames after which it is a third of that


class Cue:
    """What the difference to the known background says for the foreground: it weighs itself by what it was worth.

    Before any was seen before a known background, foreground may differ from it by anything, and background by noise.
    """

    def __init__(self) -> None:
        self._inside = np.full(_BINS, 1 / _BINS)
        self._outside = _shares(np.exp(-np.arange(_BINS) / 2))

    def learn(self, measure: Image, inside: NDArray[np.bool_], outside: NDArray[np.bool_]) -> None:
        """Take in which values ``(H, W)`` 0..1 lie inside and which around the foreground."""
        bins = _bins(measure)
        within, around = (np.bincount(bins[at], minlength=_BINS).astype(np.float64) for at in (inside, outside))
        few = _FEW * measure.size
        if around.sum() > few:
            self._outside = _KEEP * self._outside + (1 - _KEEP) * _shares(around)
        share = (1 - _KEEP) * within.sum() / (within.sum() + few)
        if within.any():
            self._inside = (1 - share) * self._inside + share * _shares(within)

    @property
    def noise(self) -> float:
        """How far background lately seen was from what was known of it, 0..1, in the mean."""
        return float(self._outside @ np.arange(_BINS)) / _BINS

    def evidence(self, measure: Image) -> Image:
        """The log of how much likelier each value is inside: ``(H, W)``, -3..3."""
        odds = np.log((self._inside + _FLOOR) / (self._outside + _FLOOR))
        return np.clip(odds, -_LIMIT, _LIMIT).astype(np.float32)[_bins(measure)]


_KEEP = 0.7
_FEW = 1e-3  # of the picture's area
_FLOOR = 0.01
_LIMIT = 3.0


def _bins(measure: Image) -> NDArray[np.int32]:
    return np.clip((measure * _BINS).astype(np.int32), 0, _BINS - 1)


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(counts / counts.sum(), 2, mode="edge")
    return np.convolve(padded, [0.1, 0.2, 0.4, 0.2, 0.1], "valid")
