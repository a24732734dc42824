"""Parallax, simply: above a horizon one plane, below it ground that is nearer the lower it is seen.

Ground moves as the plane does, and beyond that by a shift and a growth that are in proportion to how far below the
horizon a point lay in the first frame. So there are two layers, the plane and the nearest ground, and what is between
them is blended by rows. Where that fits the shot's features no better than one plane, there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyportal_core.method.smoothing import smooth
from anyportal_core.plugins.draft.scene.plane import Matrix, Points, motion_jacobian, transform

Quads = NDArray[np.float64]

EVERY = 8
"""Frames that a span has at most: parallax is slow, and over some frames it stands out of the noise."""

_ENOUGH = 4  # frames of a span that tell anything

_SCALES = (4.0, 2.0, 1.0, 0.6, 0.6, 0.6)  # pixels: errors beyond count less and less, from fit to fit
_LEAST = 40  # matches that tell anything
_HELD = 1e-3  # of the ground's own motion to none, where no ground is seen
_FAR_OFF = 5.0  # pixels: a match farther off is as far off as that
_BETTER = 0.8  # of one plane's mean distance: with ground it must be less
_CLEARLY, _SHARE = 0.6, 0.1  # a tenth of the matches must come as much nearer, less those that go as far away
_NOTED = 0.5  # pixels that are noise
_STEADY = 10.0  # how strongly the layers' paths are smoothed
_APART = 0.12  # of the long side, about: how far the layers may part; more looks bent


@dataclass(frozen=True)
class Span:
    """Some frames over which features were followed, and what explains how they moved.

    Args:
        last: the index of its last frame.
        followed: how the plane moved by the features that lie on it, from its first frame to its last ``(3, 3)``.
        far, near: how plane and nearest ground moved.
        flat_distance, distance: the mean distance of the matches from what one plane says, and plane and ground.
        better: the share of the matches that ground explains clearly better, less that of those it explains worse.
        count: matches of that; 0 where it could not be asked.
    """

    last: int
    followed: Matrix
    far: Matrix
    near: Matrix
    flat_distance: float
    distance: float
    better: float
    count: int


class Ground:
    """Fits plane and ground from frame to frame, and asks over spans of frames whether they are worth it.

    Args:
        horizon: where the ground begins in the first frame, in parts of the height from the top.
    """

    def __init__(self, horizon: float, height: int, width: int) -> None:
        self.horizon = horizon
        self.spans: list[Span] = []
        self._height, self._width = height, width
        self._place: Matrix = np.eye(3)  # from the frame that the span began with to the first one
        self._begin()

    def _begin(self) -> None:
        self.frames = 0
        self._followed = self._flat = self._far = self._near = np.eye(3)

    def step(self, plane: Matrix, start: Points, end: Points) -> None:
        """One more frame.

        Args:
            plane: the motion of most matches, to begin from.
            start, end: all matches, in pixels ``(n, 2)``.
        """
        flat = far = near = plane
        if len(start) >= _LEAST:
            fit = _Fit(plane, start, end, (self._height, self._width))
            flat, _ = fit.solve(None)
            far, near = fit.solve(self._depth(self._place @ np.linalg.inv(self._followed), start))
        self._followed, self._flat = plane @ self._followed, flat @ self._flat
        self._far, self._near = far @ self._far, near @ self._near
        self.frames += 1

    def end_span(self, last: int, start: Points, end: Points) -> None:
        """Compare what was found with matches over the whole span, which ends with frame ``last``."""
        flat, ground, better = 0.0, 0.0, 0.0
        count = len(start) if self.frames >= _ENOUGH and len(start) >= _LEAST else 0
        if count:
            near = self._depth(self._place, start)[:, None]
            moved = (1 - near) * transform(self._far, start) + near * transform(self._near, start)
            one, two = (np.hypot(*(end - each).T) for each in (transform(self._flat, start), moved))
            nearer = (two < _CLEARLY * one) & (one > _NOTED)
            worse = (one < _CLEARLY * two) & (two > _NOTED)
            flat, ground = (float(np.minimum(each, _FAR_OFF).mean()) for each in (one, two))
            better = float(nearer.mean() - worse.mean())
        self.spans.append(Span(last, self._followed, self._far, self._near, flat, ground, better, count))
        self._place = self._place @ np.linalg.inv(self._followed)
        self._begin()

    def _depth(self, place: Matrix, points: Points) -> NDArray[np.float64]:
        return depth(transform(place, points)[:, 1] / self._height, self.horizon)


def depth(rows: NDArray[np.floating], horizon: float) -> NDArray[np.float64]:
    """How near ground is at some rows: 0 at the horizon and above, 1 at the lower edge of the first frame."""
    return np.clip((np.asarray(rows, np.float64) - horizon) / (1 - horizon), 0.0, 1.0)


class _Fit:
    """Least squares for what a plane and the ground before it add to a motion, by weights that leave out the wrong."""

    def __init__(self, plane: Matrix, start: Points, end: Points, shape: tuple[int, ...]) -> None:
        height, width = shape[:2]
        self._size = size = max(height, width)
        middle = np.array([width / 2, height / 2])
        self._into = np.array([[1 / size, 0, -middle[0] / size], [0, 1 / size, -middle[1] / size], [0, 0, 1.0]])
        self._plane = plane
        self._at = (transform(plane, start).astype(np.float64) - middle) / size
        self._missing = (((end - middle) / size) - self._at).T.ravel()

    def solve(self, near: NDArray[np.float64] | None) -> tuple[Matrix, Matrix]:
        """The motions of plane and nearest ground; those of one plane where nothing is ``near``."""
        columns = motion_jacobian(self._at)
        held = np.full(columns.shape[1], 1e-9)
        if near is not None:
            columns = np.concatenate([columns, _ground(self._at, near)], 1)
            held = np.append(held, np.full(3, _HELD * len(near)))
        found = np.zeros(columns.shape[1])
        for scale in _SCALES:
            weights = 1 / (1 + np.square(self._distances(columns, found) / scale))
            weighted = (columns * np.tile(weights, 2)[:, None]).T
            found = np.linalg.solve(weighted @ columns + np.diag(held), weighted @ self._missing)
        far = self._out(np.append(found[:8], 0).reshape(3, 3) + np.eye(3)) @ self._plane
        shift_x, shift_y, growth = found[8:] if near is not None else np.zeros(3)
        on = self._out(np.array([[1 + growth, 0, shift_x], [0, 1 + growth, shift_y], [0, 0, 1]]))
        return far, on @ far

    def _distances(self, columns: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
        left, down = (columns @ found - self._missing).reshape(2, -1) * self._size
        return np.hypot(left, down)

    def _out(self, matrix: Matrix) -> Matrix:
        """The same motion in pixels."""
        return np.asarray(np.linalg.inv(self._into) @ matrix @ self._into)


def _ground(at: NDArray[np.float64], near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivatives of the moved ``(x, y)`` by the ground's shift and growth, ``(2n, 3)``."""
    nil = np.zeros_like(near)
    return np.concatenate(
        [np.stack([near, nil, near * at[:, 0]], 1), np.stack([nil, near, near * at[:, 1]], 1)],
    )


@dataclass(frozen=True)
class Layers:
    """Where a frame's corners lie in the first one, ``(t, 4, 2)`` pixels, by the plane's motion and by the ground's.

    Args:
        horizon: where the ground begins in the first frame, in parts of the height from the top.
        gained: what part of the one plane's errors it explains.
    """

    far: Quads
    near: Quads
    horizon: float
    gained: float


def layers(spans: Sequence[Span], horizon: float, seen: Quads, corners: Matrix) -> Layers | None:
    """Two layers for the whole shot; None where one plane is as good.

    Args:
        seen: where the corners lie by one plane: the layers are set apart from that.
        corners: of a frame ``(4, 2)``.
    """
    weights = np.array([span.count for span in spans])
    if not weights.any():
        return None
    flat, distance, better = (
        float(np.average([getattr(span, name) for span in spans], weights=weights))
        for name in ("flat_distance", "distance", "better")
    )
    if distance > _BETTER * flat or better < _SHARE:
        return None
    far, near = (_offsets(spans, kind, len(seen), corners) for kind in ("far", "near"))
    near = far + _held(near - far, corners, 1 - horizon)
    return Layers(seen + far, seen + near, horizon, 1 - distance / flat)


def _offsets(spans: Sequence[Span], kind: str, count: int, corners: Matrix) -> Quads:
    """How far a layer's corners leave the plane's, ``(t, 4, 2)``; 0 in the first frame."""
    knots, offsets = [0], [np.zeros(8)]
    plane, layer = np.eye(3), np.eye(3)
    for span in spans:
        plane = plane @ np.linalg.inv(span.followed)
        layer = layer @ np.linalg.inv(getattr(span, kind))
        knots.append(span.last)
        offsets.append((transform(layer, corners) - transform(plane, corners)).ravel().astype(np.float64))
    table = np.array(offsets)
    between = np.stack([np.interp(np.arange(count), knots, column) for column in table.T], 1)
    steady = smooth(between, np.ones(count), _STEADY)
    return (steady - steady[0]).reshape(count, 4, 2)


def _held(apart: Quads, corners: Matrix, ground: float) -> Quads:
    """The layers' distance, smoothly held to what a picture bears: never so far that rows would change their order."""
    width, height = np.ptp(corners, axis=0)
    most = np.array([_APART * max(width, height), min(_APART * max(width, height), ground * height / 3)])
    over = (np.abs(apart) / most).max((1, 2), keepdims=True)
    return np.asarray(apart / (1 + over**4) ** 0.25)
