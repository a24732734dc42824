"""Tells who runs: networks know the file of their weights, and passes of theirs can be heard or written down."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

VARIABLE: Final = "ANYPORTAL_PASSES"
"""The environment variable that names a file to write every pass into, one a line; unset, none is."""

ATTRIBUTE: Final = "weights_name"

Network = TypeVar("Network", bound=nn.Module)


def named(network: Network, file: Path) -> Network:
    """The network, named by the file of its weights; its parts by the file and their own name: ``FILE#encoder``.

    Two networks of one class differ by it. A codec is never called itself: its parts are.
    """
    setattr(network, ATTRIBUTE, str(file))
    for name, part in network.named_children():
        setattr(part, ATTRIBUTE, f"{file}#{name}")
    if VARIABLE in os.environ:
        _write_down(os.environ[VARIABLE])
    return network


@contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[None]:
    """Have ``tell`` called with the name at the end of every pass of a named network inside the block.

    A part that runs within its network is that network's pass, and no more.
    """
    handles = _listen(tell)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _listen(tell: Callable[[str], None]) -> list[Any]:
    running: list[nn.Module] = []  # the network that is in the middle of a pass, at most one

    def begin(module: nn.Module, inputs: Any) -> None:
        if not running and hasattr(module, ATTRIBUTE):
            running.append(module)

    def end(module: nn.Module, inputs: Any, output: Any) -> None:
        if running and module is running[0]:
            running.clear()
            if output is not None:
                tell(getattr(module, ATTRIBUTE))

    # Called too where a pass ends by an error: the next one must be heard.
    return [register_module_forward_pre_hook(begin), register_module_forward_hook(end, always_call=True)]


@cache
def _write_down(file: str) -> None:
    """Append the name of every pass to a file, from now to the end of the process."""
    opened = Path(file).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115 - it stays open
    _listen(lambda name: print(name, file=opened))
