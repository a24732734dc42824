"""Propagation along the flow: of pixels, before any network, and of features, within the generator."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from anyportal_core.plugins.propainter.layers import Alignment, Flows, consistent, conv, warp

SOLID = 0.1
"""A warped or multiplied mask counts as 1 above this."""


def propagate_pixels(frames: Tensor, flows: Flows, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Fill holes with what other frames show there: ``(frames, masks of what is still missing)``.

    Args:
        frames: ``(B, T, 3, H, W)``, zero in the holes.
        masks: ``(B, T, 1, H, W)``, 1 in the holes.
    """
    filled, missing = list(frames.unbind(1)), list(masks.unbind(1))
    for backwards in (True, False):
        for index, before in _neighbours(len(filled), backwards):
            there, back = flows.leading(index, before)
            source_missing = _solid(warp(missing[before], there))
            usable = consistent(there, back) * (1 - source_missing)
            taken = _solid(missing[index] * usable)
            filled[index] = taken * warp(filled[before], there, "nearest") + (1 - taken) * filled[index]
            missing[index] = _solid(missing[index] * (1 - usable))
    return torch.stack(filled, dim=1), torch.stack(missing, dim=1)


class FeaturePropagation(nn.Module):
    """Carries features through time, last frame to first and then first to last, each aligned along the flow."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deform_align = nn.ModuleDict()
        self.backbone = nn.ModuleDict()
        for name in ("backward_1", "forward_1"):
            self.deform_align[name] = Alignment(channels, channels, 2 * channels + 5, reach=3)
            self.backbone[name] = self._mixer(channels)
        self.fuse = self._mixer(channels)

    def forward(self, features: Tensor, flows: Flows, masks: Tensor) -> Tensor:
        """``(B, T, C, h, w)`` to the same shape; ``masks`` ``(B, T, 2, h, w)``: the holes, and what is missing yet."""
        holes = list(masks.unbind(1))
        backward = self._carry("backward_1", list(features.unbind(1)), flows, holes)
        forward = self._carry("forward_1", backward, flows, holes)
        fused = [self.fuse(torch.cat(parts, dim=1)) for parts in zip(backward, forward, holes, strict=True)]
        return torch.stack(fused, dim=1) + features

    def _carry(self, name: str, features: list[Tensor], flows: Flows, holes: list[Tensor]) -> list[Tensor]:
        carried = dict.fromkeys(range(len(features)), features[0])
        backwards = name == "backward_1"
        first = len(features) - 1 if backwards else 0
        carried[first] = self._mix(name, features[first], features[first], holes[first])
        for index, before in _neighbours(len(features), backwards):
            there, back = flows.leading(index, before)
            moved = warp(carried[before], there)
            conditions = [features[index], moved, there, consistent(there, back), holes[index]]
            aligned = self.deform_align[name](carried[before], torch.cat(conditions, dim=1), there)
            carried[index] = self._mix(name, features[index], aligned, holes[index])
        return list(carried.values())

    def _mix(self, name: str, own: Tensor, aligned: Tensor, holes: Tensor) -> Tensor:
        mixed: Tensor = aligned + self.backbone[name](torch.cat([own, aligned, holes], dim=1))
        return mixed

    @staticmethod
    def _mixer(channels: int) -> nn.Sequential:
        return nn.Sequential(conv(2 * channels + 2, channels), nn.LeakyReLU(0.2), conv(channels, channels))


def _neighbours(count: int, backwards: bool) -> Iterator[tuple[int, int]]:
    """Every frame but the first in this direction, with the one before it."""
    order = range(count)[::-1] if backwards else range(count)
    return zip(order[1:], order[:-1], strict=True)


def _solid(mask: Tensor) -> Tensor:
    return (mask > SOLID).to(mask)
