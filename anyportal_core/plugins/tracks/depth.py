"""Depth of single pictures, by the networks of transformers (ZoeDepth, Depth Anything, DPT).

Their image processors want torchvision; what they do is a resize and a normalisation, done here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import init_empty_weights
from torch import Tensor
from transformers import AutoConfig, AutoModelForDepthEstimation

from anyportal_core.frames import Image
from anyportal_core.plugins.weights import fill, read_checkpoint, read_config

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FARTHEST: Final = 100.0
"""What a relative depth of nothing becomes, the nearest being 1."""


class Depth:
    """Distance ``z`` from the camera, in metres or in a scale of the picture's own, whichever the network knows."""

    def __init__(self, network: Any, processor: dict[str, Any]) -> None:
        self._network = network
        self._kind: str = network.config.model_type
        size = processor.get("size", {})
        self._short = int(size.get("height", size.get("shortest_edge", 384)))
        self._multiple = int(processor.get("ensure_multiple_of", 32))
        self._normal = processor.get("image_mean", HALF[0]), processor.get("image_std", HALF[1])

    @torch.no_grad()
    def __call__(self, picture: Image) -> Image:
        """``(H, W, 3)`` display-referred 0..1 to ``(H, W)``, above 0."""
        height, width = picture.shape[:2]
        seen = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].to(self._network.device)
        seen = F.interpolate(seen, self._size(height, width), mode="bicubic", antialias=True).clamp(0, 1)
        mean, deviation = (torch.tensor(value, device=seen.device).view(1, 3, 1, 1) for value in self._normal)
        found = self._network(((seen - mean) / deviation).to(self._network.dtype)).predicted_depth
        found = found.float().reshape(1, 1, *found.shape[-2:])
        depth: Image = self._distance(F.interpolate(found, (height, width), mode="bilinear")[0, 0]).cpu().numpy()
        return depth

    def _size(self, height: int, width: int) -> tuple[int, int]:
        scale = self._short / min(height, width)
        rows, columns = (max(round(side * scale / self._multiple), 1) * self._multiple for side in (height, width))
        return rows, columns

    def _distance(self, found: Tensor) -> Tensor:
        metric = self._kind == "zoedepth" or getattr(self._network.config, "depth_estimation_type", "") == "metric"
        if metric:
            return found.clamp(min=1e-3)
        # What the others tell is nearness, up to a scale.
        nearness = found / found.amax().clamp(min=1e-6)
        return 1 / nearness.clamp(min=1 / FARTHEST)


def load_depth(folder: Path, device: str) -> Depth:
    """From a folder as transformers lays it out.

    Raises:
        ModelNotFoundError: something is not there.
        CheckpointError: something is not what it should be.
    """
    read_config(folder)  # says what is missing better than the library does
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with init_empty_weights(include_buffers=False):
        network = AutoModelForDepthEstimation.from_config(config)
    network = fill(network, read_checkpoint(folder)).to(device)
    return Depth(network, read_config(folder, "preprocessor_config.json"))
