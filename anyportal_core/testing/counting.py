"""Counts what networks do: how often each of them ran forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from anyportal_core.models import Models
from anyportal_core.plugins.weights import NAMES

WEIGHTS: Final = (".safetensors", ".bin", ".pth")
CODEC: Final = "vae"
HALVES: Final = ("encoder", "decoder")
MERGED: Final = "sd15/unet"
"""Never runs: its weights are in both of IC-Light's networks."""


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


def passes_by_network(lines: Iterable[str], models: Models, names: Iterable[str]) -> dict[str, int]:
    """How often every network of some models ran, 0 where it never did.

    Args:
        lines: what `plugins.passes` tells: ``FILE``, or ``FILE#part``.
        names: of the models. Every file of weights that lies there is a network, a codec two: its halves.
    """
    told = Counter(_network(models.root, line.strip()) for line in lines)
    wanted = {network for name in names for network in _networks(models, name)}
    return {network: told[network] for network in sorted(wanted | told.keys())}


def _networks(models: Models, name: str) -> Iterator[str]:
    place = models.place(name)
    files = [place] if place.is_file() else [file for file in place.rglob("*") if file.suffix in WEIGHTS]
    for network in {_network(models.root, str(file)) for file in files} - {MERGED}:
        yield from (f"{network} {half}" for half in HALVES) if network.endswith(CODEC) else (network,)


def _network(root: Path, line: str) -> str:
    """``sd15/vae encoder`` for ``ROOT/sd15/vae/model.safetensors#encoder``."""
    file, _, part = line.partition("#")
    path = Path(file).relative_to(root)
    shown = path.parent if path.stem.split(".")[0] in NAMES else path
    return f"{shown.as_posix()} {part}".strip()
