"""Role ``matte``: a mask of one frame followed through the shot, its edges soft and steady."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from transformers import EdgeTamVideoModel, Sam2VideoModel, VitMatteForImageMatting
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoInferenceSession
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from anyportal_core.errors import NoForegroundError
from anyportal_core.frames import FrameSource, Image
from anyportal_core.plugins.device import Load, check_fits, dtype_of, keep_on
from anyportal_core.plugins.draft.flow import Flow, follow
from anyportal_core.plugins.draft.matte.common import OPS, each_frame, each_frame_back, in_chunks, reach, render_edges
from anyportal_core.plugins.draft.matte.pile import Pile
from anyportal_core.plugins.matting.edges import UNKNOWN, SoftEdges, make_trimap
from anyportal_core.plugins.matting.found import LEAST, first_prompt
from anyportal_core.plugins.matting.tracker import Prompt, Tracker
from anyportal_core.plugins.pretrained import load_published
from anyportal_core.plugins.steps import Steps
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

_WORKING = 3.0  # gigabytes that a pass over one frame takes besides the weights
_NEEDS = "EdgeTAM needs 'pip install timm'; sam.matte does not"


class FollowedMatte:
    """Follows the foreground from the frame where it is known, in both directions.

    Args:
        model: the name of the model that follows.
        network: its class.
        session: the class of its sessions.
    """

    def __init__(self, model: str, network: Any, session: Any) -> None:
        self._model, self._network, self._session = model, network, session

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        return in_chunks(self._alphas(plate, hints, context))

    def check_memory(self, context: RoleContext) -> None:
        precisions = {self._model: dtype_of(context.device), "vitmatte": torch.float32}
        weights = tuple((context.models.find(name), dtype) for name, dtype in precisions.items())
        check_fits(context.device, Load(weights, _WORKING))

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        return render_edges(frame, stored, context)

    def _alphas(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Image]:
        index, prompt = first_prompt(plate, hints, context)
        tracker = Tracker(self._load(self._model, self._network, dtype_of(context.device), context), self._session)
        # Eight bits of alpha are more than bfloat16 can tell: edges are made in full precision.
        edges = SoftEdges(self._load("vitmatte", VitMatteForImageMatting, torch.float32, context))
        most = 0.0
        for alpha in _both_ways(plate, index, prompt, tracker, edges, context):
            most = max(most, float(alpha.mean()))
            yield alpha
        if most < LEAST:
            raise NoForegroundError(
                "what the mask, click or box shows was not found on any frame", hint="give a mask of one frame (--mask)"
            )

    def _load(self, name: str, kind: Any, dtype: torch.dtype, context: RoleContext) -> Any:
        folder, device = context.models.find(name), context.device

        def load() -> Any:
            return load_published(kind, folder, device, dtype, _NEEDS)

        key = name, context.models.revision(name), device, dtype
        return keep_on(device, key, Load(((folder, dtype),), _WORKING), load)


def sam2_matte() -> FollowedMatte:
    """By SAM 2."""
    return FollowedMatte("sam2", Sam2VideoModel, Sam2VideoInferenceSession)


def edgetam_matte() -> FollowedMatte:
    """By EdgeTAM, twenty times faster."""
    return FollowedMatte("edgetam", EdgeTamVideoModel, EdgeTamVideoInferenceSession)


def _both_ways(
    plate: FrameSource, index: int, prompt: Prompt, tracker: Tracker, edges: SoftEdges, context: RoleContext
) -> Iterator[Image]:
    """Alphas of all frames in order. Those before ``index`` are found last to first, and wait on disk."""
    # The frame that both begin with is done twice.
    step = Steps(len(plate) + (1 if index else 0), context)
    if index:
        with Pile(plate.height, plate.width) as pile:
            earlier = _one_way(each_frame_back(plate, index), prompt, tracker, edges, context, step)
            next(earlier)
            for alpha in earlier:
                pile.push(alpha)
            yield from pile.unpile()
    yield from _one_way(each_frame(plate, index), prompt, tracker, edges, context, step)


def _one_way(
    frames: Iterable[Image], prompt: Prompt, tracker: Tracker, edges: SoftEdges, context: RoleContext, step: Steps
) -> Iterator[Image]:
    """Alphas of ``frames``; soft edges are averaged with what the frame before became, along the flow."""
    steadiness, flow = context.settings.number("steadiness"), Flow(shrink=2)
    before: tuple[Image, Image] | None = None
    for frame, probability in tracker.follow(frames, prompt):
        step()
        trimap = make_trimap(probability, reach(frame, context), OPS)
        alpha = edges(frame, trimap)
        if before is not None and steadiness > 0:
            pair = flow.pair(frame, before[0])
            weight = steadiness * (pair.seen & (trimap == UNKNOWN))
            alpha = (alpha + weight * (follow(before[1], pair.forward) - alpha)).astype(np.float32)
        before = frame, alpha
        yield alpha
