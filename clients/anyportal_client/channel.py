"""A connection to one daemon: the stubs, the token on every call, retries."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc.aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # written in C

from anyportal.v1 import blobs_pb2_grpc, catalog_pb2_grpc, jobs_pb2_grpc, store_pb2_grpc
from anyportal_client.discovery import Endpoint
from anyportal_client.retry import Attempts, Backoff

Reply = TypeVar("Reply")

CALL_SECONDS = 20.0
"""Deadline of one attempt at a call that is no stream."""

_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # a studio's web proxy knows nothing of the daemon
    ("grpc.enable_retries", 0),  # retry.py does it, and knows what may be retried
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),  # a manifest of 100,000 frames is 10 MiB
)


class Connection:
    """Calls to one daemon. Belongs to the event loop it was made in."""

    def __init__(self, endpoint: Endpoint, backoff: Backoff | None = None) -> None:
        self.endpoint = endpoint
        self.backoff = backoff or Backoff()
        self._metadata = (("authorization", f"Bearer {endpoint.token}"),) if endpoint.token else ()
        self._channel = grpc.aio.insecure_channel(endpoint.address, options=_OPTIONS)
        self.blobs: blobs_pb2_grpc.BlobServiceAsyncStub = blobs_pb2_grpc.BlobServiceStub(self._channel)
        self.jobs: jobs_pb2_grpc.JobServiceAsyncStub = jobs_pb2_grpc.JobServiceStub(self._channel)
        self.catalog: catalog_pb2_grpc.CatalogServiceAsyncStub = catalog_pb2_grpc.CatalogServiceStub(self._channel)
        self.store: store_pb2_grpc.StoreServiceAsyncStub = store_pb2_grpc.StoreServiceStub(self._channel)

    def attempts(self, job: str = "", patience: float | None = None) -> Attempts:
        """A fresh count of attempts at something."""
        backoff = self.backoff if patience is None else Backoff(patience=patience)
        return Attempts(backoff, self.endpoint.address, job)

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
                return await method(request, metadata=self._metadata, timeout=seconds)
            except grpc.aio.AioRpcError as error:
                await attempts.failed(error)

    async def stream(self, method: Callable[..., AsyncIterable[Reply]], request: Any) -> AsyncIterator[Reply]:
        """The messages of one attempt at a stream; the caller knows where to go on after a failure."""
        call: Any = method(request, metadata=self._metadata)
        try:
            async for message in call:
                yield message
        finally:
            call.cancel()

    async def send(self, method: Callable[..., Any], requests: AsyncIterable[Any]) -> Any:
        """The answer to a stream of requests, one attempt. An error of `requests` is raised as it is."""
        call = method(metadata=self._metadata)
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
            return await call
        finally:
            call.cancel()

    async def close(self) -> None:
        await self._channel.close(None)
