"""RAFT (Teed and Deng, ECCV 2020): flow refined step by step by looking up a table of all correlations.

The parameters carry the names of the published checkpoints (``raft-things.pth``), which prefix them with ``module.``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyportal_core.plugins.weights import Checkpoint, empty_network, fill, read_checkpoint

PREFIX: Final = "module."
LEVELS: Final = 4
RADIUS: Final = 4
REDUCTION: Final = 8
"""Flow is worked out at an eighth of the size."""
SMALLEST: Final = 128
"""Below this side the coarsest level of the table has no two places to look at."""


def load_raft(file: Path, **sizes: int) -> Raft:
    """The network from a published file, or from one of other sizes (see `Raft`).

    Raises:
        ModelNotFoundError: the file is not there.
        CheckpointError: it is not what it should be.
    """
    checkpoint = read_checkpoint(file)
    return fill(empty_network(Raft, sizes), Checkpoint(checkpoint.file, published_keys(checkpoint.tensors)))


def published_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights by the network's own keys."""
    return {key.removeprefix(PREFIX): value for key, value in tensors.items()}


def flow_between(raft: Raft, first: Tensor, second: Tensor) -> Tensor:
    """Flow ``(B, 2, H, W)`` from ``first`` to ``second``, pictures ``(B, 3, H, W)`` in -1..1 of any size."""
    height, width = first.shape[-2:]
    size = [max(-(-side // REDUCTION) * REDUCTION, SMALLEST) for side in (height, width)]
    if size == [height, width]:
        return raft(first, second)  # type: ignore[no-any-return]
    larger = (F.interpolate(picture, size, mode="bilinear", align_corners=False) for picture in (first, second))
    flow = F.interpolate(raft(*larger), (height, width), mode="bilinear", align_corners=False)
    return flow * flow.new_tensor([width / size[1], height / size[0]])[:, None, None]


class Raft(nn.Module):
    """Optical flow between pairs of pictures.

    Args:
        width: channels of the first layer, which those of all others follow from.
        steps: how often the flow is refined.
    """

    def __init__(self, width: int = 64, steps: int = 20) -> None:
        super().__init__()
        self.steps = steps
        self.fnet = _Encoder(width, nn.InstanceNorm2d)
        self.cnet = _Encoder(width, nn.BatchNorm2d)
        self.update_block = _Update(width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow ``(B, 2, H, W)``, x and y in pixels, from pictures ``(B, 3, H, W)`` in -1..1; sizes are of 8."""
        table = _correlations(*self.fnet(torch.cat([first, second])).chunk(2))
        state, given = self.cnet(first).chunk(2, dim=1)
        state, given = state.tanh(), given.relu()
        start = _pixel_grid(state)
        at = start.expand(len(first), -1, -1, -1)
        for _ in range(self.steps):
            state, moved = self.update_block(state, given, _look_up(table, at), at - start)
            at = at + moved
        # A quarter, to balance the gradients in training: the published weights were made so.
        return _enlarged(at - start, 0.25 * self.update_block.mask(state))


Norm = type[nn.InstanceNorm2d] | type[nn.BatchNorm2d]


class _Encoder(nn.Module):
    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.norm1 = norm(width)
        sizes = [(width, width, 1), (width, width * 3 // 2, 2), (width * 3 // 2, 2 * width, 2)]
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(_Residual(i, o, stride, norm), _Residual(o, o, 1, norm)) for i, o, stride in sizes
        )
        self.conv2 = nn.Conv2d(2 * width, 4 * width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to ``(B, 4 * width, H/8, W/8)``."""
        out: Tensor = self.norm1(self.conv1(images)).relu()
        out = self.conv2(self.layer3(self.layer2(self.layer1(out))))
        return out


class _Residual(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1, self.norm2 = norm(channels), norm(channels)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            # The published file names this norm twice.
            self.norm3 = norm(channels)
            self.downsample = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride=stride), self.norm3)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.norm1(self.conv1(images)).relu()
        out = self.norm2(self.conv2(out)).relu()
        added: Tensor = self.downsample(images) + out
        return added.relu()


class _Update(nn.Module):
    """One step: from what is looked up where the flow leads now, how to change the flow."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = _MotionEncoder(width)
        self.gru = _Gru(2 * width, 4 * width)
        self.flow_head = _FlowHead(width)
        self.mask = nn.Sequential(_conv3(2 * width, 4 * width), nn.ReLU(), nn.Conv2d(4 * width, 9 * REDUCTION**2, 1))

    def forward(self, state: Tensor, given: Tensor, correlation: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        state = self.gru(state, torch.cat([given, self.encoder(correlation, flow)], dim=1))
        return state, self.flow_head(state)


class _MotionEncoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 4 * width, 1)
        self.convc2 = _conv3(4 * width, 3 * width)
        self.convf1 = nn.Conv2d(2, 2 * width, 7, padding=3)
        self.convf2 = _conv3(2 * width, width)
        self.conv = _conv3(4 * width, 2 * width - 2)

    def forward(self, correlation: Tensor, flow: Tensor) -> Tensor:
        seen = self.convc2(self.convc1(correlation).relu()).relu()
        moving = self.convf2(self.convf1(flow).relu()).relu()
        both = self.conv(torch.cat([seen, moving], dim=1)).relu()
        return torch.cat([both, flow], dim=1)


class _Gru(nn.Module):
    """A gated recurrent unit over rows, then one over columns."""

    def __init__(self, hidden: int, inputs: int) -> None:
        super().__init__()
        for number, (kernel, padding) in enumerate((((1, 5), (0, 2)), ((5, 1), (2, 0))), start=1):
            for gate in "zrq":
                self.add_module(f"conv{gate}{number}", nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding))

    def forward(self, state: Tensor, given: Tensor) -> Tensor:
        for number in (1, 2):
            update, reset, new = (self.get_submodule(f"conv{gate}{number}") for gate in "zrq")
            both = torch.cat([state, given], dim=1)
            share = update(both).sigmoid()
            proposed = new(torch.cat([reset(both).sigmoid() * state, given], dim=1)).tanh()
            state = (1 - share) * state + share * proposed
        return state


class _FlowHead(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _conv3(2 * width, 4 * width)
        self.conv2 = _conv3(4 * width, 2)

    def forward(self, state: Tensor) -> Tensor:
        moved: Tensor = self.conv2(self.conv1(state).relu())
        return moved


def _conv3(channels_in: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, padding=1)


def _correlations(first: Tensor, second: Tensor) -> list[Tensor]:
    """How alike any two places are, ``(B*h*w, 1, h, w)``, and the same for coarser and coarser second pictures."""
    batch, channels, height, width = first.shape
    alike = first.flatten(2).transpose(1, 2) @ second.flatten(2) / channels**0.5
    levels = [alike.view(batch * height * width, 1, height, width)]
    for _ in range(LEVELS - 1):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def _look_up(table: list[Tensor], at: Tensor) -> Tensor:
    """The correlations around places ``at`` ``(B, 2, h, w)`` in every level, ``(B, LEVELS * 81, h, w)``."""
    batch, _, height, width = at.shape
    reach = torch.arange(-RADIUS, RADIUS + 1, device=at.device, dtype=at.dtype)
    # The published weights expect the neighbours column by column.
    around = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), dim=-1)
    centres = at.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    found = []
    for level, plane in enumerate(table):
        places = centres / 2**level + around
        scale = places.new_tensor([plane.shape[-1] - 1, plane.shape[-2] - 1])
        sampled = F.grid_sample(plane, 2 * places / scale - 1, align_corners=True)
        found.append(sampled.view(batch, height, width, -1))
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2)


def _enlarged(flow: Tensor, weights: Tensor) -> Tensor:
    """Flow eight times the size: every pixel a mean of nine neighbours, by ``weights`` ``(B, 9*64, h, w)``."""
    batch, _, height, width = flow.shape
    shares = weights.view(batch, 1, 9, REDUCTION, REDUCTION, height, width).softmax(dim=2)
    neighbours = F.unfold(REDUCTION * flow, 3, padding=1).view(batch, 2, 9, 1, 1, height, width)
    mean = (shares * neighbours).sum(dim=2)
    return mean.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, REDUCTION * height, REDUCTION * width)


def _pixel_grid(like: Tensor) -> Tensor:
    """x and y of every pixel, ``(1, 2, h, w)``."""
    height, width = like.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device, dtype=like.dtype),
        torch.arange(width, device=like.device, dtype=like.dtype),
        indexing="ij",
    )
    return torch.stack([x, y])[None]
