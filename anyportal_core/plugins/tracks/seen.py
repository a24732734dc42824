"""What depth networks are shown, and what comes back of it: as their published image processors do it.

There are two. ``ZoeDepthImageProcessor`` mirrors the picture over its borders, resizes it corner on corner, without
antialiasing, and cuts the border off the depth again. ``DPTImageProcessor``, which Depth Anything comes with as well,
resizes as Pillow does. Both fit a picture that keeps its aspect to whichever side changes least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anyportal_core.errors import CheckpointError
from anyportal_core.frames import Image
from anyportal_core.plugins.weights import read_config

CONFIG: Final = "preprocessor_config.json"
MODES: Final = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of the filters that are published with."""

BORDER: Final = 3.0
"""ZoeDepth's border in square roots of half a side."""


@dataclass(frozen=True)
class Processor:
    """How a picture becomes what a network sees.

    Args:
        size: rows and columns to fit.
        keep_aspect: one scale for both sides.
        multiple: sides become multiples of it.
        mode: of the resizing, as torch calls it.
        mean, deviation: of the normalisation, by channel.
        padded: the way of ZoeDepth.
    """

    size: tuple[int, int]
    keep_aspect: bool
    multiple: int
    mode: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    padded: bool

    def prepare(self, picture: Image) -> Tensor:
        """``(H, W, 3)`` display-referred 0..1 to ``(1, 3, h, w)``."""
        seen = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None].clamp(0, 1)
        if self.padded:
            seen = _mirrored(seen)
            seen = F.interpolate(seen, self.fit(*seen.shape[-2:]), mode=self.mode, align_corners=True)
        else:
            # Pillow's pictures have 8 bits: what its filters add beyond 0..1 is lost.
            seen = F.interpolate(seen, self.fit(*seen.shape[-2:]), mode=self.mode, antialias=True).clamp(0, 1)
        mean, deviation = (torch.tensor(value).view(1, 3, 1, 1) for value in (self.mean, self.deviation))
        return (seen - mean) / deviation

    def restore(self, found: Tensor, height: int, width: int) -> Tensor:
        """A network's ``(1, h, w)`` as ``(height, width)``, the size of the picture it was shown."""
        down, across = (border(height), border(width)) if self.padded else (0, 0)
        whole = F.interpolate(found[None], (height + 2 * down, width + 2 * across), mode="bicubic", align_corners=False)
        return whole[0, 0, down : down + height, across : across + width]

    def fit(self, height: int, width: int) -> tuple[int, int]:
        """The size that the network sees of a picture of this size."""
        scale = self.size[0] / height, self.size[1] / width
        if self.keep_aspect:
            least = scale[1] if abs(1 - scale[1]) < abs(1 - scale[0]) else scale[0]
            scale = least, least
        return self._rounded(scale[0] * height), self._rounded(scale[1] * width)

    def _rounded(self, side: float) -> int:
        return max(round(side / self.multiple), 1) * self.multiple


def read_processor(folder: Path, padded: bool) -> Processor:
    """What ``preprocessor_config.json`` says; where it is silent, what the processors' classes do.

    Args:
        padded: it is that of a ZoeDepth.

    Raises:
        ModelNotFoundError: it is not there.
        CheckpointError: it asks for what is not done here.
    """
    config = read_config(folder, CONFIG)
    mode = MODES.get(config.get("resample", 2 if padded else 3))
    size = _size(config.get("size", {"height": 384, "width": 512 if padded else 384}))
    if mode is None or size is None or bool(config.get("do_pad", padded)) != padded:
        raise CheckpointError(
            "pictures are to be prepared in a way that is not known here",
            where=str(folder / CONFIG),
            hint="known are size with height and width, resample 2 and 3, and do_pad for ZoeDepth alone",
        )
    return Processor(
        size=size,
        keep_aspect=bool(config.get("keep_aspect_ratio", padded)),
        multiple=int(config.get("ensure_multiple_of", 32 if padded else 1)),
        mode=mode,
        mean=tuple(config.get("image_mean", (0.5, 0.5, 0.5))),
        deviation=tuple(config.get("image_std", (0.5, 0.5, 0.5))),
        padded=padded,
    )


def border(side: int) -> int:
    """Pixels that a side is mirrored over, at either end."""
    return int(math.sqrt(side / 2) * BORDER)


def _mirrored(seen: Tensor) -> Tensor:
    """With a border of the picture's own mirrored pixels, the outermost not repeated; over and over if need be."""
    height, width = seen.shape[-2:]
    rows, columns = (_mirror(side, border(side)) for side in (height, width))
    return seen[..., rows, :][..., columns]


def _mirror(side: int, more: int) -> Tensor:
    order = np.pad(np.arange(side), more, mode="reflect" if side > 1 else "edge")
    return torch.from_numpy(order)


def _size(given: Any) -> tuple[int, int] | None:
    """Older files have one number for both sides."""
    if isinstance(given, int):
        return given, given
    if isinstance(given, dict) and {"height", "width"} <= given.keys():
        return int(given["height"]), int(given["width"])
    return None
