"""What of a flood is written down: from each source a few events a minute, and how many others there were."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from anyportal_daemon.security.rates import Buckets, Rate

MINUTE = 60.0
SOURCES = 4096
"""Whose events are counted apart at once; those of further ones are counted together."""

Event = TypeVar("Event")


@dataclass
class _Pending(Generic[Event]):
    last: Event
    count: int
    since: float


class Tally(Generic[Event]):
    """For one thread.

    Args:
        write: is given an event, and for how many like it that one stands.
    """

    def __init__(
        self, write: Callable[[Event, int], None], rate: Rate, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._clock = write, clock
        self._pending: dict[str, _Pending[Event]] = {}
        self.set_rate(rate)

    def set_rate(self, rate: Rate) -> None:
        """From now on so many of a source are written as they are."""
        self._buckets = Buckets(rate, self._clock)

    def note(self, source: str, event: Event) -> None:
        """It has happened once more."""
        if not self._buckets.take(source):
            self._write(event, 1)
            return
        key = source if source in self._pending or len(self._pending) < SOURCES else ""
        pending = self._pending.setdefault(key, _Pending(event, 0, self._clock()))
        pending.last = event
        pending.count += 1

    def settle(self, least: float = MINUTE) -> None:
        """Write what was only counted, where that began ``least`` seconds ago."""
        until = self._clock() - least
        for source in [source for source, pending in self._pending.items() if pending.since <= until]:
            pending = self._pending.pop(source)
            self._write(pending.last, pending.count)
