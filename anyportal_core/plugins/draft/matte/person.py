"""People, found automatically."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np

from anyportal_core.errors import NoForegroundError
from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.method.matting import settle
from anyportal_core.plugins.draft.flow import Flow, follow
from anyportal_core.plugins.draft.matte.common import OPS, each_frame, in_chunks, reach, render_edges
from anyportal_core.plugins.draft.matte.selfie import Selfie
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

_RUN = 32  # frames after which what was found is kept
_UNIT = np.float32(65535)
_SURE = 0.7  # probability
_ISLAND = 0.02  # of the largest island's sure area; smaller ones are ghosts
_LEAST = 0.002  # of the frame's area; less is no person but a mistake


class Person:
    """Segments people on every frame, fuses the frames along the flow, and fits soft edges."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        return in_chunks(self._alphas(plate, context))

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        return render_edges(frame, stored, context)

    def _alphas(self, plate: FrameSource, context: RoleContext) -> Iterator[Image]:
        selfie, most, before = Selfie(), 0.0, None
        for number, (start, stop) in enumerate(chunks(len(plate), _RUN)):
            run = context.part(number, partial(_run, selfie, plate, start, stop, before, context))
            most, before = max(most, float(run["most"])), np.asarray(run["last"], np.float32)
            yield from np.asarray(run["alpha"], np.float32) / _UNIT
        if most < _LEAST:
            raise NoForegroundError(
                "nobody was found in the shot",
                hint="give a matte (--matte), a mask of one frame (--mask), or use the chroma key draft.key",
            )


def _run(
    selfie: Selfie, plate: FrameSource, start: int, stop: int, before: Image | None, context: RoleContext
) -> Chunk:
    """The ``alpha`` of a run of frames, 0..65535; the ``most`` found of a frame; the ``last`` frame's probability.

    Args:
        before: the probability on the frame before the run.
    """
    most, last, alphas = 0.0, np.empty(0, np.float32), []
    for frame, last in _fused(selfie, plate, start, stop, before, context):
        most = max(most, float((last > 0.5).mean()))
        alphas.append(settle(frame, _without_ghosts(last), reach(frame, context), OPS))
        context.progress((start + len(alphas)) / len(plate))
    # As the stage stores it: half of what would have to be written otherwise, and no other result.
    stored = np.rint(np.clip(np.stack(alphas), 0, 1) * _UNIT).astype(np.uint16)
    return {"alpha": stored, "most": np.array(most), "last": last}


def _without_ghosts(found: Image) -> Image:
    """Probability without islands that are hardly sure anywhere: a plant, a lamp, a coat on its hook."""
    _, islands = cv2.connectedComponents((found > 0.1).astype(np.uint8))
    sure = np.bincount(islands.ravel(), weights=(found > _SURE).ravel())
    kept = sure >= max(1.0, _ISLAND * sure.max())
    return np.where(kept[islands], found, np.float32(0))


def _fused(
    selfie: Selfie, plate: FrameSource, start: int, stop: int, last: Image | None, context: RoleContext
) -> Iterator[tuple[Image, Image]]:
    """Frames with their probabilities, each averaged with what the frame before became, along the flow."""
    steadiness, flow = context.settings.number("steadiness"), Flow(shrink=2)
    before = None if last is None else (plate.read(start - 1, start)[0], last)
    for frame in each_frame(plate, start, stop):
        context.checkpoint()
        found = selfie(frame)
        if before is not None and steadiness > 0:
            pair = flow.pair(frame, before[0])
            heed = pair.seen * np.float32(steadiness)
            found = found + heed * (follow(before[1], pair.forward) - found)
        before = frame, found
        yield frame, found
