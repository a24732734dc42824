"""Recurrent flow completion: what the flow would be behind a mask."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from anyportal_core.plugins.propainter.layers import Alignment, Flows, Upscale, conv

TRAINING_ONLY = "edgeDetector."
"""Keys of a published checkpoint that only served its training."""


def published_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights without those that nobody reads."""
    return {key: value for key, value in tensors.items() if not key.startswith(TRAINING_ONLY)}


class FlowCompletion(nn.Module):
    """Completes masked flows of one direction in time; see `complete` for both.

    The flow is brought to an eighth of its size, carried through time both ways, and brought back.

    Args:
        width: channels at half the size, which all others follow from; of 4.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        leaky = nn.LeakyReLU(0.2)
        half, quarter, eighth = width, 2 * width, 4 * width
        first = nn.Conv3d(3, half, (1, 5, 5), stride=(1, 2, 2), padding=(0, 2, 2), padding_mode="replicate")
        self.downsample = nn.Sequential(first, leaky)
        self.encoder1 = nn.Sequential(_SpaceThenTime(half, half, 1), leaky, _SpaceThenTime(half, quarter, 2), leaky)
        self.encoder2 = nn.Sequential(
            _SpaceThenTime(quarter, quarter, 1), leaky, _SpaceThenTime(quarter, eighth, 2), leaky
        )
        self.mid_dilation = nn.Sequential(*(layer for rate in (3, 2, 1) for layer in (_dilated(eighth, rate), leaky)))
        self.feat_prop_module = _Recurrence(eighth)
        self.decoder2 = nn.Sequential(conv(eighth, eighth), leaky, Upscale(eighth, quarter), leaky)
        self.decoder1 = nn.Sequential(conv(quarter, quarter), leaky, Upscale(quarter, half), leaky)
        self.upsample = nn.Sequential(conv(half, half), leaky, Upscale(half, 2))

    def forward(self, flow: Tensor, masks: Tensor) -> Tensor:
        """Flow ``(B, T, 2, H, W)``, zero where ``masks`` ``(B, T, 1, H, W)`` is 1, to a whole one; sizes are of 8."""
        volume = torch.cat([flow, masks], dim=2).transpose(1, 2)
        quarter = self.encoder1(self.downsample(volume))
        eighth = self.mid_dilation(self.encoder2(quarter))
        carried = self.feat_prop_module(eighth.transpose(1, 2))
        larger = self.decoder2(carried.flatten(0, 1)) + quarter.transpose(1, 2).flatten(0, 1)
        completed: Tensor = self.upsample(self.decoder1(larger))
        return completed.view(flow.shape)

    def complete(self, flows: Flows, masks: Tensor) -> Flows:
        """The predicted flows of both directions, from flows and masks ``(B, T, 1, H, W)`` of the frames."""
        first, second = masks[:, :-1], masks[:, 1:]
        forward = self(flows.forward * (1 - first), first)
        # Backward flow runs forward in a clip that is played backwards.
        backward = self((flows.backward * (1 - second)).flip(1), second.flip(1)).flip(1)
        return Flows(forward, backward)


def combine(predicted: Flows, given: Flows, masks: Tensor) -> Flows:
    """The prediction where masks ``(B, T, 1, H, W)`` are 1, the given flow elsewhere."""
    first, second = masks[:, :-1], masks[:, 1:]
    return Flows(
        predicted.forward * first + given.forward * (1 - first),
        predicted.backward * second + given.backward * (1 - second),
    )


class _SpaceThenTime(nn.Module):
    """A convolution over each frame, then one over every second of three frames."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        space = nn.Conv3d(channels_in, channels, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1))
        time = nn.Conv3d(channels, channels, (3, 1, 1), padding=(2, 0, 0), dilation=(2, 1, 1))
        self.conv1 = nn.Sequential(space, nn.LeakyReLU(0.2))
        self.conv2 = nn.Sequential(time)

    def forward(self, volume: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.conv1(volume))
        return out


def _dilated(channels: int, rate: int) -> nn.Conv3d:
    return nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, rate, rate), dilation=(1, rate, rate))


class _Recurrence(nn.Module):
    """Carries features through time, last frame to first and then first to last, two neighbours at a time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deform_align = nn.ModuleDict()
        self.backbone = nn.ModuleDict()
        for number, name in enumerate(("backward_", "forward_")):
            self.deform_align[name] = Alignment(2 * channels, channels, 3 * channels, reach=5)
            self.backbone[name] = nn.Sequential(
                conv((2 + number) * channels, channels), nn.LeakyReLU(0.1), conv(channels, channels)
            )
        self.fusion = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, T, C, H, W)`` to the same shape."""
        frames = list(features.unbind(1))
        backward = self._carry("backward_", [[frame] for frame in frames[::-1]])[::-1]
        forward = self._carry("forward_", [[frame, seen] for frame, seen in zip(frames, backward, strict=True)])
        fused = [self.fusion(torch.cat(pair, dim=1)) for pair in zip(backward, forward, strict=True)]
        return torch.stack(fused, dim=1) + features

    def _carry(self, name: str, sequence: list[list[Tensor]]) -> list[Tensor]:
        """Features of every frame in the order given; the first entry of each is the frame's own."""
        nothing = torch.zeros_like(sequence[0][0])
        carried: list[Tensor] = []
        for known in sequence:
            last, before = carried[-1] if carried else nothing, carried[-2] if len(carried) > 1 else nothing
            aligned = nothing
            if carried:
                conditions = torch.cat([last, known[0], before], dim=1)
                aligned = self.deform_align[name](torch.cat([last, before], dim=1), conditions)
            carried.append(aligned + self.backbone[name](torch.cat([*known, aligned], dim=1)))
        return carried
