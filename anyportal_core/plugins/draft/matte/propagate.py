"""A mask of one frame, carried through the shot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import cv2
import numpy as np

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import FrameSource, Image
from anyportal_core.method.matting import settle
from anyportal_core.plugins.draft.flow import Flow, follow
from anyportal_core.plugins.draft.matte.colours import Colours
from anyportal_core.plugins.draft.matte.common import OPS, each_frame, each_frame_back, in_chunks, reach, render_edges
from anyportal_core.plugins.draft.matte.pile import Pile
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

_SEEN, _UNSEEN = 0.35, 1.0  # how much colours count where the flow is sure, and where it is not
_HEED = 0.3  # how much the carried mask counts where the flow is not sure


class Propagate:
    """Carries the mask along the flow in both directions; colours and edges keep it from drifting."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        if hints.mask is None:
            raise ShotError(
                "no mask was given", where="shot.mask", hint="paint the foreground of one frame and give it with --mask"
            )
        if not (hints.mask > 0.5).any():
            raise NoForegroundError(
                "the mask is empty", where="shot.mask", hint="white is foreground: paint it, or give another mask"
            )
        return in_chunks(_both_ways(plate, hints.mask, hints.mask_index, context))

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        return render_edges(frame, stored, context)


def _both_ways(plate: FrameSource, mask: Image, index: int, context: RoleContext) -> Iterator[Image]:
    """Alphas of all frames in order. Those before ``index`` are found last to first, and wait on disk."""
    with Pile(plate.height, plate.width) as pile:
        earlier = _carried(each_frame_back(plate, index), mask, context)
        next(earlier)
        for alpha in earlier:
            pile.push(alpha)
        yield from pile.unpile()
    yield from _carried(each_frame(plate, index), mask, context)


def _carried(frames: Iterable[Image], mask: Image, context: RoleContext) -> Iterator[Image]:
    """Alphas of ``frames``, the first of which ``mask`` belongs to."""
    flow, colours = Flow(), Colours()
    before: tuple[Image, Image] | None = None
    for frame in frames:
        context.checkpoint()
        rough = _blur(mask) if before is None else _moved(frame, *before, flow, colours)
        alpha = settle(frame, rough, reach(frame, context), OPS)
        colours.learn(frame, alpha)
        before = frame, alpha
        yield alpha


def _moved(frame: Image, frame_before: Image, alpha_before: Image, flow: Flow, colours: Colours) -> Image:
    """Probability ``(H, W)`` of foreground: the alpha before, moved, and the colours' evidence near it."""
    pair = flow.pair(frame, frame_before)
    moved = follow(alpha_before, pair.forward)
    seen = cv2.GaussianBlur(pair.seen.astype(np.float32), (0, 0), 1)
    prior = np.clip(_blur(moved), 0.02, 0.98)
    heed, weigh = _HEED + (1 - _HEED) * seen, _UNSEEN + (_SEEN - _UNSEEN) * seen
    odds = heed * np.log(prior / (1 - prior)) + weigh * colours.evidence(frame)
    side = 2 * round(0.03 * max(moved.shape)) + 1
    near = cv2.dilate(moved, np.ones((side, side), np.uint8)) > 0.3
    return np.where(near, 1 / (1 + np.exp(-odds)), np.float32(0))


def _blur(alpha: Image) -> Image:
    """Soft, since neither the flow nor a painted mask is exact to a pixel."""
    return cast(Image, cv2.GaussianBlur(alpha, (0, 0), 2))
