"""The calls behind the commands: connect, submit, follow, cancel, with everything that happens shown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from anyportal_client.aio import AsyncClient
from anyportal_client.cli.output import Reporter, reporter
from anyportal_client.cli.wishes import Wish, stdin_speaks, wishes
from anyportal_client.discovery_any import Prospect, Suits, queue_of
from anyportal_client.errors import Cancelled, DaemonError, UsageError
from anyportal_client.events import DaemonFound, LogLine
from anyportal_client.request import ShotRequest
from anyportal_client.retry import PATIENCE
from anyportal_client.shot import ReadyShot, make_ready
from anyportal_client.storage import made_folder


class Call:
    """One call of the command.

    Args:
        daemon: HOST:PORT, where the user named one.
        stdin_cancel: what the user said about standard input.
        folders: shared with the daemon, by the names of its mappings; None: those of the configuration.
        patience: seconds to wait for a daemon that went away.
    """

    def __init__(
        self,
        daemon: str | None,
        as_json: bool,
        stdin_cancel: bool | None = False,
        folders: Mapping[str, Path] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._daemon = daemon
        self._patience = patience
        self._folders = folders
        self._listen = stdin_speaks(stdin_cancel, as_json)
        self._tell = reporter(as_json)

    async def submit(self, request: ShotRequest, out: Path, overwrite: bool) -> None:
        """Queue a job, follow it, bring its results; a wish to end cancels it."""
        # Before a daemon is started: a misspelled path is told at once.
        ready = await asyncio.to_thread(make_ready, request)
        with made_folder(out.absolute()):
            ready.check_out(out)
            async with self._connected(start=True, suits=_prospect(ready)) as (client, wish):
                job = await wish.unless(client.submit(ready, self._tell), _nothing_queued)

                async def cancel() -> None:
                    self._tell(LogLine(job.name, 0, "info", "cancelling"))
                    try:
                        now = await client.cancel(job.name)
                    except DaemonError as error:  # the wish is for an end of this call in any case
                        raise Cancelled(f"{error.message}; {error.hint}", job=job.name) from error
                    if now.state == "succeeded":
                        raise Cancelled("the job is done, fetching its results was cancelled", job=job.name)

                await wish.unless(client.fetch(job.name, out, self._tell, overwrite=overwrite), cancel)

    async def queue(self, request: ShotRequest) -> None:
        """Queue a job and leave it alone."""
        ready = await asyncio.to_thread(make_ready, request)
        async with self._connected(start=False, suits=_prospect(ready)) as (client, wish):
            await wish.unless(client.submit(ready, self._tell), _nothing_queued)

    async def fetch(self, job: str, out: Path, overwrite: bool) -> None:
        """Bring a job's results; a wish to end leaves the job alone."""
        async with self._connected(start=False, suits=_holds(job)) as (client, wish):
            work = client.fetch(job, out, self._tell, overwrite=overwrite)
            await wish.unless(work, _leave(job))

    async def watch(self, job: str) -> None:
        """Show a job's events until it ends; a wish to end leaves the job alone."""
        async with self._connected(start=False, suits=_holds(job)) as (client, wish):
            await wish.unless(self._show(client, job), _leave(job))
            (await client.job(job)).raise_failure()

    async def cancel(self, job: str) -> None:
        """End a job, and wait until it has ended."""
        async with self._connected(start=False, suits=_holds(job)) as (client, wish):
            before = await client.job(job)
            if before.final:
                raise UsageError(f"the job has ended already: {before.state}", code="JOB_STATE", job=job)
            await client.cancel(job)
            await wish.unless(self._show(client, job, before.last_sequence), _leave(job))

    async def _show(self, client: AsyncClient, job: str, after: int = 0) -> None:
        async with aclosing(client.watch(job, after)) as events:
            async for event in events:
                self._tell(event)

    @asynccontextmanager
    async def _connected(self, start: bool, suits: Suits) -> AsyncIterator[tuple[AsyncClient, Wish]]:
        """A client, and the wish to end that may come while it is used."""
        with wishes(self._listen, self._tell.close) as wish, _logged(self._tell):
            try:
                connecting = AsyncClient.connect(
                    self._daemon,
                    start=start,
                    mappings=self._folders,
                    on_event=self._tell,
                    patience=self._patience,
                    suits=suits,
                )
                async with await wish.unless(connecting, _nothing_queued) as client:
                    self._tell(DaemonFound(client.address, client.info.version, client.started_daemon))
                    yield client, wish
            finally:
                self._tell.close()


def _prospect(ready: ReadyShot) -> Suits:
    """What speaks for a daemon that may work on a shot: when that would be done."""

    async def ask(client: AsyncClient) -> Prospect:
        queue, outlook = await queue_of(client), (await client.check(ready)).outlook
        if outlook is None:
            return queue
        return replace(queue, start=outlook.start_seconds, end=outlook.end_seconds)

    return ask


def _holds(job: str) -> Suits:
    """What speaks for a daemon that is asked about a job: that it has it."""

    async def ask(client: AsyncClient) -> Prospect:
        await client.job(job)
        return Prospect(0.0, None, why="it has the job")

    return ask


async def _nothing_queued() -> NoReturn:
    raise Cancelled("cancelled before the job was queued")


def _leave(job: str) -> Callable[[], Coroutine[Any, Any, NoReturn]]:
    async def leave() -> NoReturn:
        raise Cancelled("stopped watching; the job goes on", job=job)

    return leave


@contextmanager
def _logged(tell: Reporter) -> Iterator[None]:
    """Show what the library logs."""

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tell(LogLine("", 0, "warning", record.getMessage()))

    log, handler = logging.getLogger("anyportal_client"), Shown(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
