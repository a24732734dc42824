"""Role ``clean_plate``: the foreground removed by ProPainter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from anyportal_core.frames import FrameSource, Image
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.device import make_room
from anyportal_core.plugins.loaded import keep
from anyportal_core.plugins.propainter.cleaner import Cleaner, Spans
from anyportal_core.plugins.propainter.flow_completion import FlowCompletion
from anyportal_core.plugins.propainter.generator import Generator
from anyportal_core.plugins.propainter.loading import load_propainter
from anyportal_core.plugins.raft.network import Raft
from anyportal_core.roles import Chunk, RoleContext

WORKING_MEMORY: Final = 8.0
"""Gigabytes that a part of 60 frames at 720x480 takes besides the weights."""

TRACE: Final = 0.05
"""Mattes are not quite 0 where nobody is."""


class CleanPlate:
    """What is behind the foreground, from other frames or painted."""

    def clean(self, plate: FrameSource, matte: FrameSource, context: RoleContext) -> Iterator[Chunk]:
        """Yield ``frames`` ``(t, H, W, 3)``."""
        spans = Spans(part=context.settings.integer("part"))
        cleaner = Cleaner(*_networks(context), spans, context.checkpoint)
        for frames in cleaner.clean(plate, Widened(matte, context.settings.integer("grow"))):
            yield {"frames": frames}


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
        make_room(device, folder, WORKING_MEMORY)
        raft, completion, generator = load_propainter(folder)
        return raft.to(device), completion.to(device), generator.to(device)

    return keep(("propainter", context.models.revision("propainter"), device), load)
