"""Role ``tracks``: points carried by dense optical flow. Needs no model and no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import FrameSource
from anyportal_core.plugins.draft.flow import Flow, FlowPair
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.tracks import Points

Mask = NDArray[np.bool_]

NEAR: Final = 1.0
"""Pixels that a point's motion may differ from the camera's and still speak for it."""

ENOUGH: Final = 6
"""Points in sight that tell a camera's motion: twice as many as an affine one takes."""


class FlowTracks:
    """A point goes where the flow leads, as long as the way there and back closes.

    From then on it is hidden, for good: flow does not know it again. What is hidden or out of the picture is mostly
    background, so it goes on as the camera moves: by the affine motion that most points in sight agree on.
    """

    def follow(self, plate: FrameSource, start: Points, context: RoleContext) -> Iterator[Chunk]:
        flow, places, seen = Flow(), start, np.ones(len(start), bool)
        yield _chunk(places, seen)
        frame = plate.read(0, 1)[0]
        for index in range(1, len(plate)):
            context.checkpoint()
            after = plate.read(index, index + 1)[0]
            motion, there = _motion(places, flow.pair(frame, after))
            seen = seen & there
            places = places + np.where(seen[:, None], motion, _camera(places, motion, seen))
            yield _chunk(places, seen)
            frame = after


def pixels(places: NDArray[np.floating], height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pixels that places ``(N, 2)`` lie in, or are nearest to."""
    x, y = np.floor(places).astype(np.intp).T
    return y.clip(0, height - 1), x.clip(0, width - 1)


def _motion(places: Points, flow: FlowPair) -> tuple[Points, Mask]:
    """What the flow says of places ``(N, 2)``, and whether it closes there."""
    rows, columns = pixels(places, *flow.seen.shape)
    return flow.forward[rows, columns].astype(np.float64), flow.seen[rows, columns]


def _camera(places: Points, motion: Points, seen: Mask) -> Points:
    """How the camera's motion moves places ``(N, 2)``; not at all where nothing tells it."""
    if seen.all() or seen.sum() < ENOUGH:
        return np.zeros_like(places)
    before, after = places[seen], places[seen] + motion[seen]
    found, _ = cv2.estimateAffine2D(before, after, method=cv2.RANSAC, ransacReprojThreshold=NEAR, confidence=0.999)
    if found is None or not np.isfinite(found).all():
        return np.zeros_like(places)
    moved: Points = places @ found[:, :2].T + found[:, 2] - places
    return moved


def _chunk(places: Points, seen: Mask) -> Chunk:
    return {"places": places[None].astype(np.float32), "seen": seen[None]}
