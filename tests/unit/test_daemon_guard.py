"""Replies to whoever is no longer there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from grpc import aio

from anyportal_daemon.server.guard import _send


class HungUp:
    """The context of a call whose caller is gone, before the daemon has been told."""

    async def write(self, reply: Any) -> None:
        raise aio.InternalError('Failed "execute_batch"')


def test_a_reply_that_nobody_takes_ends_the_call_and_is_no_bug() -> None:
    async def reply() -> None:
        with pytest.raises(asyncio.CancelledError):
            await _send(HungUp(), b"reply")  # type: ignore[arg-type]

    asyncio.run(reply())
