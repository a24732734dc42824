"""An rpc behind the gate: its messages are heard within limits, what came of it is written down, and it ends when its
caller may no longer go on."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, NoReturn

import grpc
from grpc import aio

from anyportal_daemon.errors import MessageError
from anyportal_daemon.server.errors import abort
from anyportal_daemon.server.hearing import heard
from anyportal_daemon.server.visit import Visit

Context = aio.ServicerContext[Any, Any]
Requests = AsyncIterator[bytes]
HearOut = Callable[[Requests], Awaitable[None]]

FAREWELL = 1.0
"""Seconds in which a caller has to take the reason why a call ends; who takes nothing is cut off without it."""

_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def guarded(handler: Any, visit: Visit, hear_out: HearOut) -> Any:
    """A handler of the same rpc that asks for its messages itself. On the wire every kind of rpc is a stream."""
    guard = Guard(handler, visit, hear_out)
    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(guard.stream, None, handler.response_serializer)
    return grpc.stream_unary_rpc_method_handler(guard.answer, None, handler.response_serializer)


class Guard:
    """One rpc.

    Args:
        handler: gRPC's, of any kind.
        hear_out: lets a caller who is refused finish speaking.
    """

    def __init__(self, handler: Any, visit: Visit, hear_out: HearOut) -> None:
        self._behaviour = next(found for kind in _KINDS if (found := getattr(handler, kind)) is not None)
        self._decode = handler.request_deserializer
        self._streaming, self._replying = handler.request_streaming, handler.response_streaming
        self._visit, self._hear_out = visit, hear_out

    async def answer(self, requests: Requests, context: Context) -> Any:
        async with self._open(requests, context):
            async with self._told(requests) as request:
                reply = await self._behaviour(request, context)
            self._visit.end(reply)
            return reply

    async def stream(self, requests: Requests, context: Context) -> None:
        async with self._open(requests, context):
            async with self._told(requests) as request:
                if not inspect.isasyncgenfunction(self._behaviour):
                    await self._behaviour(request, context)
                else:
                    async with aclosing(self._behaviour(request, context)) as replies:
                        async for reply in replies:
                            with self._visit.sending():
                                await _send(context, reply)
            self._visit.end(None)

    @asynccontextmanager
    async def _told(self, requests: Requests) -> AsyncIterator[Any]:
        """What the behaviour is given: the request, or the messages as they come."""
        if self._streaming:
            async with aclosing(self._messages(requests)) as messages:
                yield messages
        elif self._replying:
            async with self._visit.ear:
                request = await self._request(requests)
            yield request
        else:
            async with self._visit.ear:  # until it is answered: what is made of a request takes several times its room
                request = await self._request(requests)
                self._visit.undisturbed()
                yield request

    async def _request(self, requests: Requests) -> Any:
        request = await self._heard(requests)
        if request is None:
            raise MessageError("the call has come without a message", hint="update the client, or the daemon")
        self._visit.asks(request)
        return request

    async def _messages(self, requests: Requests) -> AsyncGenerator[Any, None]:
        first = True
        while True:
            async with self._visit.ear:
                message = await self._heard(requests)
                if message is None:
                    return
                if first:
                    self._visit.asks(message)
                    first = False
                yield message

    async def _heard(self, requests: Requests) -> Any:
        return await heard(requests, self._decode, self._visit.most, self._visit.patience)

    @asynccontextmanager
    async def _open(self, requests: Requests, context: Context) -> AsyncIterator[None]:
        """From the rpc's beginning to its end, however it ends."""
        try:
            self._visit.begin(context.peer(), self._streaming)
            yield
        except BaseException as error:
            await self._ended(self._visit.reason(error), requests, context)
        finally:
            self._visit.close()

    async def _ended(self, error: BaseException, requests: Requests, context: Context) -> NoReturn:
        """Note how it ended that did not end well, and say so to its caller where that is still to be done."""
        self._visit.undisturbed()
        if isinstance(error, aio.AbortError):
            raise error
        self._visit.failed(error)
        if not isinstance(error, Exception):
            raise error
        if self._streaming:
            await self._hear_out(requests)
        try:
            async with asyncio.timeout(FAREWELL if self._visit.dismissed else None):
                await abort(context, error)
        except TimeoutError:  # the reason comes after what the caller does not take
            raise asyncio.CancelledError from None


async def _send(context: Context, reply: Any) -> None:
    try:
        await context.write(reply)
    except aio.InternalError:  # the caller has hung up, and the cancel is not here yet
        raise asyncio.CancelledError from None
