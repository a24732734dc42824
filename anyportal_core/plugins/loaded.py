"""Models that stay in memory between jobs: loading takes longer than using them. What was not used for longest goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Loaded = TypeVar("Loaded")

_kept: dict[tuple[object, ...], Any] = {}
"""What was used last comes last."""

_sizes: dict[tuple[object, ...], int] = {}
_budget: int | None = None


def keep(key: tuple[object, ...], load: Callable[[], Loaded], size: Callable[[], int] = lambda: 0) -> Loaded:
    """What ``load`` gave the first time for this key.

    Args:
        key: everything that decides what is loaded: what it is, the revisions of its models, device and dtype.
        size: its bytes, asked for before it is loaded: so many of what is kept make room where a budget is set.
    """
    if key not in _kept:
        needed = size()
        _shrink(needed)
        _kept[key], _sizes[key] = load(), needed
    found: Loaded = _kept.pop(key)
    _kept[key] = found
    return found


def keeps(key: tuple[object, ...]) -> bool:
    """Whether something is kept for this key."""
    return key in _kept


def limit(budget: int | None) -> None:
    """Keep at most so many bytes between jobs; None: whatever there is room for."""
    global _budget
    _budget = budget


def settle() -> None:
    """A job has ended: keep no more than the budget, though one model alone may be larger."""
    _shrink(0)


def kept_bytes() -> int:
    """Of all that is kept."""
    return sum(_sizes.values())


def forget(*but: object) -> None:
    """Let go of everything, where the memory is needed, except for the keys ``but``."""
    for key in _kept.keys() - set(but):
        _drop(key)


def _shrink(needed: int) -> None:
    """Let go of what was not used for longest, until there is room for so many bytes more."""
    while _budget is not None and _kept and kept_bytes() + needed > _budget:
        _drop(next(iter(_kept)))


def _drop(key: tuple[object, ...]) -> None:
    del _kept[key]
    _sizes.pop(key, None)
