"""Random weights that keep a deep network's values in range."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def randomised(network: Network, seed: int) -> Network:
    """The network with weights of a seed, ready to run.

    Matrices are scaled by their fan-in, biases are small, gains lie around 1; so nothing is zero as freshly made
    networks have it, where a mistake could hide.
    """
    generator = torch.Generator().manual_seed(seed)
    floating = {key: value for key, value in network.state_dict().items() if value.is_floating_point()}
    for key, value in sorted(floating.items()):
        drawn = torch.randn(value.shape, generator=generator)
        if value.ndim > 1:
            drawn = drawn / value[0].numel() ** 0.5
        elif key.endswith("bias"):
            drawn = 0.1 * drawn
        else:
            drawn = 1 + 0.1 * drawn
        value.copy_(drawn)
    return network.eval().requires_grad_(False)
