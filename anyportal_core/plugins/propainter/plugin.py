"""Role ``clean_plate``: the foreground removed by ProPainter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from anyportal_core.frames import FrameSource, Image
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.device import Load, check_fits, keep_on
from anyportal_core.plugins.guards import named_stage
from anyportal_core.plugins.propainter.cleaner import Cleaner, Spans
from anyportal_core.plugins.propainter.flow_completion import FlowCompletion
from anyportal_core.plugins.propainter.generator import Generator
from anyportal_core.plugins.propainter.loading import COMPLETION, GENERATOR, RAFT, load_propainter
from anyportal_core.plugins.raft.network import Raft
from anyportal_core.roles import Chunk, RoleContext

WORKING_MEMORY: Final = 7.7
FRAME_MEMORY: Final = 1 / 15
"""Gigabytes that a part and each of its frames take besides the weights, at 720x480 in full precision: the 11 GB for 50
frames and 13 GB for 80 of the authors' own table."""

TRACE: Final = 0.05
"""Mattes are not quite 0 where nobody is."""


class CleanPlate:
    """What is behind the foreground, from other frames or painted."""

    def clean(self, plate: FrameSource, matte: FrameSource, context: RoleContext) -> Iterator[Chunk]:
        """Yield ``frames`` ``(t, H, W, 3)``."""
        spans = Spans(part=context.settings.integer("part"))
        cleaner = Cleaner(*_networks(context), spans, context.checkpoint, context.progress, context.part)
        with named_stage("clean_plate", "fetch the model 'propainter' again"):
            for frames in cleaner.clean(plate, Widened(matte, context.settings.integer("grow"))):
                yield {"frames": frames}

    def check_memory(self, context: RoleContext) -> None:
        check_fits(context.device, _load(context))


class Widened:
    """Where a matte has more than a trace of foreground, and so many pixels around: ``(T, H, W, 1)``, 0 or 1."""

    def __init__(self, matte: FrameSource, radius: int) -> None:
        self._matte, self._radius = matte, radius
        self.numbers: Sequence[int] = matte.numbers
        self.height, self.width = matte.height, matte.width

    def __len__(self) -> int:
        return len(self._matte)

    def read(self, start: int, stop: int) -> Image:
        there = (self._matte.read(start, stop) > TRACE).astype(np.float32)
        return np.stack([ops.dilate(mask[..., 0], self._radius)[..., None] for mask in there])


def _networks(context: RoleContext) -> tuple[Raft, FlowCompletion, Generator]:
    folder, device = context.models.find("propainter"), context.device

    def load() -> tuple[Raft, FlowCompletion, Generator]:
        raft, completion, generator = load_propainter(folder)
        return raft.to(device), completion.to(device), generator.to(device)

    return keep_on(device, ("propainter", context.models.revision("propainter"), device), _load(context), load)


def _load(context: RoleContext) -> Load:
    folder = context.models.find("propainter")
    weights = tuple((folder / name, None) for name in (RAFT, COMPLETION, GENERATOR))
    return Load(weights, WORKING_MEMORY + FRAME_MEMORY * context.settings.integer("part"))
