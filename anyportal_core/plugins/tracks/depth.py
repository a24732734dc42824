"""Depth of single pictures, by the networks of transformers: ZoeDepth, Depth Anything, DPT.

Their image processors want torchvision; what those do to a picture is done by `anyportal_core.plugins.tracks.seen`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from transformers import DepthAnythingForDepthEstimation, DPTForDepthEstimation, ZoeDepthForDepthEstimation

from anyportal_core.errors import CheckpointError, NonFiniteLatentsError
from anyportal_core.frames import Image
from anyportal_core.plugins.pretrained import load_published
from anyportal_core.plugins.tracks.seen import Processor, read_processor
from anyportal_core.plugins.weights import read_config

NETWORKS: Final = {
    "zoedepth": ZoeDepthForDepthEstimation,
    "depth_anything": DepthAnythingForDepthEstimation,
    "dpt": DPTForDepthEstimation,
}
"""By the ``model_type`` of a configuration."""

NEAREST: Final = 1e-3
"""Metres: no depth is less."""

FARTHEST: Final = 100.0
"""What a relative depth of nothing becomes, the nearest being 1."""


class Depth:
    """Distance ``z`` from the camera, in metres or in a scale of the picture's own, whichever the network knows."""

    def __init__(self, network: Any, processor: Processor) -> None:
        self._network, self._processor = network, processor
        config = network.config
        self._metric = config.model_type == "zoedepth" or getattr(config, "depth_estimation_type", "") == "metric"

    @torch.no_grad()
    def __call__(self, picture: Image) -> Image:
        """``(H, W, 3)`` display-referred 0..1 to ``(H, W)``, above 0.

        Raises:
            NonFiniteLatentsError: the network gave values that are no numbers.
        """
        seen = self._processor.prepare(picture).to(self._network.device, self._network.dtype)
        found = self._network(seen).predicted_depth.float()
        if not torch.isfinite(found).all():
            raise NonFiniteLatentsError(
                "the depth of a frame came out as values that are no numbers",
                where="motion",
                hint="fetch the model 'depth' again, or put another of its kind there: ZoeDepth, Depth Anything, DPT",
            )
        height, width = picture.shape[:2]
        restored = self._processor.restore(found, height, width)
        depth: Image = self._distance(restored).cpu().numpy().astype(np.float32)
        return depth

    def _distance(self, found: Tensor) -> Tensor:
        if self._metric:
            return found.clamp(min=NEAREST)
        # What the others tell is nearness, up to a scale.
        nearness = found / found.amax().clamp(min=1e-6)
        return 1 / nearness.clamp(min=1 / FARTHEST)


def load_depth(folder: Path, device: str) -> Depth:
    """From a folder as transformers lays it out, with the names that keys were published under.

    Raises:
        ModelNotFoundError: something is not there.
        CheckpointError: something is not what it should be.
    """
    kind = str(read_config(folder).get("model_type"))
    if kind not in NETWORKS:
        raise CheckpointError(
            f"'{kind}' is no depth network that is known here",
            where=str(folder / "config.json"),
            hint=f"known: {', '.join(NETWORKS)}",
        )
    processor = read_processor(folder, padded=kind == "zoedepth")
    return Depth(load_published(NETWORKS[kind], folder, device, torch.float32), processor)
