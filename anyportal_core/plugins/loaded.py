"""Models that stay in memory between jobs: loading takes longer than using them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Loaded = TypeVar("Loaded")

_kept: dict[tuple[object, ...], Any] = {}


def keep(key: tuple[object, ...], load: Callable[[], Loaded]) -> Loaded:
    """What ``load`` gave the first time for this key.

    Args:
        key: everything that decides what is loaded: what it is, the revisions of its models, device and dtype.
    """
    if key not in _kept:
        _kept[key] = load()
    found: Loaded = _kept[key]
    return found


def keeps(key: tuple[object, ...]) -> bool:
    """Whether something is kept for this key."""
    return key in _kept


def forget(*but: object) -> None:
    """Let go of everything, where the memory is needed, except for the keys ``but``."""
    for key in _kept.keys() - set(but):
        del _kept[key]
