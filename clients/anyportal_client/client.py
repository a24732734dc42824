"""The client for those who do not await: AsyncClient on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from anyportal_client.aio import AsyncClient
from anyportal_client.discovery import Endpoint
from anyportal_client.events import JobEvent, OnEvent
from anyportal_client.expectations import StageExplanation
from anyportal_client.messages import DaemonInfo, Job, PresetInfo
from anyportal_client.request import ShotRequest
from anyportal_client.retry import PATIENCE
from anyportal_client.shot import ReadyShot
from anyportal_client.storekeeping import StorePruned, StoreShown, Verification

T = TypeVar("T")


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="anyportal-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine; Ctrl-C ends it too."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                concurrent.futures.wait([future], timeout=5)
            raise

    @property
    def open(self) -> bool:
        return not self._loop.is_closed()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Client:
    """A connection to a daemon. Its methods are AsyncClient's; `on_event` is called from another thread."""

    def __init__(self, loop: _Loop, client: AsyncClient) -> None:
        self._loop = loop
        self._client = client

    @classmethod
    def connect(
        cls,
        address: str | Endpoint | None = None,
        token: str | None = None,
        state_dir: Path | None = None,
        start: bool = True,
        mappings: Mapping[str, Path] | None = None,
        on_event: OnEvent | None = None,
        patience: float = PATIENCE,
    ) -> Self:
        """See AsyncClient.connect."""
        loop = _Loop()
        connecting = AsyncClient.connect(address, token, state_dir, start, mappings, on_event, patience)
        try:
            return cls(loop, loop.run(connecting))
        except BaseException:
            loop.close()
            raise

    @property
    def started_daemon(self) -> bool:
        """Whether the daemon was started for this client; it ends with it."""
        return self._client.started_daemon

    @property
    def address(self) -> str:
        """HOST:PORT of the daemon."""
        return self._client.address

    @property
    def info(self) -> DaemonInfo:
        """What the daemon said of itself when the client connected."""
        return self._client.info

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; end the daemon where it was started for this client."""
        if self._loop.open:
            self._loop.run(self._client.close())
            self._loop.close()

    def submit(self, request: ShotRequest | ReadyShot, on_event: OnEvent | None = None) -> Job:
        """See AsyncClient.submit."""
        return self._loop.run(self._client.submit(request, on_event))

    def check(self, request: ShotRequest | ReadyShot) -> Job:
        """See AsyncClient.check."""
        return self._loop.run(self._client.check(request))

    def watch(self, job: str, after: int = 0) -> Iterator[JobEvent]:
        """See AsyncClient.watch."""
        events = self._client.watch(job, after)
        try:
            while (event := self._loop.run(_next(events))) is not None:
                yield event
        finally:
            if self._loop.open:  # a generator may outlive its client
                self._loop.run(events.aclose())

    def fetch(
        self, job: str, out: Path | str, on_event: OnEvent | None = None, *, overwrite: bool = False
    ) -> dict[str, Path]:
        """See AsyncClient.fetch."""
        return self._loop.run(self._client.fetch(job, out, on_event, overwrite=overwrite))

    def job(self, name: str) -> Job:
        """A job as it is now."""
        return self._loop.run(self._client.job(name))

    def jobs(self, states: Iterable[str] = (), limit: int = 50, all_users: bool = False) -> list[Job]:
        """See AsyncClient.jobs."""
        return self._loop.run(self._client.jobs(states, limit, all_users))

    def cancel(self, name: str) -> Job:
        """See AsyncClient.cancel."""
        return self._loop.run(self._client.cancel(name))

    def explain(self, name: str) -> list[StageExplanation]:
        """See AsyncClient.explain."""
        return self._loop.run(self._client.explain(name))

    def daemon(self) -> DaemonInfo:
        """What the daemon says of itself now."""
        return self._loop.run(self._client.daemon())

    def presets(self) -> list[PresetInfo]:
        """The presets it has."""
        return self._loop.run(self._client.presets())

    def store(self) -> StoreShown:
        """See AsyncClient.store."""
        return self._loop.run(self._client.store())

    def verify_store(self) -> Iterator[Verification]:
        """See AsyncClient.verify_store."""
        steps = self._client.verify_store()
        try:
            while (step := self._loop.run(_next(steps))) is not None:
                yield step
        finally:
            if self._loop.open:
                self._loop.run(steps.aclose())

    def prune_store(self, keep: int = 0, recent: bool = False) -> StorePruned:
        """See AsyncClient.prune_store."""
        return self._loop.run(self._client.prune_store(keep, recent))


async def _next(events: AsyncGenerator[T, None]) -> T | None:
    return await anext(events, None)
