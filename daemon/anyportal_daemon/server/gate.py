"""What every rpc passes: the caller is known, may do it and does not do it too often; errors become statuses; what was
done and what was refused is written down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc import aio

from anyportal_daemon.security.users import let_in
from anyportal_daemon.server.errors import abort
from anyportal_daemon.server.guard import Context, Requests, guarded
from anyportal_daemon.server.visit import Visit
from anyportal_daemon.server.watch import Watch

HEARD_BYTES = 1024 * 1024
HEARD_SECONDS = 1.0
HEARD_AT_ONCE = 8
"""Refused callers who may finish speaking at the same time: what they say takes room until it is heard."""


class Gate(aio.ServerInterceptor):  # type: ignore[type-arg]
    """Asks every rpc for its token, health and reflection included."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._hearing = asyncio.Semaphore(HEARD_AT_ONCE)

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        visit = self._watch.visit(details.method, {key: value for key, value in details.invocation_metadata or ()})
        try:
            let_in(visit.enter())
            handler = await continuation(details)
            if handler is None:
                return None  # there is no such rpc: a newer client has to be told just that
            visit.check()
        except Exception as error:
            return self._refusing(visit, error)
        return guarded(handler, visit, self._hear_out)

    def _refusing(self, visit: Visit, error: Exception) -> Any:
        """A handler that decodes nothing of what a stranger sends; on the wire every kind of rpc is a stream."""

        async def refuse(requests: Requests, context: Context) -> None:
            said = visit.turned_away(context.peer(), error)
            if said is error:
                await self._hear_out(requests)
            await abort(context, said)

        return grpc.stream_stream_rpc_method_handler(refuse)

    async def _hear_out(self, requests: Requests) -> None:
        """Let a caller who is refused finish speaking, within limits.

        A stream that is ended while its caller is still sending looks to grpc.aio's client like a bug of its own
        (INTERNAL), and the reason is lost.
        """
        if self._hearing.locked():
            return
        room = HEARD_BYTES
        async with self._hearing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARD_SECONDS):
                    async for message in requests:
                        room -= len(message)
                        if room < 0:
                            return
