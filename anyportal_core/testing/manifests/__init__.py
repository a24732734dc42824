"""Key names and shapes of published checkpoints, so that loaders are tested against them without the gigabytes.

A manifest is a json file: ``network`` (``module:class``, or a function that makes an empty one), ``published`` (whose),
``config`` (what its constructor reads of the published configuration), ``keys`` from key to shape, and ``evidence``:
what the manifest was held against where the file itself was not at hand. ``{0-41}`` in a key stands for each of these
numbers. ``translate`` (``module:function``) makes of the published tensors those that the network has today.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Manifest:
    """A published checkpoint without its numbers."""

    name: str
    network: str
    published: str
    config: dict[str, Any]
    keys: dict[str, tuple[int, ...]]
    evidence: str
    translate: str = ""


def manifests() -> list[Manifest]:
    """All that are known, by name."""
    found = sorted((file for file in files(__name__).iterdir() if file.name.endswith(".json")), key=lambda f: f.name)
    return [_read(file.name.removesuffix(".json"), json.loads(file.read_text("utf-8"))) for file in found]


def _read(name: str, content: dict[str, Any]) -> Manifest:
    keys = {key: tuple(shape) for pattern, shape in content.pop("keys").items() for key in _expand(pattern)}
    return Manifest(name=name, keys=keys, **content)


def _expand(pattern: str) -> Iterator[str]:
    found = re.search(r"\{(\d+)-(\d+)\}", pattern)
    if not found:
        yield pattern
        return
    for number in range(int(found[1]), int(found[2]) + 1):
        yield from _expand(f"{pattern[: found.start()]}{number}{pattern[found.end() :]}")
