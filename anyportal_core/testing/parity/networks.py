"""What cases of several families share: building a network from a case, listening to its layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from anyportal_core.plugins.weights import Checkpoint, fill
from anyportal_core.testing.parity.golden import Tensors

Network = TypeVar("Network", bound=nn.Module)


def build(kind: type[Network], config: Mapping[str, Any], weights: Tensors) -> Network:
    dtype = next(iter(weights.values())).dtype
    return fill(kind(**config), Checkpoint(Path("golden"), weights), dtype)


def record(seen: Tensors, name: str, module: nn.Module, part: int | None = None) -> None:
    def hook(_module: nn.Module, _inputs: object, output: Any) -> None:
        seen[name] = output if part is None else output[part]

    module.register_forward_hook(hook)
