"""Masks of some frames, carried through the shot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import cast

import cv2
import numpy as np

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import FrameSource, Image
from anyportal_core.method.masks import looseness
from anyportal_core.method.matting import levels
from anyportal_core.plugins.draft.matte.common import OPS, each_frame, each_frame_back, held, reach, render_edges
from anyportal_core.plugins.draft.matte.judged import Judged, judged_chunks
from anyportal_core.plugins.draft.matte.pile import Pile
from anyportal_core.plugins.draft.matte.scribbles import decided
from anyportal_core.plugins.draft.matte.tracker import Carried, Tracker
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

_LOOSEST = 0.0125  # of the picture's size: what is painted wider than that is meant so
_FOUND_WIDER = 0.0042  # of the picture's size that the foreground is found wider than it is
_LOYAL = 2  # the power of its sureness by which a way counts
_APART = 0.3  # the share in which two ways, counting alike, do not overlap, that halves the confidence
_HOLE = 6e-4  # of the picture's area: smaller holes of a mask are none


class Propagate:
    """Carries masks along the motion in both directions; between two of them, each counts the more the nearer it is."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        masks = hints.masks()
        if not masks:
            raise ShotError(
                "no mask was given",
                where="shot.mask",
                hint="paint the foreground of one frame, or strokes on it (--mask)",
            )
        masks = {index: decided(plate.read(index, index + 1)[0], mask) for index, mask in sorted(masks.items())}
        if not any((mask > 0.5).any() for mask in masks.values()):
            raise NoForegroundError(
                "the mask is empty", where="shot.mask", hint="white is foreground: paint it, or give another mask"
            )
        way = _Way(plate, masks, context)
        for chunk in judged_chunks(way.alphas(), plate, context):
            yield {**chunk, "painted": np.full(len(chunk["alpha"]), way.painted)}

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        if stored["painted"]:  # an edge that is none of the picture's is not drawn to those of the picture
            return held(cast(Image, cv2.resize(np.asarray(stored["alpha"], np.float32), frame.shape[1::-1])), stored)
        return render_edges(frame, stored, context)


class _Way:
    """The way through the shot: from the first mask back to the start, and on from each to the next."""

    def __init__(self, plate: FrameSource, masks: Mapping[int, Image], context: RoleContext) -> None:
        self._plate, self._masks, self._context = plate, masks, context
        self._size = plate.height, plate.width
        self._loose = self._looseness()
        self.painted = self._loose > 0 and context.settings.text("edges") == "painted"
        if self._loose:
            context.note(
                f"the mask is painted about {self._loose} pixels of {max(self._size)} wider than the foreground: "
                "edges = found finds its own edge, edges = painted keeps what was painted"
            )

    def alphas(self) -> Iterator[Judged]:
        at = list(self._masks)
        first = self._plate.read(at[0], at[0] + 1)[0]
        tracker = Tracker(*self._size, self._loose, 0 if self.painted else reach(first, self._context))
        known = tracker.told(first, self._masks[at[0]])
        yield from self._before(tracker.branch(), at[0])
        yield self._told(known, at[0])
        for left, right in pairwise(at):
            yield from self._between(tracker, left, right)
        for frame in each_frame(self._plate, at[-1] + 1):
            yield self._alpha(self._found(tracker, frame))

    def _before(self, tracker: Tracker, index: int) -> Iterator[Judged]:
        """What lies before the first mask: found last to first, it waits on disk."""
        with Pile(*self._size) as pile:
            sure = []
            for frame in each_frame_back(self._plate, index - 1):
                alpha = self._alpha(self._found(tracker, frame))
                pile.push(alpha.alpha)
                sure.append(alpha.sure)
            yield from map(Judged, pile.unpile(), reversed(sure))

    def _between(self, tracker: Tracker, left: int, right: int) -> Iterator[Judged]:
        """What lies between two masks, and the right one itself, to which ``tracker`` goes on.

        The way there waits on disk for the way back, which knows the background that the first one has seen.
        """
        with Pile(*self._size) as there, Pile(*self._size) as both:
            sure, trust = [], []
            for frame in each_frame(self._plate, left + 1, right):
                carried = self._found(tracker, frame)
                there.push(carried.probability)
                sure.append(carried.sure)
            last = self._plate.read(right, right + 1)[0]
            known = tracker.told(last, self._masks[right])
            twin = tracker.branch()
            back = each_frame_back(self._plate, right - 1, left + 1)
            for index, (frame, earlier) in enumerate(zip(back, there.unpile(), strict=True)):
                carried = self._found(twin, frame)
                share = 1 - (index + 1) / (right - left)
                alpha = self._alpha(agreed(Carried(earlier, sure[-1 - index]), carried, share))
                both.push(alpha.alpha)
                trust.append(alpha.sure)
            yield from map(Judged, both.unpile(), reversed(trust))
        yield self._told(known, right)

    def _found(self, tracker: Tracker, frame: Image) -> Carried:
        self._context.checkpoint()
        return tracker.found(frame)

    def _told(self, known: Carried, index: int) -> Judged:
        """The alpha where a mask was given: as it was painted, but for its edge."""
        return Judged(_soft(self._masks[index]) if self.painted else known.probability, 1.0)

    def _alpha(self, carried: Carried) -> Judged:
        probability = _filled(carried.probability)
        if self.painted:
            probability = _filled(_wider(probability, self._loose - _FOUND_WIDER * math.sqrt(probability.size)))
        return Judged(probability, carried.sure)

    def _looseness(self) -> int:
        """By how many pixels the masks are wider than the foreground, at most."""
        most = max(1, round(_LOOSEST * max(self._size)))
        found = []
        for index, mask in self._masks.items():
            frame = self._plate.read(index, index + 1)[0]
            found.append(looseness(frame, (mask > 0.5).astype(np.float32), most, OPS))
        return max(found) if max(found) > 1 else 0


def agreed(there: Carried, here: Carried, share: float) -> Carried:
    """What both ways found: each counts by how near it comes from, and by how sure it is, for one may be lost.

    Args:
        share: how near the way back comes from: 1 at its mask, 0 at the other one.
    """
    near, far = share * here.sure**_LOYAL, (1 - share) * there.sure**_LOYAL
    counts = near / (near + far + 1e-9)
    a, b = there.probability > 0.5, here.probability > 0.5
    apart = 1 - float((a & b).sum() + 1) / float((a | b).sum() + 1)
    trust = 1 / (1 + (4 * counts * (1 - counts) * apart / _APART) ** 2)
    return Carried(_mixed(there.probability, here.probability, counts), trust * max(there.sure, here.sure))


def _mixed(there: Image, here: Image, share: float) -> Image:
    """Both ways' probabilities, by their log odds; ``share`` is how much the way back counts."""
    odds = (1 - share) * _log_odds(there) + share * _log_odds(here)
    return cast(Image, levels(1 / (1 + np.exp(-odds)), 0.02, 0.98))


def _log_odds(probability: Image) -> Image:
    sure = np.clip(probability, 0.02, 0.98)
    return cast(Image, np.log(sure / (1 - sure)))


def _wider(probability: Image, by: float) -> Image:
    """What is inside, and what is nearer to it than so many pixels; with an edge two pixels wide."""
    outside = (probability < 0.5).astype(np.uint8)
    away, within = (cv2.distanceTransform(part, cv2.DIST_L2, 5) for part in (outside, 1 - outside))
    return np.clip((max(0.0, by) - away + within) / 2 + np.float32(0.5), 0, 1).astype(np.float32)


def _filled(probability: Image) -> Image:
    """Small holes closed: what lies inside all around is inside."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((probability < 0.5).astype(np.uint8), connectivity=4)
    small = np.zeros(count, bool)
    small[1:] = stats[1:, cv2.CC_STAT_AREA] < _HOLE * probability.size
    return np.where(small[labels], np.maximum(probability, np.float32(1)), probability) if small.any() else probability


def _soft(mask: Image) -> Image:
    """An edge two pixels wide."""
    return cast(Image, cv2.GaussianBlur(mask, (0, 0), 0.7))
