"""What ProPainter's networks (Zhou et al., ICCV 2023) are made of: warping by flow, deformable convolution, scaling.

The parameters carry the names of the published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS: Final = 16
"""Groups of channels that a deformable convolution moves independently."""


@dataclass(frozen=True)
class Flows:
    """Optical flow between neighbours, x and y in pixels, each ``(B, T-1, 2, H, W)``.

    ``forward[:, t]`` leads from frame ``t`` to ``t+1``, ``backward[:, t]`` from ``t+1`` to ``t``.
    """

    forward: Tensor
    backward: Tensor

    def leading(self, index: int, to: int) -> tuple[Tensor, Tensor]:
        """The flow that leads from a frame to its neighbour ``to``, and the one that leads back, ``(B, 2, H, W)``."""
        there, back = self.forward[:, min(index, to)], self.backward[:, min(index, to)]
        return (there, back) if to > index else (back, there)

    def part(self, start: int, stop: int) -> Flows:
        """The flows between frames ``start <= t < stop``."""
        return Flows(self.forward[:, start : stop - 1], self.backward[:, start : stop - 1])


def warp(image: Tensor, flow: Tensor, mode: Literal["bilinear", "nearest"] = "bilinear") -> Tensor:
    """Fetch every pixel from where its flow leads: ``(B, C, H, W)`` by ``(B, 2, H, W)``; zero outside."""
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device, dtype=flow.dtype),
        torch.arange(width, device=flow.device, dtype=flow.dtype),
        indexing="ij",
    )
    return _sample(image, x + flow[:, 0], y + flow[:, 1], mode)


def consistent(there: Tensor, back: Tensor) -> Tensor:
    """1 where going there and back ends near the start, else 0, ``(B, 1, H, W)`` (Sundaram et al., ECCV 2010)."""
    returned = warp(back, there)
    missed = (there + returned).square().sum(1, keepdim=True)
    length = there.square().sum(1, keepdim=True) + returned.square().sum(1, keepdim=True)
    return (missed < 0.01 * length + 0.5).to(there)


def deformable_conv(image: Tensor, offsets: Tensor, strengths: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Modulated deformable convolution (Zhu et al., CVPR 2019), stride 1, same size out.

    Args:
        image: ``(B, C, H, W)``.
        offsets: y and x for every group and point of the kernel, ``(B, G*K*2, H, W)``, in pixels.
        strengths: a factor for each, ``(B, G*K, H, W)``.
        weight: ``(O, C, k, k)`` with ``k*k = K``.
        bias: ``(O,)``.
    """
    batch, channels, height, width = image.shape
    side = weight.shape[-1]
    groups = strengths.shape[1] // side**2
    by_group = offsets.reshape(batch * groups, side**2, 2, height, width)
    y, x = torch.meshgrid(
        torch.arange(height, device=image.device, dtype=image.dtype),
        torch.arange(width, device=image.device, dtype=image.dtype),
        indexing="ij",
    )
    reach = torch.arange(side, device=image.device, dtype=image.dtype) - side // 2
    down, across = reach.repeat_interleave(side)[:, None, None], reach.repeat(side)[:, None, None]
    sampled = _sample(
        image.reshape(batch * groups, channels // groups, height, width),
        (x + across + by_group[:, :, 1]).flatten(1, 2),
        (y + down + by_group[:, :, 0]).flatten(1, 2),
    )
    factors = strengths.reshape(batch * groups, 1, side**2 * height, width)
    columns = (sampled * factors).reshape(batch, channels * side**2, height * width)
    return (weight.flatten(1) @ columns + bias[:, None]).reshape(batch, -1, height, width)


class Alignment(nn.Module):
    """A deformable convolution that brings what came from a neighbouring frame into place.

    Where to look is worked out from ``conditions``, up to ``reach`` pixels around where the flow leads.
    """

    def __init__(self, channels_in: int, channels: int, conditions: int, reach: float) -> None:
        super().__init__()
        self.reach = reach
        self.weight = nn.Parameter(torch.empty(channels, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.empty(channels))
        self.conv_offset = nn.Sequential(
            conv(conditions, channels),
            nn.LeakyReLU(0.1),
            conv(channels, channels),
            nn.LeakyReLU(0.1),
            conv(channels, channels),
            nn.LeakyReLU(0.1),
            conv(channels, 3 * 9 * GROUPS),
        )

    def forward(self, image: Tensor, conditions: Tensor, flow: Tensor | None = None) -> Tensor:
        raw_offsets, raw_strengths = self.conv_offset(conditions).split([2 * 9 * GROUPS, 9 * GROUPS], dim=1)
        offsets = self.reach * raw_offsets.tanh()
        if flow is not None:
            offsets = offsets + flow.flip(1).repeat(1, 9 * GROUPS, 1, 1)
        return deformable_conv(image, offsets, raw_strengths.sigmoid(), self.weight, self.bias)


class Upscale(nn.Module):
    """Twice the size, then a convolution."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = conv(channels_in, channels)

    def forward(self, image: Tensor) -> Tensor:
        larger = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=True)
        out: Tensor = self.conv(larger)
        return out


def conv(channels_in: int, channels: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(channels_in, channels, 3, padding=1)


def _sample(image: Tensor, x: Tensor, y: Tensor, mode: str = "bilinear") -> Tensor:
    """``(B, C, H, W)`` at pixel coordinates ``(B, H', W')``; zero outside."""
    height, width = image.shape[-2:]
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
    return F.grid_sample(image, grid, mode=mode, padding_mode="zeros", align_corners=True)
