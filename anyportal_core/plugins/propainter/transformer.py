"""The sparse video transformer: attention in windows, across time only where something is missing."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW: Final = (5, 9)
SHIFTS: Final = ((3, 5), (3, -5), (-3, 5), (-3, -5))
"""Where a window looks beyond itself: at itself moved by half its size to each corner."""
POOL: Final = 4
PATCH: Final = 7
STRIDE: Final = 3
PADDING: Final = 3
DILATION: Final = 2
"""Every block takes keys from every second frame; odd and even frames take turns."""


def token_grid(*size: int) -> tuple[int, ...]:
    """Rows and columns of tokens for features of a size: patches of 7x7, three apart."""
    return tuple((side + 2 * PADDING - PATCH) // STRIDE + 1 for side in size)


class Split(nn.Module):
    """Features ``(B, C, h, w)`` to tokens ``(B, rows, columns, D)`` of overlapping patches."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(channels * PATCH**2, width)

    def forward(self, features: Tensor) -> Tensor:
        patches = F.unfold(features, PATCH, padding=PADDING, stride=STRIDE).transpose(1, 2)
        tokens: Tensor = self.embedding(patches)
        return tokens.view(len(features), *token_grid(*features.shape[-2:]), -1)


class Compose(nn.Module):
    """Tokens ``(B, rows, columns, D)`` to features ``(B, C, h, w)``: patches are added where they overlap."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(width, channels * PATCH**2)
        self.bias_conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        patches = self.embedding(tokens.flatten(1, 2)).transpose(1, 2)
        features: Tensor = self.bias_conv(F.fold(patches, size, PATCH, padding=PADDING, stride=STRIDE))
        return features


class Transformer(nn.Module):
    """A stack of blocks over tokens ``(B, T, rows, columns, width)``."""

    def __init__(self, width: int, depth: int, hidden: int, heads: int = 4) -> None:
        super().__init__()
        self.transformer = nn.ModuleList(_Block(width, hidden, heads) for _ in range(depth))

    def forward(self, tokens: Tensor, size: tuple[int, int], missing: Tensor) -> Tensor:
        """The tokens after all blocks.

        Args:
            tokens: ``(B, T, rows, columns, D)``.
            size: of the features that the tokens are patches of.
            missing: ``(B, T', rows, columns)``, above 0 where something is missing.
        """
        windows = _windows_with(missing)
        turns = min(DILATION, tokens.shape[1])
        for number, block in enumerate(self.transformer):
            tokens = block(tokens, size, windows, slice(number % turns, None, turns))
        return tokens


class _Block(nn.Module):
    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = _WindowAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _OverlapFeedForward(width, hidden)

    def forward(self, tokens: Tensor, size: tuple[int, int], windows: Tensor, frames: slice) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens), windows, frames)
        out: Tensor = tokens + self.mlp(self.norm2(tokens), size)
        return out


class _OverlapFeedForward(nn.Module):
    """A feed-forward layer whose hidden tokens, as patches, are averaged where they overlap (Liu et al., ICCV 2021)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Sequential(nn.Linear(width, hidden * PATCH**2))
        self.fc2 = nn.Sequential(nn.GELU(), nn.Linear(hidden * PATCH**2, width))

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        patches = self.fc1(tokens).flatten(0, 1).flatten(1, 2).transpose(1, 2)
        layout = {"kernel_size": PATCH, "padding": PADDING, "stride": STRIDE}
        counts = F.fold(torch.ones_like(patches[:1, : PATCH**2]), size, **layout)
        averaged = F.fold(patches, size, **layout) / counts
        out: Tensor = self.fc2(F.unfold(averaged, **layout).transpose(1, 2))
        return out.view(tokens.shape)


class _WindowAttention(nn.Module):
    """Attention of each window to itself, its surroundings and a pooled view of the whole frame.

    A window in which something is missing looks at all that in the chosen frames; any other only at itself, frame
    by frame.
    """

    valid_ind_rolled: Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.proj = (nn.Linear(width, width) for _ in range(4))
        self.pool_layer = nn.Conv2d(width, width, POOL, stride=POOL, groups=width)
        self.register_buffer("valid_ind_rolled", _beyond_window())

    def forward(self, tokens: Tensor, windows: Tensor, frames: slice) -> Tensor:
        """``(B, T, rows, columns, D)`` to the same shape; ``windows`` ``(B, n)`` says where something is missing."""
        rows, columns = tokens.shape[2:4]
        padded = F.pad(tokens, (0, 0, 0, -columns % WINDOW[1], 0, -rows % WINDOW[0]))
        by_place = padded.flatten(2, 3).transpose(1, 2)  # (B, places, T, D)
        query, key, value = self.query(by_place), self.key(by_place), self.value(by_place)
        pooled = self._pooled(padded)[:, :, frames]
        table = self._table(*padded.shape[2:4])
        inside = table[:, : WINDOW[0] * WINDOW[1]]
        out = torch.empty_like(query)

        sample, window = (~windows).nonzero(as_tuple=True)
        at = sample[:, None], inside[window]
        found = self._attend(*(states[at].transpose(1, 2).flatten(0, 1) for states in (query, key, value)))
        out[at] = found.view(len(sample), tokens.shape[1], *found.shape[1:]).transpose(1, 2)

        sample, window = windows.nonzero(as_tuple=True)
        at, around = (sample[:, None], inside[window]), (sample[:, None], table[window])
        keys = torch.cat([key[:, :, frames][around], self.key(pooled)[sample]], dim=1)
        values = torch.cat([value[:, :, frames][around], self.value(pooled)[sample]], dim=1)
        asked = query[at]
        out[at] = self._attend(asked.flatten(1, 2), keys.flatten(1, 2), values.flatten(1, 2)).view(asked.shape)

        joined = out.transpose(1, 2).view(padded.shape)
        projected: Tensor = self.proj(joined[:, :, :rows, :columns])
        return projected

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention with heads: ``(m, L, D)`` over ``(m, L', D)``."""
        split = self.heads, query.shape[-1] // self.heads
        query, key, value = (side.view(*side.shape[:2], *split).transpose(1, 2) for side in (query, key, value))
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)

    def _pooled(self, padded: Tensor) -> Tensor:
        """Every frame in few tokens, ``(B, places, T, D)``."""
        pooled: Tensor = self.pool_layer(padded.flatten(0, 1).permute(0, 3, 1, 2))
        return pooled.flatten(2).transpose(1, 2).view(*padded.shape[:2], -1, padded.shape[-1]).transpose(1, 2)

    def _table(self, rows: int, columns: int) -> Tensor:
        """The places each window looks at, first its own: ``(windows, 45 + 148)``, row by row in the grid."""
        device = self.valid_ind_rolled.device
        side = WINDOW[0] * WINDOW[1]
        across, inside = self.valid_ind_rolled // side, self.valid_ind_rolled % side
        shifts = torch.tensor(SHIFTS, device=device)[across]
        own = torch.arange(side, device=device)
        down = torch.cat([own // WINDOW[1], inside // WINDOW[1] + shifts[:, 0]])
        right = torch.cat([own % WINDOW[1], inside % WINDOW[1] + shifts[:, 1]])
        top = torch.arange(0, rows, WINDOW[0], device=device)[:, None, None]
        left = torch.arange(0, columns, WINDOW[1], device=device)[:, None]
        # What lies beyond one edge is taken from the other.
        places = (top + down) % rows * columns + (left + right) % columns
        return places.flatten(0, 1)


def _beyond_window() -> Tensor:
    """Which places of a window, shifted to its four corners in turn, lie outside it: indices ``(148,)``."""
    row, column = torch.meshgrid(
        torch.arange(WINDOW[0], device="cpu"), torch.arange(WINDOW[1], device="cpu"), indexing="ij"
    )
    shifted = [(row + down, column + right) for down, right in SHIFTS]
    outside = [(r < 0) | (r >= WINDOW[0]) | (c < 0) | (c >= WINDOW[1]) for r, c in shifted]
    return torch.stack(outside).flatten().nonzero().flatten()


def _windows_with(missing: Tensor) -> Tensor:
    """Which windows have something missing in any frame: ``(B, T, rows, columns)`` to ``(B, windows)``."""
    rows, columns = missing.shape[2:]
    padded = F.pad(missing.amax(1), (0, -columns % WINDOW[1], 0, -rows % WINDOW[0]))
    return F.max_pool2d(padded, WINDOW).flatten(1) > 0
