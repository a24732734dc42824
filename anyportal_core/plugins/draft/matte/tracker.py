"""Carries a mask from frame to frame: where it moved, what its colours are, and what is not the background."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.method.masks import tightened
from anyportal_core.method.matting import settle
from anyportal_core.plugins.draft.flow import Flow, follow
from anyportal_core.plugins.draft.matte.camera import camera_motion, warped
from anyportal_core.plugins.draft.matte.colours import Colours
from anyportal_core.plugins.draft.matte.common import OPS
from anyportal_core.plugins.draft.matte.known import Cue, Given, KnownBackground, difference

_PRIOR, _PRIOR_LOOSE = 1.0, (0.35, 0.8)  # how much the carried mask counts, and one that was painted loosely
_HEED = 0.3  # the share of that where the flow is not sure
_SEEN, _SEEN_LOOSE = 0.35, 0.6  # how much colours count where the flow is sure, likewise; it is 1 where it is not
_NEAR, _RING = 13, 25  # how far the foreground may reach beyond the moved mask, and what counts as around it
_FAR, _SURELY = 45, 1.0  # how far a fast limb may be, and the log odds from which it is surely no background
_HIDDEN = 1.01, 0.5  # how well the flow may follow what is taken for such a limb
_NOISE = 0.045, 0.07  # of the known background: the first of two limits holds below, the second above
_SPARE = 2  # kept away from the mask where background is learnt
_LOST = 0.25  # who is followed that unsurely is lost: what is followed on may be anything
_LIKE_TRIED = 322  # the side of a square like the pictures that the distances (in pixels) were tried on


@dataclass(frozen=True)
class Carried:
    """What is known of one frame.

    Args:
        probability: ``(H, W)`` 0..1 of the foreground itself, without what the mask was painted too wide; its alpha,
            where its edge was sought.
        sure: how far to trust it, 0..1.
    """

    probability: Image
    sure: float


class Tracker:
    """Knows the foreground of the frame it was last told of, and finds it in the next one.

    Args:
        loose: by how many pixels masks are painted too wide.
        reach: how far, in pixels, the foreground's own edge is sought on each frame; 0 where edges do not matter.
    """

    def __init__(self, height: int, width: int, loose: int, reach: int) -> None:
        self._scale = math.sqrt(height * width) / _LIKE_TRIED
        self._loose, self._reach = loose, reach
        self._flow, self._colours, self._cue = Flow(), Colours(), Cue()
        self._background = KnownBackground(height, width)
        self._before: tuple[Image, Image] | None = None
        self._given: Given | None = None
        self._surest = 1.0

    def branch(self) -> Tracker:
        """One that knows the same and can go another way."""
        twin = copy.copy(self)
        twin._colours, twin._cue = copy.deepcopy(self._colours), copy.deepcopy(self._cue)
        twin._background = copy.deepcopy(self._background)
        return twin

    def told(self, frame: Image, mask: Image) -> Carried:
        """Go on to a frame whose mask is given."""
        if self._before is not None:
            self._move(frame, *self._before)
        tight = self._tight(frame, mask)
        self._given = Given(frame, tight, np.eye(3))
        self._learn(frame, tight)
        self._surest = 1.0
        return Carried(tight, 1.0)

    def _tight(self, frame: Image, mask: Image) -> Image:
        tight = tightened(frame, (mask > 0.5).astype(np.float32), self._loose, OPS)
        if self._reach:
            tight = settle(frame, cv2.GaussianBlur(tight, (0, 0), 2), self._reach, OPS)
        return tight

    def found(self, frame: Image) -> Carried:
        """Go on to the next frame, either way in time, and find the foreground there."""
        if self._before is None:
            raise ValueError("a tracker has to be told of a mask first")
        frame_before, tight = self._before
        height, width = tight.shape
        camera = self._move(frame, frame_before, tight)
        # What the camera does is taken out first: the flow of what is left is small.
        pair = self._flow.pair(frame, warped(frame_before, camera, height, width))
        moved = follow(warped(tight, camera, height, width), pair.forward)
        seen = cast(Image, cv2.GaussianBlur(pair.seen.astype(np.float32), (0, 0), 1))
        odds = self._odds(frame, moved, seen)
        probability = cast(Image, cv2.GaussianBlur(1 / (1 + np.exp(-odds)), (0, 0), self._scale))
        sure = min(_sureness(probability, moved, seen), self._surest)
        if sure < _LOST:
            self._surest = _LOST
        if self._reach:
            probability = settle(frame, probability, self._reach, OPS)
        self._learn(frame, probability)
        return Carried(probability, sure)

    def _odds(self, frame: Image, moved: Image, seen: Image) -> Image:
        """The log odds ``(H, W)`` of the foreground, by all that is known of it."""
        if self._given is None:
            raise ValueError("a tracker has to be told of a mask first")
        background, known = self._background.view()
        prior, colours = (_PRIOR, _SEEN) if self._reach else (self._limit(_PRIOR_LOOSE), _SEEN_LOOSE)
        differs = np.where(known, self._cue.evidence(difference(frame, background)), np.float32(0))
        odds = np.float32(prior) * self._prior(moved, seen)
        odds += (1 + np.float32(colours - 1) * seen) * self._colours.evidence(frame)
        odds += self._given.evidence(frame) + differs
        limbs = (differs > _SURELY) & (seen < self._limit(_HIDDEN))
        return np.where(self._within_reach(moved, odds, limbs), odds, np.float32(-6))

    def _within_reach(self, moved: Image, odds: Image, limbs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Where the foreground may be: near what moved, and farther off as far as ``limbs`` lead from there."""
        away = cv2.distanceTransform((moved <= 0.3).astype(np.uint8), cv2.DIST_L2, 5)
        near = away <= self._pixels(_NEAR)
        there = (near | limbs & (away <= self._pixels(_FAR))) & (odds > 0)
        count, labelled = cv2.connectedComponents(there.astype(np.uint8), connectivity=4)
        islands = np.asarray(labelled, np.int32)
        led = np.zeros(count, np.bool_)
        led[islands[near]] = True
        led[0] = False
        return near | led[islands]

    def _limit(self, limits: tuple[float, float]) -> float:
        """Between two limits, the nearer to the second the less the known background is what is seen."""
        return float(np.interp(self._cue.noise, _NOISE, limits))

    def _prior(self, moved: Image, seen: Image) -> Image:
        prior = np.clip(cv2.GaussianBlur(moved, (0, 0), 2 * self._scale), 0.03, 0.97)
        odds = (_HEED + (1 - _HEED) * seen) * np.log(prior / (1 - prior))
        return cast(Image, odds.astype(np.float32))

    def _move(self, frame: Image, before: Image, tight: Image) -> NDArray[np.float64]:
        free = _wider(tight, self._loose + self._pixels(2 * _SPARE)) < 0.5
        camera = camera_motion(frame, before, free)
        self._background.move(camera)
        self._given = self._given.moved(camera) if self._given else None
        return camera

    def _learn(self, frame: Image, tight: Image) -> None:
        inside = (tight > 0.5).astype(np.float32)
        free = _wider(inside, self._loose + self._pixels(_SPARE)) < 0.5
        around = (_wider(inside, self._loose + self._pixels(_RING)) > 0.5) & free
        background, known = self._background.view()
        core = cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0.5
        self._cue.learn(difference(frame, background), core & known, around & known)
        self._colours.learn(frame, tight)
        self._background.learn(frame, free)
        self._before = frame, tight

    def _pixels(self, distance: float) -> int:
        return max(1, round(distance * self._scale))


def _wider(mask: Image, radius: int) -> Image:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cast(Image, cv2.dilate(mask, disc))


def _sureness(probability: Image, moved: Image, seen: Image) -> float:
    """How decided a frame is, how like what was carried there, and how much of that is still seen: 0..1."""
    area = float(probability.sum()) + 1
    doubt = float((4 * probability * (1 - probability)).sum()) / (4 * math.sqrt(area) + area)
    grown = abs(math.log(area / (float(moved.sum()) + 1)))
    share = float((moved * seen).sum()) / (float(moved.sum()) + 1)
    return (0.4 + 0.6 * share) / (1 + (doubt / _DOUBT) ** 2) / (1 + (grown / _GROWN) ** 2)


_DOUBT, _GROWN = 1.2, 0.4
"""The undecided share, and the log of the change in size, that halve the confidence."""
