"""Camera motion as homographies of the background: features followed from keyframes, fitted robustly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.hands import helper, in_order
from anyportal_core.plugins.draft.scene.ground import EVERY, Ground
from anyportal_core.plugins.draft.scene.path import shot_path
from anyportal_core.plugins.draft.scene.plane import Models, Points, fit_models
from anyportal_core.roles import Chunk, RoleContext, StoredFrames

Grey = NDArray[np.uint8]
Mask = NDArray[np.uint8]

_READ = 8  # frames read at once
_FEATURES = 400
_WINDOW = 1 / 30  # of the long side: how much around a feature it is found again by
_LEVELS = 3  # pictures of half the size each, on which a feature is looked for first
_CONTRAST = 4e-5  # of a corner before contrast is equalised: below it is noise
_ENOUGH = 12  # matches below which a frame's motion is not believed
_LEFT = 0.7  # a keyframe is given up when less than this share of its features is left
_PATIENCE = 5  # frames without a fit before a new keyframe is taken from the next best


class Homography:
    """Role ``motion``: follows the background's corners (KLT) and fits the simplest motion that explains them."""

    def follow(
        self, plate: FrameSource, matte: FrameSource, tracks: StoredFrames | None, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield ``homography``, ``confidence``, and the layers ``far`` and ``near`` with the ``horizon`` between them.

        Where there is no parallax, both layers are the homography. Memory: two pictures, and a few numbers a frame.
        """
        ground = Ground(context.settings.number("horizon"), plate.height, plate.width)
        tracker = _Tracker(ground)
        fits = list(_fits(tracker, plate, matte, context))
        smoothing = context.settings.number("smoothing")
        path = shot_path(fits, plate.height, plate.width, smoothing, ground)
        for note in path.notes:
            context.note(note)
        found: Chunk = {
            "homography": path.homography,
            "confidence": path.confidence,
            "far": path.homography if path.layers is None else path.layers[0],
            "near": path.homography if path.layers is None else path.layers[1],
            "horizon": np.full(len(fits), ground.horizon),
        }
        for start, stop in chunks(len(fits), 256):
            yield {name: values[start:stop] for name, values in found.items()}


def _fits(tracker: _Tracker, plate: FrameSource, matte: FrameSource, context: RoleContext) -> Iterator[Models | None]:
    with closing(in_order(_Prepared(), _read(plate, matte, context), helper())) as prepared:
        for views in prepared:
            yield tracker.add(*views)


def _read(plate: FrameSource, matte: FrameSource, context: RoleContext) -> Iterator[tuple[Image, Image]]:
    for start, stop in chunks(len(plate), _READ):
        context.checkpoint()
        yield from zip(plate.read(start, stop), matte.read(start, stop)[..., 0], strict=True)


class _Prepared:
    """Makes of a frame and its matte what a tracker looks at."""

    def __init__(self) -> None:
        self._clahe = cv2.createCLAHE(2.0, (8, 8))  # dark and hazy frames have features too

    def __call__(self, views: tuple[Image, Image]) -> tuple[Grey, Grey, Mask]:
        frame, alpha = views
        plain = _grey(frame)
        return plain, np.asarray(self._clahe.apply(plain), np.uint8), _free(alpha)


@dataclass
class _Tracks:
    """Features of a keyframe that are still followed: its picture, and where they were there and are now.

    Args:
        since: where they were when the span began that parallax is asked for over.
        flat: those that have lain on the plane ever since the keyframe.
    """

    grey: Grey
    start: Points
    now: Points
    since: Points
    flat: NDArray[np.bool_]
    taken: int

    def keep(self, kept: NDArray[np.bool_], now: Points) -> None:
        self.start, self.now, self.since, self.flat = self.start[kept], now[kept], self.since[kept], self.flat[kept]


class _Tracker:
    """Follows one keyframe's features until too few are left of the plane that most of the background lies on.

    Features are found again in each frame by how they looked in the keyframe, so their errors do not add up;
    motion is fitted from frame to frame, where even a scene of many depths is nearly one plane. Those that leave
    the plane are followed for what they tell of the ground.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._tracks: _Tracks | None = None
        self._lost = 0
        self._count = 0

    def add(self, plain: Grey, grey: Grey, free: Mask) -> Models | None:
        """How the camera moved since the last frame this was told of; None where it cannot be told.

        Args:
            plain: the frame.
            grey: the same, its contrast equalised.
            free: where background is seen and nothing else near: 255, else 0.
        """
        self._count += 1
        if self._tracks is None:
            self._tracks = _taken(plain, grey, free)
            return Models.still()
        models = self._moved(self._tracks, grey, free)
        if models is None:
            self._lost += 1
            if self._lost >= _PATIENCE:
                self._tracks, self._lost = _taken(plain, grey, free), 0
            return None
        self._lost = 0
        left = self._tracks.flat.sum() / max(self._tracks.taken, 1)
        if left < _LEFT or self._ground.frames >= EVERY:
            self._ground.end_span(self._count - 1, self._tracks.since, self._tracks.now)
            self._tracks.since = self._tracks.now
        if left < _LEFT:
            self._tracks = _taken(plain, grey, free)
        return models

    def _moved(self, tracks: _Tracks, grey: Grey, free: Mask) -> Models | None:
        """How the plane moved since the features were last seen; marks those that moved otherwise."""
        now, kept = _found(tracks, grey, free)
        flat = kept & tracks.flat
        if flat.sum() < _ENOUGH:
            return None
        models = fit_models(tracks.now[flat], now[flat], grey.shape)
        if models is None or models.inliers < _ENOUGH:
            return None
        tracks.flat[flat] = models.inlying
        before = tracks.now[kept]
        tracks.keep(kept, now)
        self._ground.step(models.homography, before, tracks.now)
        return models


def _taken(plain: Grey, grey: Grey, free: Mask) -> _Tracks:
    """A new keyframe with corners that stand out of the noise."""
    spacing = max(4.0, max(grey.shape) / 80)
    found = cv2.goodFeaturesToTrack(grey, _FEATURES, 0.005, spacing, mask=free)
    points = np.empty((0, 2), np.float32) if found is None else found.reshape(-1, 2).astype(np.float32)
    x, y = points.astype(int).T
    points = points[cv2.cornerMinEigenVal(plain, 3)[y, x] > _CONTRAST]
    flat = np.ones(len(points), bool)
    return _Tracks(grey, points, points.copy(), points.copy(), flat, len(points))


def _found(tracks: _Tracks, grey: Grey, free: Mask) -> tuple[Points, NDArray[np.bool_]]:
    """Where the features are now, and which of them find their way back and lie on background."""
    if not len(tracks.start):
        return tracks.now, np.zeros(0, bool)
    end, there = _flow(tracks.grey, grey, tracks.start, tracks.now, _LEVELS)
    # The way back begins where it should end, so no coarse picture has to lead there.
    back, here = _flow(grey, tracks.grey, end, tracks.start, 1)
    height, width = grey.shape
    x, y = np.rint(end).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    clear = free[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] > 0
    return end, there & here & inside & clear & (np.abs(back - tracks.start).max(1) < 0.7)


def _flow(a: Grey, b: Grey, points: Points, guess: Points, levels: int) -> tuple[Points, NDArray[np.bool_]]:
    side = max(17, 2 * round(max(a.shape) * _WINDOW / 2) + 1)
    end, found, _ = cv2.calcOpticalFlowPyrLK(
        a, b, points, guess.copy(), winSize=(side, side), maxLevel=levels, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    good = (found[:, 0] > 0) & np.isfinite(end).all(1)
    return np.where(good[:, None], end, 0).astype(np.float32), good


def _free(alpha: Image) -> Mask:
    """Where background is seen and nothing else near: 255, else 0."""
    margin = _WINDOW / 2 * max(alpha.shape)
    empty = (alpha < 0.05).astype(np.uint8)
    away: Mask = (cv2.distanceTransform(empty, cv2.DIST_L2, 3) > margin).astype(np.uint8) * 255
    return away


def _grey(frame: Image) -> Grey:
    return np.asarray(cv2.cvtColor(np.clip(frame * 255 + 0.5, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY), np.uint8)
