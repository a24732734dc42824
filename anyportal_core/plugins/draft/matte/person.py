"""People, found automatically."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.errors import NoForegroundError
from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.hands import helper, in_order
from anyportal_core.method.matting import settle
from anyportal_core.plugins.draft.flow import Flow, follow
from anyportal_core.plugins.draft.matte.common import (
    CLEAN_PLATE,
    KEY,
    MASK,
    OPS,
    SUPPLY,
    each_frame,
    reach,
    render_edges,
)
from anyportal_core.plugins.draft.matte.corrections import Corrections
from anyportal_core.plugins.draft.matte.judged import Judged, judged_chunks
from anyportal_core.plugins.draft.matte.people import FAR, Who, aside, chosen, missed
from anyportal_core.plugins.draft.matte.selfie import Selfie
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

_RUN = 32  # frames after which what was found is kept
_UNIT = np.float32(65535)
_SURE = 0.7  # probability
_ISLAND = 0.02  # of the largest island's sure area; smaller ones are ghosts
_DOUBT = 0.25  # the share of the person that, undecided, halves the confidence
_WAVER, _MOST_WAVER = 0.014, 0.03  # shares that waver in quiet shots and in lively ones
_TWICE = 2.8  # times the usual wavering halve the confidence
_FOLLOW = 0.1  # how fast what is usual follows
_LEAST = 0.002  # of the frame's area; less is no person but a mistake


class Person:
    """Segments people on every frame, fuses the frames along the flow, and fits soft edges."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        return judged_chunks(self._alphas(plate, hints, context), plate, context)

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        return render_edges(frame, stored, context)

    def _alphas(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Judged]:
        selfie, most, before, usual, looked = Selfie(), 0.0, None, _WAVER, False
        felt = context.settings.integer("correction_frames")
        with Corrections(plate, hints.masks(), selfie, felt, context.checkpoint) as corrected:
            for number, (start, stop) in enumerate(chunks(len(plate), _RUN)):
                search = _Search(selfie, corrected, plate, context)
                run = context.part(number, partial(search.run, start, stop, before, usual))
                most, before = max(most, float(run["most"])), np.asarray(run["last"], np.float32)
                usual, looked = float(run["usual"]), looked or _picked(run, plate, context)
                alphas = np.asarray(run["alpha"], np.float32) / _UNIT
                yield from map(Judged, alphas, np.asarray(run["sure"], np.float64).tolist())
        if most < _LEAST:
            raise NoForegroundError(
                "nobody was found in the shot",
                hint=f"{SUPPLY}, {MASK} or {CLEAN_PLATE}, or {KEY}",
            )


@dataclass(frozen=True)
class _Found:
    """A frame ``(H, W, 3)`` with the probability of a person ``(H, W)``, before its edges are settled.

    Args:
        trust: how decided the models were.
        wavering: how far they wavered from the frame before.
    """

    frame: Image
    probability: Image
    trust: float
    wavering: float


@dataclass(frozen=True)
class _Search:
    """What finds people in one run of frames."""

    selfie: Selfie
    corrected: Corrections
    plate: FrameSource
    context: RoleContext

    def run(self, start: int, stop: int, before: Image | None, usual: float) -> Chunk:
        """The ``alpha`` of a run of frames, 0..65535, and how ``sure``; the ``most`` found; what the next run needs.

        And ``aside``: on which frame somebody was seen first, and how far from the picked point; empty if on none.

        Args:
            before: the probability on the frame before the run.
            usual: how much frames wavered until then.
        """
        most, last, alphas = 0.0, np.empty(0, np.float32), list[Image]()
        sure, away = list[float](), list[float]()
        with closing(in_order(self._settled, self._fused(start, stop, before), helper())) as settled:
            for found, alpha in settled:
                last = found.probability
                most = max(most, float((last > 0.5).mean()))
                if most > _LEAST and not away:
                    away = [start + len(alphas), aside(last, _spot(self.context))]
                alphas.append(alpha)
                usually = float(np.clip(usual, _WAVER, _MOST_WAVER))
                sure.append(found.trust / (1 + (found.wavering / (_TWICE * usually)) ** 2))
                usual += _FOLLOW * (found.wavering - usual)
                self.context.progress((start + len(alphas)) / len(self.plate))
        # As the stage stores it: half of what would have to be written otherwise, and no other result.
        stored = np.rint(np.clip(np.stack(alphas), 0, 1) * _UNIT).astype(np.uint16)
        figures = {"sure": sure, "most": most, "usual": usual, "aside": away}
        return {"alpha": stored, "last": last, **{name: np.array(values) for name, values in figures.items()}}

    def _fused(self, start: int, stop: int, last: Image | None) -> Iterator[_Found]:
        """What was found on each frame, averaged with what the frame before became, along the flow."""
        settings, flow = self.context.settings, Flow(shrink=2)
        who, steadiness = cast(Who, settings.text("people")), settings.number("steadiness")
        spot = _spot(self.context)
        before = None if last is None else (self.plate.read(start - 1, start)[0], last)
        with closing(in_order(self._looked, each_frame(self.plate, start, stop), helper())) as looks:
            for index, (frame, found) in enumerate(looks, start):
                self.context.checkpoint()
                found = self.corrected(index, found)
                carried, wavering = None, 0.0
                trust = _decidedness(found)
                if before is not None:
                    pair = flow.pair(frame, before[0])
                    carried = follow(before[1], pair.forward)
                found = chosen(found, who, spot, carried)
                if carried is not None:
                    wavering = _wavering(found, carried, pair.seen)
                    found = found + pair.seen * np.float32(steadiness) * (carried - found)
                before = frame, found
                yield _Found(frame, found, trust, wavering)

    def _looked(self, frame: Image) -> tuple[Image, Image]:
        """A frame, and what the models make of it: they remember nothing, but are used by one thread alone."""
        return frame, self.selfie(frame)

    def _settled(self, found: _Found) -> tuple[_Found, Image]:
        frame = found.frame
        return found, settle(frame, _without_ghosts(found.probability), reach(frame, self.context), OPS)


def _spot(context: RoleContext) -> tuple[float, float]:
    return context.settings.number("pick_x") / 100, context.settings.number("pick_y") / 100


def _picked(run: Chunk, plate: FrameSource, context: RoleContext) -> bool:
    """Whether a run shows somebody; the user is told where that is far from the one who was picked."""
    if not run["aside"].size:
        return False
    index, away = np.asarray(run["aside"], np.float64).tolist()
    if context.settings.text("people") == "picked" and away > FAR:
        percent = context.settings.number("pick_x"), context.settings.number("pick_y")
        context.warn(missed(percent, plate.numbers[int(index)], away))
    return True


def _decidedness(found: Image) -> float:
    """How far the models are sure of what they found: 0..1, 1 where nobody is to be seen."""
    area = float(found.sum())
    doubt = float((4 * found * (1 - found)).sum())
    return 1 / (1 + (doubt / (area + 4 * math.sqrt(area) + 0.02 * found.size) / _DOUBT) ** 2)


def _wavering(found: Image, carried: Image, seen: NDArray[np.bool_]) -> float:
    """The share of the person that is another than on the frame before, though it is still seen."""
    off = float((np.abs(found - carried) * seen).sum())
    return off / (float(np.maximum(found, carried).sum()) + 0.02 * found.size)


def _without_ghosts(found: Image) -> Image:
    """Probability without islands that are hardly sure anywhere: a plant, a lamp, a coat on its hook."""
    _, islands = cv2.connectedComponents((found > 0.1).astype(np.uint8))
    sure = np.bincount(islands.ravel(), weights=(found > _SURE).ravel())
    kept = sure >= max(1.0, _ISLAND * sure.max())
    return np.where(kept[islands], found, np.float32(0))
