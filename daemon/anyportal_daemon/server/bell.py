"""Wakes those who watch a job when there is news of it."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Bell:
    """One for all jobs. It carries no news: who is woken reads the journal. Of a job that nobody watches it keeps
    nothing."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self.closed = False

    def ring(self, job_id: str) -> None:
        """There is news. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._wake, job_id)

    def listen(self, job_id: str) -> asyncio.Event:
        """Set at the next news. Get it before reading the journal, so that nothing falls between, and hold it."""
        event = self._waiting.get(job_id)
        if event is None:
            event = self._waiting[job_id] = asyncio.Event()
        return event

    def close(self) -> None:
        """The daemon stops: wake everybody."""
        self.closed = True
        for job_id in list(self._waiting):
            self._wake(job_id)

    def _wake(self, job_id: str) -> None:
        event = self._waiting.pop(job_id, None)
        if event:
            event.set()
