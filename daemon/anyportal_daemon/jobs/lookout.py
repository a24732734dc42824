"""One look at the queue for all who ask: however many they are, one thread at most is busy with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from anyportal.v1.jobs_pb2 import Job, Outlook
from anyportal_daemon.jobs.journal import ENDED
from anyportal_daemon.jobs.outlook import Look

REST = 2
"""For so many times as long as a look took there is none: a long queue must not keep the daemon busy."""

GOOD = 10
"""For so many times as long as a look took it is as good as another."""

LONGEST = 1.0
"""Seconds to which both of these come at most."""

QUICK = 0.005
"""Seconds of a look for which everybody waits. While others take longer, what was seen last is told."""

OLDEST = 10.0
"""Seconds after which even those are waited for."""


class Lookout:
    """Used on one event loop; whoever waits for a look holds up nobody else.

    Args:
        look: looks at the queue; called in a thread, once at a time.
    """

    def __init__(self, look: Callable[[], Look]) -> None:
        self._look = look
        self._last, self._begun, self._ended, self._cost = Look(), -OLDEST, -OLDEST, 0.0
        self._current: asyncio.Task[Look] | None = None
        """The look that is under way, or was last."""
        self._next: asyncio.Task[Look] | None = None
        """The look after that, while it has not begun."""

    async def add(self, job: Job) -> None:
        """Write into a job what is to be expected of it."""
        if job.state not in ENDED and not (await self.seen()).add(job):
            (await self._anew()).add(job)

    async def promise(self, job: Job) -> None:
        """Write into a checked job what would be to be expected of it if it was queued now, behind all others."""
        job.outlook.CopyFrom((await self.seen()).behind(job))

    async def add_to_page(self, jobs: Iterable[Job]) -> None:
        """The same for a list of jobs: what changed this moment may lack it."""
        look = await self.seen()
        for job in jobs:
            if job.state not in ENDED:
                look.add(job)

    async def of(self, job_id: str, fresh: bool = False) -> Outlook | None:
        """What is to be expected of a job; None where it has ended.

        Args:
            fresh: as things are from now on; else it may be a moment old.
        """
        outlook = None if fresh else (await self.seen()).of(job_id)
        return outlook or (await self._anew()).of(job_id)

    async def seen(self) -> Look:
        """The queue, as it is or was a moment ago."""
        age = time.monotonic() - self._begun
        if age < min(GOOD * self._cost, LONGEST):
            return self._last
        coming = self._coming()
        return await asyncio.shield(coming) if self._cost < QUICK or age > OLDEST else self._last

    async def _anew(self) -> Look:
        """The queue as it is from now on."""
        return await asyncio.shield(self._following())

    def _coming(self) -> asyncio.Task[Look]:
        """The look that is under way, else the next one."""
        return self._current if self._current and not self._current.done() else self._following()

    def _following(self) -> asyncio.Task[Look]:
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._current))
            self._next.add_done_callback(_heard)
        return self._next

    async def _after(self, before: asyncio.Task[Look] | None) -> Look:
        """Look at the queue when the last look is over and rested from."""
        if before is not None:
            await asyncio.wait([before])
        await asyncio.sleep(self._ended + min(REST * self._cost, LONGEST) - time.monotonic())
        self._current, self._next = self._next, None
        begun = time.monotonic()
        self._last = await asyncio.to_thread(self._look)
        self._begun, self._ended = begun, time.monotonic()
        self._cost = self._ended - begun
        return self._last

    async def close(self) -> None:
        """Wait for the look that is under way; there are no others."""
        if self._next is not None:
            self._next.cancel()
        if self._current is not None:
            await asyncio.wait([self._current])


def _heard(look: asyncio.Task[Look]) -> None:
    """What went wrong is told to those who wait; there may be none."""
    if not look.cancelled():
        look.exception()
