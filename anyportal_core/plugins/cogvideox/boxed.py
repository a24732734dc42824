"""A faster refinement that is less exact: the codec runs on the foreground's surroundings alone.

What lies outside the box is left to the model between the steps, where the exact refinement would lead it back to the
background each time; in the frames that come out it is the background all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anyportal_core.method.projection import Codec
from anyportal_core.method.refinement import Edit, Transfer
from anyportal_core.plugins.cogvideox.transfers import PIXELS, Pictures, Transfers

ALIGNED = 16
"""Pixels that the box's sides are multiples of."""


@dataclass(frozen=True)
class Box:
    """Rows and columns of pixels of a window."""

    top: int
    bottom: int
    left: int
    right: int

    def crop(self, frames: Tensor) -> Tensor:
        """Of ``(n, H, W, C)``."""
        return frames[:, self.top : self.bottom, self.left : self.right]

    def crop_latent(self, latent: Tensor) -> Tensor:
        """Of ``(..., h, w)``."""
        return latent[
            ..., self.top // PIXELS : self.bottom // PIXELS, self.left // PIXELS : self.right // PIXELS
        ].contiguous()

    def paste_latent(self, part: Tensor, like: Tensor, outside: float) -> Tensor:
        """A latent of the size of ``like`` that is ``part`` within the box."""
        rows, columns = like.shape[-2:]
        edges = self.left, columns * PIXELS - self.right, self.top, rows * PIXELS - self.bottom
        return F.pad(part, [edge // PIXELS for edge in edges], value=outside)


def foreground_box(matte: Tensor, margin: int) -> Box | None:
    """What holds the foreground of every frame ``(n, H, W, 1)`` and a margin; None where there is none."""
    there = matte.amax((0, 3)) > 0
    if not there.any():
        return None
    sides = []
    for axis, length in ((1, there.shape[0]), (0, there.shape[1])):
        found = torch.nonzero(there.any(axis))
        first, last = int(found[0]) - margin, int(found[-1]) + 1 + margin
        sides += [max(first // ALIGNED * ALIGNED, 0), min(-(-last // ALIGNED) * ALIGNED, length)]
    return Box(*sides)


@dataclass(frozen=True)
class BoxedCodec:
    """Decodes a box of a latent; what it encodes is a whole latent, of no meaning outside the box."""

    codec: Codec
    box: Box
    like: Tensor

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        mean, deviation = self.codec.encode(frames)
        return self.box.paste_latent(mean, self.like, 0.0), self.box.paste_latent(deviation, self.like, 1.0)

    def decode(self, latent: Tensor) -> Tensor:
        frames: Tensor = self.codec.decode(self.box.crop_latent(latent))
        return frames


class BoxedTransfers:
    """Transfers within a box of the window."""

    def __init__(self, pictures: Pictures, dilate: int, box: Box, like: Tensor) -> None:
        parts = (pictures.plate, pictures.harmonised, pictures.background, pictures.matte)
        self._inside: Edit = Transfers(Pictures(*map(box.crop, parts)), dilate)
        self._paste: Callable[[Tensor], Tensor] = lambda mask: box.paste_latent(mask.float(), like, 0.0) > 0

    def edited(self, transfer: Transfer) -> Tensor:
        return self._paste(self._inside.edited(transfer))

    def __call__(self, transfer: Transfer, frames: Tensor) -> Tensor:
        edited: Tensor = self._inside(transfer, frames)
        return edited
