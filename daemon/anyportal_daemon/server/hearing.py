"""What callers send, taken in a few messages at a time: one that does not come to its end takes room until it does.

gRPC has one limit for the messages of all rpcs, and makes room for a whole message as soon as it has begun. So the
daemon asks it only for as many at once as there is room for; of the others gRPC takes what it reads ahead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any
from weakref import WeakValueDictionary

from google.protobuf.message import DecodeError

from anyportal_daemon.errors import MessageError, SilentError
from anyportal_daemon.security.scopes import MANIFESTS, MESSAGE

JOBS, REQUESTS, PIECES = 2, 4, 6
"""Messages of one user that are taken in at the same time: new jobs, which are large; other requests; those of uploads
and of other streams."""

MOST_OF_A_USER = (JOBS + REQUESTS + PIECES) * MANIFESTS
"""Bytes of all of them: what gRPC takes of a small rpc's message may be as large as of the largest."""

Ear = AbstractAsyncContextManager[Any]
"""Held while a message is taken in."""


class Ears:
    """Those of all users. The others of a user wait meanwhile; other users do not."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = WeakValueDictionary()

    def of(self, user: str, most: int, streaming: bool) -> Ear:
        """The ear for a user's messages of one kind; the caller holds on to it.

        Args:
            most: bytes that the rpc's messages may have.
            streaming: more than one may come.
        """
        places = PIECES if streaming else JOBS if most > MESSAGE else REQUESTS
        ear = self._known.get((user, places))
        if ear is None:
            ear = self._known[user, places] = asyncio.Semaphore(places)
        return ear


NO_EAR: Ear = nullcontext()
"""Of somebody who may say any number of things at once."""


async def heard(requests: AsyncIterator[bytes], decode: Callable[[bytes], Any], most: int, patience: float) -> Any:
    """The next message, decoded; None at the end.

    Raises:
        SilentError: it has not come whole within ``patience`` seconds.
        MessageError: it is too large, or no message of this rpc.
    """
    try:
        async with asyncio.timeout(patience):
            data = await anext(requests, None)
    except TimeoutError:
        hint = "ask how far the upload is, and go on from there"
        raise SilentError(f"nothing has come for {patience:g} seconds", hint=hint) from None
    if data is None:
        return None
    if len(data) > most:
        raise MessageError(f"a message of {len(data)} bytes", hint=f"send at most {most} at once")
    try:
        return decode(data)
    except DecodeError:
        hint = "update the client, or the daemon"
        raise MessageError("the bytes are no message of this rpc", hint=hint) from None
