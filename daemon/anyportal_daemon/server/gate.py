"""What every rpc passes: the caller is known, may do it and does not do it too often; errors become statuses; what was
done and what was refused is written down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeGuard

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from anyportal_daemon.errors import SilentError
from anyportal_daemon.security.users import let_in
from anyportal_daemon.server.errors import abort
from anyportal_daemon.server.visit import Visit, Watch

Context = aio.ServicerContext[Any, Any]
OURS = "/anyportal."
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
        return self._guarded(handler, visit) if details.method.startswith(OURS) else handler

    def _refusing(self, visit: Visit, error: Exception) -> Any:
        """A handler that decodes nothing of what a stranger sends; on the wire every kind of rpc is a stream."""

        async def refuse(requests: AsyncIterator[bytes], context: Context) -> None:
            said = visit.turned_away(context.peer(), error)
            if said is error:
                await self._hear_out(requests, len)
            await abort(context, said)

        return grpc.stream_stream_rpc_method_handler(refuse)

    async def _hear_out(self, requests: AsyncIterator[Any], size: Callable[[Any], int]) -> None:
        """Let a caller who is refused finish speaking, within limits.

        A stream that is ended while its caller is still sending looks to grpc.aio's client like a bug of its own
        (INTERNAL), and the reason is lost.
        """
        if self._hearing.locked():
            return
        room = HEARD_BYTES
        async with self._hearing:
            with contextlib.suppress(TimeoutError, DecodeError):
                async with asyncio.timeout(HEARD_SECONDS):
                    async for message in requests:
                        room -= size(message)
                        if room < 0:
                            return

    def _guarded(self, handler: Any, visit: Visit) -> Any:
        kind = next(name for name in _KINDS if getattr(handler, name) is not None)
        if handler.request_streaming:
            guard: Callable[[Any, Visit], Any] = self._guard_upload
        else:
            guard = _guard_stream if handler.response_streaming else _guard_one
        return handler._replace(**{kind: guard(getattr(handler, kind), visit)})

    def _guard_upload(
        self, behaviour: Callable[[AsyncIterator[Any], Context], Awaitable[Any]], visit: Visit
    ) -> Callable[[AsyncIterator[Any], Context], Awaitable[Any]]:
        async def call(requests: AsyncIterator[Any], context: Context) -> Any:
            try:
                visit.begin(context.peer())
                reply = await behaviour(_listening(requests, visit), context)
                visit.end(reply)
                return reply
            except BaseException as error:
                if _is_refusal(error, visit):
                    await self._hear_out(requests, lambda message: int(message.ByteSize()))
                    await abort(context, error)
                raise

        return call


_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def _guard_one(
    behaviour: Callable[[Any, Context], Awaitable[Any]], visit: Visit
) -> Callable[[Any, Context], Awaitable[Any]]:
    async def call(request: Any, context: Context) -> Any:
        try:
            visit.begin(context.peer())
            visit.asks(request)
            reply = await behaviour(request, context)
            visit.end(reply)
            return reply
        except BaseException as error:
            if _is_refusal(error, visit):
                await abort(context, error)
            raise

    return call


def _guard_stream(
    behaviour: Callable[[Any, Context], AsyncGenerator[Any, None]], visit: Visit
) -> Callable[[Any, Context], AsyncIterator[Any]]:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            visit.begin(context.peer())
            visit.asks(request)
            async with contextlib.aclosing(behaviour(request, context)) as messages:
                async for message in messages:
                    visit.stays()
                    yield message
            visit.end(None)
        except BaseException as error:
            if _is_refusal(error, visit):
                await abort(context, error)
            raise

    return call


async def _listening(requests: AsyncIterator[Any], visit: Visit) -> AsyncIterator[Any]:
    """What a caller sends, as long as they may and something comes."""
    first = True
    while True:
        try:
            async with asyncio.timeout(visit.patience):
                message = await anext(requests, None)
        except TimeoutError:
            hint = "ask how far the upload is, and go on from there"
            raise SilentError(f"nothing has come for {visit.patience:g} seconds", hint=hint) from None
        if message is None:
            return
        if first:
            visit.asks(message)
            first = False
        visit.stays()
        yield message


def _is_refusal(error: BaseException, visit: Visit) -> TypeGuard[Exception]:
    """Note how an rpc ended that did not end well; whether that is still to be said to its caller."""
    if isinstance(error, aio.AbortError):
        return False
    visit.failed(error)
    return isinstance(error, Exception)
