"""Wishes to end a call: Ctrl-C, a signal, or standard input.

With --json, `{"cancel": true}` on standard input asks for the end, and so does its end of file: a host that crashed
wants nothing more. That holds where standard input is a pipe or a socket that somebody holds open. A terminal, a
file, the null device, a closed one, or a pipe that is at its end when the command starts (as cron gives it) says
nothing. `--stdin-cancel` and `--no-stdin-cancel` overrule this.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import stat
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from anyportal_client.errors import Cancelled

T = TypeVar("T")

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


class Wish:
    """Becomes true when somebody wishes the end."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def make(self) -> None:
        """Wish the end; from any thread, or a signal handler."""
        self._loop.call_soon_threadsafe(self._event.set)

    async def unless(self, work: Coroutine[Any, Any, T], instead: Callable[[], Coroutine[Any, Any, None]]) -> T:
        """Do some work; when the wish comes first, do something else about it, which may raise to end the work."""
        task, wish = asyncio.ensure_future(work), asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({task, wish}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await instead()
            return await task
        finally:
            for each in (task, wish):
                each.cancel()
            await asyncio.gather(task, wish, return_exceptions=True)


@contextmanager
def wishes(listen: bool, leave: Callable[[], None]) -> Iterator[Wish]:
    """Listen for wishes; a second signal leaves at once, after calling `leave`.

    Args:
        listen: whether standard input may speak.
    """
    wish = Wish()
    made = False

    def on_signal(number: int, frame: object) -> None:
        nonlocal made
        if made:
            leave()
            os._exit(Cancelled.exit_code)
        made = True
        wish.make()

    # What was told to be ignored (nohup, a job in the background of a script) stays ignored.
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in heard}
    if listen:
        threading.Thread(target=_read_stdin, args=(wish.make,), daemon=True).start()
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stdin_speaks(wanted: bool | None, as_json: bool) -> bool:
    """Whether to listen to standard input; `wanted` is what the user said about it."""
    if sys.stdin is None or sys.stdin.closed or wanted is False:
        return False
    return wanted or (as_json and _is_held_open())


def _is_held_open() -> bool:
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except OSError:  # closed, or replaced by something that is no file
        return False
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return False
    return os.name == "nt" or not _at_end(descriptor)


def _at_end(descriptor: int) -> bool:
    """Whether nobody is left who could write to a pipe."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _read_stdin(make: Callable[[], None]) -> None:
    pending = b""
    # Not through sys.stdin: a thread that waits inside it would hold its lock when the process ends.
    while chunk := _read(sys.stdin.fileno()):
        *lines, pending = (pending + chunk).split(b"\n")
        if any(map(_says_cancel, lines)):
            break
    make()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


def _says_cancel(line: bytes) -> bool:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("cancel") is True
