"""Role ``tracks``: points followed by CoTracker 3 (arXiv 2410.11831), by the package that the user has installed.

Neither its code nor its weights come with this package, and none is fetched: both are licensed for research alone.
The package's own loading is passed by, since it would unpickle a file: its predictor is made without a checkpoint and
filled with tensors that were read as such.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from anyportal_core.errors import MissingExtraError, NonFiniteLatentsError
from anyportal_core.frames import FrameSource
from anyportal_core.plugins.device import Load, check_fits, keep_on
from anyportal_core.plugins.weights import fill, read_checkpoint
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.tracks import Points

MODEL: Final = "cotracker"
WORKING_MEMORY: Final = 8.0
"""Gigabytes that a window of 49 frames and 4900 points takes besides the weights."""

CENTRE: Final = 0.5
"""CoTracker counts from the middle of the first pixel, the role from its edge."""


class CoTrackerTracks:
    """All points and frames of a window at once: points that move together help each other through what hides them."""

    @torch.no_grad()
    def follow(self, plate: FrameSource, start: Points, context: RoleContext) -> Iterator[Chunk]:
        """See `anyportal_core.roles.tracks`.

        Raises:
            MissingExtraError: the package is not installed.
            ModelNotFoundError: the weights are not there.
            CheckpointError: the weights are not CoTracker's, or hold more than tensors.
            NonFiniteLatentsError: places came out that are no numbers.
        """
        predictor = _predictor(context)
        context.checkpoint()
        video = torch.from_numpy(plate.read(0, len(plate))).permute(0, 3, 1, 2)[None].to(context.device) * 255
        places, seen = predictor(video, queries=_queries(start).to(context.device))
        found = places[0].float().cpu() + CENTRE
        if not torch.isfinite(found).all():
            raise NonFiniteLatentsError(
                "following points gave places that are no numbers",
                where="tracks",
                hint=f"fetch the model '{MODEL}' again, or set tracks.plugin to tracks.flow",
            )
        # What it says of the first frame has been through float32 and back.
        found[0] = torch.from_numpy(start.astype(np.float32))
        yield {"places": found.numpy(), "seen": seen[0].cpu().numpy().astype(bool)}

    def check_memory(self, context: RoleContext) -> None:
        check_fits(context.device, _memory(context))


def _queries(start: Points) -> Tensor:
    """``(1, N, 3)``: each point's frame, x and y."""
    places = torch.from_numpy((start - CENTRE).astype(np.float32))
    return torch.cat([torch.zeros(len(places), 1), places], dim=1)[None]


def _predictor(context: RoleContext) -> Any:
    file, device = context.models.find(MODEL), context.device

    def load() -> Any:
        predictor = _package().CoTrackerPredictor(checkpoint=None)
        fill(predictor.model, read_checkpoint(file), torch.float32)
        return predictor.to(device).eval()

    return keep_on(device, (MODEL, context.models.revision(MODEL), device), _memory(context), load)


def _memory(context: RoleContext) -> Load:
    return Load(((context.models.find(MODEL), torch.float32),), WORKING_MEMORY)


def _package() -> Any:
    try:
        return importlib.import_module("cotracker.predictor")
    except ImportError as error:
        raise MissingExtraError(
            f"CoTracker's own package cannot be imported: {error}",
            where="tracks.cotracker",
            hint="install it as github.com/facebookresearch/co-tracker says, or set tracks.plugin to tracks.flow",
        ) from error
