"""Counts what networks do: how often each of them ran forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.module import register_module_forward_hook


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Forward passes of every kind of module inside the block, by the name of its class.

    Only calls of a module itself count: a network whose methods are called (``encode``, ``decode``) counts by its
    parts.
    """
    counts: Counter[str] = Counter()

    def count(module: nn.Module, inputs: object, output: object) -> None:
        counts[type(module).__name__] += 1

    handle = register_module_forward_hook(count)
    try:
        yield counts
    finally:
        handle.remove()
