"""What a window's decoded frames take over, and where in its latent that shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from anyportal_core.method.detail import take_over
from anyportal_core.method.refinement import Transfer

PIXELS: Final = 8
FRAMES: Final = 4
"""What a latent stands for: a square of pixels, and frames (the first for the first frame alone)."""


@dataclass(frozen=True)
class Pictures:
    """A window, ``(4k+1, H, W, C)`` float32 in 0..1, sides multiples of 16.

    Attributes:
        plate, harmonised, background: of three channels.
        matte: of one.
    """

    plate: Tensor
    harmonised: Tensor
    background: Tensor
    matte: Tensor


class Transfers:
    """Applies the transfers of a plan to decoded frames ``(1, 4k+1, 3, H, W)`` in -1..1.

    Args:
        dilate: how far around the matte a latent may change, in pixels. The codec normalises over the whole picture,
            so that an edit reaches every latent a little; what lies farther away than this is kept as it was.
    """

    def __init__(self, pictures: Pictures, dilate: int) -> None:
        self._pictures = pictures
        self._mask = latent_mask(pictures.matte, dilate)

    def edited(self, transfer: Transfer) -> Tensor:
        """Bool ``(1, k+1, 1, H/8, W/8)``; everywhere, where the background is taken over too."""
        return torch.ones_like(self._mask) if transfer.background else self._mask

    def __call__(self, transfer: Transfer, frames: Tensor) -> Tensor:
        pictures = self._pictures
        made: Tensor = take_over(
            to_pictures(frames),
            pictures.plate if transfer.source == "plate" else pictures.harmonised,
            pictures.matte,
            transfer.band,
            transfer.sigma,
            pictures.background if transfer.background else None,
        )
        return to_frames(made)


class Untouched:
    """No transfer at all: the plain pass."""

    def edited(self, transfer: Transfer) -> Tensor:
        return torch.tensor(False)

    def __call__(self, transfer: Transfer, frames: Tensor) -> Tensor:
        return frames


def latent_mask(matte: Tensor, dilate: int) -> Tensor:
    """Where the matte ``(4k+1, H, W, 1)`` shows in a latent, ``(1, k+1, 1, H/8, W/8)`` bool."""
    there = (matte > 0).to(torch.float32).movedim(-1, 1)
    if dilate:
        # A square's maximum, over columns and then over rows: the same numbers for a fraction of the looking.
        side = 2 * dilate + 1
        there = F.max_pool2d(there, (1, side), stride=1, padding=(0, dilate))
        there = F.max_pool2d(there, (side, 1), stride=1, padding=(dilate, 0))
    cells = F.max_pool2d(there, PIXELS).movedim(1, 0)
    first, rest = cells[:, :1], cells[:, 1:]
    groups = rest.reshape(1, -1, FRAMES, *rest.shape[2:]).amax(2)
    return (torch.cat([first, groups], dim=1) > 0)[:, :, None]


def to_pictures(frames: Tensor) -> Tensor:
    """``(1, n, 3, H, W)`` in -1..1 to ``(n, H, W, 3)`` in 0..1."""
    return frames[0].movedim(1, -1) / 2 + 0.5


def to_frames(pictures: Tensor) -> Tensor:
    """The way back."""
    return (pictures * 2 - 1).movedim(-1, 1)[None]
