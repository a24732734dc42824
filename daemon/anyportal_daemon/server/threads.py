"""Threads that work for rpcs: whoever is cancelled waits for theirs, so no more are at work than there are calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from anyportal_core.errors import Cancelled
from anyportal_daemon.errors import StoppingError
from anyportal_daemon.storage.checkpoints import checked_by

OF_A_USER = 4
"""Pieces of slow work of one user that are done at the same time; further ones wait."""

THREADS = 64
"""For slow work: those of so many users that hardly anybody waits for others."""

Given = ParamSpec("Given")
Made = TypeVar("Made")


async def in_thread(work: Callable[Given, Made], *args: Given.args, **kwargs: Given.kwargs) -> Made:
    """``asyncio.to_thread``, but never over before the thread is, cancelled or not. For what is done in a moment."""
    whole = partial(copy_context().run, work, *args, **kwargs)
    return await _to_its_end(asyncio.get_running_loop().run_in_executor(None, whole))


class SlowWork:
    """What may take minutes, in threads of its own: whatever is done in a moment never waits for it.

    It ends at its next checkpoint when nobody waits for it any more, and when the daemon stops. Used on one event loop.
    """

    def __init__(self, threads: int = THREADS, of_a_user: int = OF_A_USER) -> None:
        self._threads = ThreadPoolExecutor(threads, "slow work")
        self._of_a_user = of_a_user
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._closed = False

    async def run(self, user: str, work: Callable[Given, Made], *args: Given.args, **kwargs: Given.kwargs) -> Made:
        """Work for a user; cancelled, over only when the thread is.

        Raises:
            StoppingError: the daemon stops.
        """
        left = threading.Event()

        def check() -> None:
            if self._closed:
                raise StoppingError("the daemon is stopping", hint="call again when it is back")
            if left.is_set():
                raise Cancelled("nobody waits for it")

        async with self._turn(user):
            check()
            whole = partial(copy_context().run, _checked, check, partial(work, *args, **kwargs))
            return await _to_its_end(asyncio.get_running_loop().run_in_executor(self._threads, whole), left.set)

    def _turn(self, user: str) -> asyncio.Semaphore:
        turn = self._turns.get(user)
        if turn is None:
            turn = self._turns[user] = asyncio.Semaphore(self._of_a_user)
        return turn

    def close(self) -> None:
        """The daemon stops: what is being done ends at its next checkpoint, and nothing is begun."""
        self._closed = True
        self._threads.shutdown(wait=False)


def _checked(check: Callable[[], None], work: Callable[[], Made]) -> Made:
    check()  # it may have waited for a thread
    with checked_by(check):
        return work()


async def _to_its_end(future: asyncio.Future[Made], left: Callable[[], None] = lambda: None) -> Made:
    """What a thread makes; who is cancelled says so by ``left``, and waits until it is over."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        left()
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # nobody is left to be told
        raise
