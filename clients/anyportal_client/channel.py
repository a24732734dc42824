"""A connection to one daemon: the stubs, the token on every call, retries."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, cast

import grpc.aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # written in C

from anyportal.v1 import blobs_pb2_grpc, catalog_pb2_grpc, jobs_pb2_grpc, store_pb2_grpc
from anyportal_client.discovery import Endpoint, renewed
from anyportal_client.events import OnEvent
from anyportal_client.line import Line, Renew
from anyportal_client.retry import Attempts, Backoff

Reply = TypeVar("Reply")

CALL_SECONDS = 20.0
"""Deadline of one attempt at a call that is no stream."""


class Connection:
    """Calls to one daemon, which may be restarted meanwhile. Belongs to the event loop it was made in.

    Args:
        renew: where the daemon is after a call has failed; else what the `daemon.json` of its endpoint says.
        on_event: is told when the daemon is away for more than a moment, and when it is back; else that is logged.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        backoff: Backoff | None = None,
        renew: Renew | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.backoff = backoff or Backoff()
        self._line = Line(endpoint, renew or partial(renewed, endpoint), self.backoff.patience, on_event)
        channel = cast(grpc.aio.Channel, self._line)
        self.blobs: blobs_pb2_grpc.BlobServiceAsyncStub = blobs_pb2_grpc.BlobServiceStub(channel)
        self.jobs: jobs_pb2_grpc.JobServiceAsyncStub = jobs_pb2_grpc.JobServiceStub(channel)
        self.catalog: catalog_pb2_grpc.CatalogServiceAsyncStub = catalog_pb2_grpc.CatalogServiceStub(channel)
        self.store: store_pb2_grpc.StoreServiceAsyncStub = store_pb2_grpc.StoreServiceStub(channel)

    @property
    def endpoint(self) -> Endpoint:
        """Where the daemon is, as far as is known."""
        return self._line.endpoint

    @property
    def away(self) -> bool:
        """Whether nobody answered when the daemon was called last."""
        return self._line.away

    def attempts(self, job: str = "", patience: float | None = None) -> Attempts:
        """A fresh count of attempts at something."""
        backoff = self.backoff if patience is None else Backoff(patience=patience)
        return Attempts(backoff, self._line, job)

    async def call(
        self,
        method: Callable[..., Awaitable[Reply]],
        request: Any,
        *,
        job: str = "",
        seconds: float = CALL_SECONDS,
        patience: float | None = None,
    ) -> Reply:
        """One answer to one request, tried again while the daemon is away.

        Raises:
            ClientError: the daemon refused, or stayed away.
        """
        attempts = self.attempts(job, patience)
        while True:
            try:
                reply = await method(request, metadata=self._line.metadata, timeout=seconds)
            except grpc.aio.AioRpcError as error:
                await attempts.failed(error)
            else:
                self._line.answered()
                return reply

    async def stream(self, method: Callable[..., AsyncIterable[Reply]], request: Any) -> AsyncIterator[Reply]:
        """The messages of one attempt at a stream; the caller knows where to go on after a failure."""
        call: Any = method(request, metadata=self._line.metadata)
        try:
            async for message in call:
                self._line.answered()
                yield message
        finally:
            call.cancel()

    async def send(self, method: Callable[..., Any], requests: AsyncIterable[Any]) -> Any:
        """The answer to a stream of requests, one attempt. An error of `requests` is raised as it is."""
        call = method(metadata=self._line.metadata)
        try:
            async for request in requests:
                try:
                    await call.write(request)
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError, cygrpc.ExecuteBatchError):
                    break  # the daemon has answered already: the answer says why
            else:
                # A cut at the very end shows as grpc's own internal error; the call's status says what it was.
                with contextlib.suppress(cygrpc.ExecuteBatchError):
                    await call.done_writing()
            reply = await call
            self._line.answered()
            return reply
        finally:
            call.cancel()

    async def close(self) -> None:
        await self._line.close()
