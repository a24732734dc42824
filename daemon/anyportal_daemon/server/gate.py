"""What every rpc passes: the caller is known, and errors become statuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from grpc import aio

from anyportal_core.errors import AnyPortalError
from anyportal_daemon.security.users import Authenticator, let_in
from anyportal_daemon.server.errors import abort

Context = aio.ServicerContext[Any, Any]
OURS = "/anyportal."
HEARD_BYTES = 1024 * 1024
HEARD_SECONDS = 1.0


class Gate(aio.ServerInterceptor):  # type: ignore[type-arg]
    """Asks every rpc for its token, health and reflection included."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        metadata = {key: value for key, value in details.invocation_metadata or ()}
        try:
            let_in(self._authenticator.principal(metadata))
        except AnyPortalError as error:
            return _refusing(error)
        handler = await continuation(details)
        return _guarded(handler) if handler and details.method.startswith(OURS) else handler


def _refusing(error: AnyPortalError) -> Any:
    """A handler that decodes nothing of what a stranger sends; on the wire every kind of rpc is a stream."""

    async def refuse(requests: AsyncIterator[bytes], context: Context) -> None:
        await _hear_out(requests, len)
        await abort(context, error)

    return grpc.stream_stream_rpc_method_handler(refuse)


async def _hear_out(requests: AsyncIterator[Any], size: Callable[[Any], int]) -> None:
    """Let a caller who is refused finish speaking, within limits.

    A stream that is ended while its caller is still sending looks to grpc.aio's client like a bug of its own
    (INTERNAL), and the reason is lost.
    """
    room = HEARD_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HEARD_SECONDS):
            async for message in requests:
                room -= size(message)
                if room < 0:
                    return


def _guarded(handler: Any) -> Any:
    kind = next(name for name in _KINDS if getattr(handler, name) is not None)
    if handler.request_streaming:
        guard: Callable[[Any], Any] = _guard_upload
    else:
        guard = _guard_stream if handler.response_streaming else _guard_one
    return handler._replace(**{kind: guard(getattr(handler, kind))})


_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def _guard_one(behaviour: Callable[[Any, Context], Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
    async def call(request: Any, context: Context) -> Any:
        try:
            return await behaviour(request, context)
        except aio.AbortError:
            raise
        except Exception as error:
            await abort(context, error)

    return call


def _guard_upload(
    behaviour: Callable[[AsyncIterator[Any], Context], Awaitable[Any]],
) -> Callable[[AsyncIterator[Any], Context], Awaitable[Any]]:
    async def call(requests: AsyncIterator[Any], context: Context) -> Any:
        try:
            return await behaviour(requests, context)
        except aio.AbortError:
            raise
        except Exception as error:
            await _hear_out(requests, lambda message: int(message.ByteSize()))
            await abort(context, error)

    return call


def _guard_stream(
    behaviour: Callable[[Any, Context], AsyncIterator[Any]],
) -> Callable[[Any, Context], AsyncIterator[Any]]:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async for message in behaviour(request, context):
                yield message
        except aio.AbortError:
            raise
        except Exception as error:
            await abort(context, error)

    return call
