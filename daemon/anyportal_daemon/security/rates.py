"""How often somebody may do something: buckets that fill again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

KEYS = 4096
"""Buckets that are kept at once; the one that was touched least recently goes first, and would be full again by then
unless so many others called in the meantime."""


@dataclass(frozen=True)
class Rate:
    """So many at once, and so many a second from then on."""

    burst: float
    per_second: float


class Buckets:
    """One bucket for each key, full at first. For one thread."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._clock = rate, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one: 0 where there was one, else the seconds until there is."""
        now = self._clock()
        level, since = self._levels.pop(key, (self.rate.burst, now))
        level = min(self.rate.burst, level + (now - since) * self.rate.per_second)
        wait = 0.0 if level >= 1 else (1 - level) / self.rate.per_second
        self._levels[key] = (level if wait else level - 1, now)
        if len(self._levels) > KEYS:
            self._levels.popitem(last=False)
        return wait
