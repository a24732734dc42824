"""The camera's path over a whole shot, from each frame's own fit: one kind of motion, no jumps, no jitter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyportal_core.method.smoothing import smooth
from anyportal_core.ops.opencv import pixels_to_unit, unit_to_pixels
from anyportal_core.plugins.draft.scene.ground import Ground, Layers, layers
from anyportal_core.plugins.draft.scene.plane import (
    Matrix,
    Models,
    corners_of,
    fit_similarity,
    through_corners,
    transform,
)

Fits = Sequence[Models | None]
Quads = NDArray[np.float64]

_STILL = 2.0  # pixels at a width of 640 that the corners of a static shot may seem to move
_SEEN = 0.25  # share of the frames whose motion must be known
_UNSURE = 0.01  # of the long side: a homography less certain than this at the corners is not used
_SPAN = 8  # frames over which a slow lean adds up
_ADDS_UP = 2.0  # times what leans at random would come to over a span: it can be _SPAN ** 0.5 at most
_SHOWS = 0.5  # pixels at a width of 640 that the corners lean by over a span, for it to matter
_LEANING = 0.2  # of the long side: how far a corner may leave the rectangle; more looks bent


@dataclass(frozen=True)
class Path:
    """What role ``motion`` yields, and what there is to say to the user.

    Args:
        layers: the homographies of what is far and of the nearest ground; None where one plane is as good.
    """

    homography: NDArray[np.float64]
    confidence: NDArray[np.float32]
    notes: tuple[str, ...] = ()
    layers: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None


def shot_path(fits: Fits, height: int, width: int, smoothing: float, ground: Ground | None = None) -> Path:
    """Choose the simplest kind of motion that explains the whole shot, and steady it.

    A kind is chosen once, for changing it from frame to frame would be seen. What is put together and smoothed
    is where the corners of each frame lie in the first one, so that every matrix stays a homography.

    Args:
        fits: each frame's motion since the last frame that has one; None where it is not known.
        ground: what was found about parallax.
    """
    known = np.array([fit is not None for fit in fits])
    confidence = np.array([_confidence(fit) for fit in fits], np.float32)
    still = np.broadcast_to(np.eye(3), (len(fits), 3, 3)).copy()
    if known.sum() < 2 or known[1:].mean() < _SEEN:
        note = "no camera motion could be found in the background: treated as static"
        return Path(still, 0 * confidence, (note,) if len(fits) > 1 else ())
    size, corners = max(height, width), corners_of(height, width)
    seen = _put_together(_of_one_kind(fits, corners, size), corners, size)
    known &= ~_jumps(seen, fits, size)
    moved = np.linalg.norm(seen[known] - corners, axis=-1).max(axis=1)
    if np.quantile(moved, 0.95) < _STILL * size / 640:
        return Path(still, confidence)
    weights = known / (1 + np.square([fit.uncertainty if fit else 0.0 for fit in fits]))
    seen = smooth(seen.reshape(len(fits), 8), weights, max(smoothing, 1e-6)).reshape(seen.shape)
    confidence = np.where(known, confidence, 0).astype(np.float32)
    homography = _homographies(seen, seen[0], corners)
    parted = layers(ground.spans, ground.horizon, seen, corners) if ground else None
    if parted is None:
        return Path(homography, confidence, _lost_note(known))
    far, near = (_homographies(quads, seen[0], corners) for quads in (parted.far, parted.near))
    return Path(homography, confidence, (*_lost_note(known), _ground_note(parted)), (far, near))


def _homographies(seen: Quads, first: Matrix, corners: Matrix) -> NDArray[np.float64]:
    """From the first frame to each, in unit coordinates, by where their corners lie; the first is the identity."""
    width, height = np.ptp(corners, axis=0)
    into, out = unit_to_pixels(round(height), round(width)), pixels_to_unit(round(height), round(width))
    start = through_corners(corners, first)
    homography = np.array([out @ through_corners(quad, corners) @ start @ into for quad in seen])
    homography[0] = np.eye(3)
    return np.asarray(homography / homography[:, 2:, 2:])


def _of_one_kind(fits: Fits, corners: Matrix, size: int) -> list[Matrix | None]:
    """The motions of the kind that is chosen for the shot."""
    known = [fit for fit in fits if fit is not None]
    unsure = np.median([fit.uncertainty for fit in known]) > _UNSURE * size
    costs = sum(fit.similarity_cost for fit in known), sum(fit.homography_cost for fit in known)
    plain = unsure or (costs[0] <= costs[1] and not _leans_on(known[1:], corners, size))
    return [None if fit is None else fit.similarity if plain else fit.homography for fit in fits]


def _leans_on(known: Sequence[Models], corners: Matrix, size: int) -> bool:
    """Whether what a homography adds is the same way from frame to frame, though too small to be told in any one.

    Errors of following cancel from frame to frame, since a feature is found by how it looked in its keyframe.
    """
    count = len(known) // _SPAN * _SPAN
    if not count:
        return False
    leans = [transform(fit.homography, corners) - transform(fit.similarity, corners) for fit in known[:count]]
    each = np.asarray(leans, np.float64)
    added = each.reshape(-1, _SPAN, 4, 2).sum(axis=1)
    over_a_span, of_one = float(np.sqrt(np.square(added).mean())), float(np.sqrt(np.square(each).mean()))
    return over_a_span > max(_SHOWS * size / 640, _ADDS_UP * _SPAN**0.5 * of_one)


def _put_together(motions: Sequence[Matrix | None], corners: Matrix, size: int) -> Quads:
    """Where the corners of each frame lie in the first, ``(t, 4, 2)``.

    A step moves a frame's own corners, where its fit is good, and never points far outside. What a homography
    adds to shift, turn and scale is held, since over a long shot it would bend the picture out of shape.
    """
    quads = []
    place = np.eye(3)
    for motion in motions:
        if motion is not None:
            quad = transform(place @ np.linalg.inv(motion), corners).astype(np.float64)
            plain = fit_similarity(corners, quad, np.ones(4))
            flat = transform(plain, corners)
            lean = quad - flat
            most = float(np.abs(lean).max()) / np.hypot(plain[0, 0], plain[1, 0])
            quad = flat + lean / (1 + (most / (_LEANING * size)) ** 8) ** 0.125
            place = through_corners(corners, quad)
        quads.append(transform(place, corners).astype(np.float64))
    return np.array(quads)


def _confidence(fit: Models | None) -> float:
    if fit is None:
        return 0.0
    return min(1.0, fit.inliers / 60) * min(1.0, float(fit.inlying.mean()) / 0.6) / (1 + fit.uncertainty)


def _jumps(seen: Quads, fits: Fits, size: int) -> NDArray[np.bool_]:
    """Frames that leave the path of their neighbours on the word of few matches."""
    count = len(seen)
    around = np.clip(np.arange(count)[:, None] + np.arange(-3, 4), 0, count - 1)
    off = np.linalg.norm(seen - np.median(seen[around], axis=1), axis=-1).max(axis=1)
    doubtful = np.array([fit is not None and fit.inlying.mean() < 0.5 for fit in fits])
    jumps: NDArray[np.bool_] = (off > 0.02 * size) & doubtful
    return jumps


def _lost_note(known: NDArray[np.bool_]) -> tuple[str, ...]:
    lost = int((~known).sum())
    if not lost:
        return ()
    return (f"the camera's motion was not found in {lost} of {len(known)} frames: taken from their neighbours",)


def _ground_note(parted: Layers) -> str:
    return (
        f"the plate shows parallax: a plane, and ground below {100 * parted.horizon:.0f} % of the height, leave "
        f"{100 * parted.gained:.0f} % less unexplained than one plane; background.parallax shows it in the backdrop"
    )
