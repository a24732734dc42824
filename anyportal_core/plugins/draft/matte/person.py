"""People, found automatically."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from anyportal_core.errors import NoForegroundError
from anyportal_core.frames import FrameSource, Image
from anyportal_core.method.matting import settle
from anyportal_core.plugins.draft.flow import Flow, follow
from anyportal_core.plugins.draft.matte.common import OPS, each_frame, in_chunks, reach, render_edges
from anyportal_core.plugins.draft.matte.selfie import Selfie
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

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
        most = 0.0
        for frame, found in _fused(plate, context.settings.number("steadiness"), context):
            most = max(most, float((found > 0.5).mean()))
            yield settle(frame, _without_ghosts(found), reach(frame, context), OPS)
        if most < _LEAST:
            raise NoForegroundError(
                "nobody was found in the shot",
                hint="give a matte (--matte), a mask of one frame (--mask), or use the chroma key draft.key",
            )


def _without_ghosts(found: Image) -> Image:
    """Probability without islands that are hardly sure anywhere: a plant, a lamp, a coat on its hook."""
    _, islands = cv2.connectedComponents((found > 0.1).astype(np.uint8))
    sure = np.bincount(islands.ravel(), weights=(found > _SURE).ravel())
    kept = sure >= max(1.0, _ISLAND * sure.max())
    return np.where(kept[islands], found, np.float32(0))


def _fused(plate: FrameSource, steadiness: float, context: RoleContext) -> Iterator[tuple[Image, Image]]:
    """Frames with their probabilities, each averaged with what the frame before became, along the flow."""
    selfie, flow = Selfie(), Flow(shrink=2)
    before: tuple[Image, Image] | None = None
    for frame in each_frame(plate):
        context.checkpoint()
        found = selfie(frame)
        if before is not None and steadiness > 0:
            pair = flow.pair(frame, before[0])
            heed = pair.seen * np.float32(steadiness)
            found = found + heed * (follow(before[1], pair.forward) - found)
        before = frame, found
        yield frame, found
