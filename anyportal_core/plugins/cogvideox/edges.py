"""The edges that the ControlNets are led along: drawn by a network (HED) or by Canny's rule.

Unverified: HED is written after the published description of its network (Xie and Tu, arXiv 1504.06375) and the key
names of ``ControlNetHED.pth``; there is no published number that it was held against.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyportal_core.frames import Image, chunks
from anyportal_core.plugins.guards import finite
from anyportal_core.plugins.weights import fill, read_checkpoint

HED_FILE: Final = "ControlNetHED.pth"
WIDTHS: Final = (64, 128, 256, 512, 512)
DEPTHS: Final = (2, 2, 3, 3, 3)
"""Channels and convolutions of each of HED's five scales: VGG-16."""

LOW, HIGH = 100, 200
"""Thresholds of Canny's rule on 8-bit pictures: what the published ControlNets were trained with."""

BATCH: Final = 4

Edges = Callable[[Image], Image]
"""From frames ``(t, H, W, 3)`` to their edges, the same shape, both 0..1; each frame by itself."""


class Hed(nn.Module):
    """Edges at five scales, each as large as its pictures."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.zeros(1, 3, 1, 1))
        for scale, (before, width, depth) in enumerate(zip((3, *widths), widths, DEPTHS, strict=False), start=1):
            self.add_module(f"block{scale}", HedBlock(before, width, depth))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Pictures ``(n, 3, H, W)`` in 0..255 to five maps ``(n, 1, h, w)``, each half as large as the one before."""
        seen, maps = pictures - self.norm, []
        for scale in range(1, len(DEPTHS) + 1):
            seen = seen if scale == 1 else F.max_pool2d(seen, 2)
            seen, drawn = self.get_submodule(f"block{scale}")(seen)
            maps.append(drawn)
        return maps


class HedBlock(nn.Module):
    """Convolutions of one scale, and the map that is drawn from them."""

    def __init__(self, before: int, width: int, depth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(before if i == 0 else width, width, 3, padding=1) for i in range(depth))
        self.projection = nn.Conv2d(width, 1, 1)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.convs:
            seen = F.relu(layer(seen))
        return seen, self.projection(seen)


class HedEdges:
    """The mean of all scales, as a probability."""

    def __init__(self, network: Hed) -> None:
        self._network = network

    @torch.no_grad()
    def __call__(self, frames: Image) -> Image:
        return np.concatenate([self._draw(frames[start:stop]) for start, stop in chunks(len(frames), BATCH)])

    def _draw(self, frames: Image) -> Image:
        height, width = frames.shape[1:3]
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1) * 255
        maps = self._network(pictures.to(self._network.norm))
        large = [F.interpolate(each, (height, width), mode="bilinear") for each in maps]
        edges = torch.sigmoid(torch.stack(large).mean(0)).movedim(1, -1)
        return np.repeat(finite(edges, "HED").float().cpu().numpy(), 3, -1)


def canny_edges(frames: Image) -> Image:
    """Edges by Canny's rule, 0 or 1."""
    bytes_ = np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
    edges = np.stack([cv2.Canny(frame, LOW, HIGH) for frame in bytes_])
    return np.repeat(edges[..., None].astype(np.float32) / 255, 3, -1)


def load_hed(folder: Path, device: torch.device) -> HedEdges:
    """HED with the published weights, in float32.

    Raises:
        ModelNotFoundError: the file is not there.
        CheckpointError: it is not what it should be.
    """
    checkpoint = read_checkpoint(folder / HED_FILE)
    shapes = {key: value.shape for key, value in checkpoint.tensors.items()}
    widths = (shapes.get(f"block{scale}.projection.weight", (1, width))[1] for scale, width in enumerate(WIDTHS, 1))
    return HedEdges(fill(Hed(tuple(widths)), checkpoint, torch.float32).to(device))
