"""Many small pieces of work, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

Work = Callable[[], Awaitable[None]]


class Crew:
    """Does pieces of work, at most `size` at a time. Give it work with `add`."""

    def __init__(self, group: asyncio.TaskGroup, size: int) -> None:
        self._group = group
        self._places = asyncio.Semaphore(size)

    def add(self, work: Work) -> None:
        self._group.create_task(self._run(work))

    async def _run(self, work: Work) -> None:
        async with self._places:
            await work()


@asynccontextmanager
async def crew(size: int) -> AsyncIterator[Crew]:
    """A crew that is done when the block ends; the first error ends everything and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            yield Crew(group, size)
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


async def run_all(work: Iterable[Work], size: int) -> None:
    """Do all of them, at most `size` at a time."""
    async with crew(size) as workers:
        for each in work:
            workers.add(each)
