"""A daemon in this process, from its options to a signal that ends it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from anyportal_core.errors import AnyPortalError as AnyPortalError
from anyportal_core.errors import StorageError
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Config, default_file, load
from anyportal_daemon.errors import AddressInUseError, StartError, StateInUseError
from anyportal_daemon.notify import notify
from anyportal_daemon.upkeep import Upkeep

log = logging.getLogger(__name__)

_EXIT_CODES: dict[type[AnyPortalError], int] = {
    AddressInUseError: 5,
    StateInUseError: 5,
    StartError: 2,
    StorageError: 7,
    AnyPortalError: 1,
}


def exit_code(error: AnyPortalError) -> int:
    """The exit code of a daemon that could not start."""
    return next(_EXIT_CODES[base] for base in type(error).__mro__ if base in _EXIT_CODES)


def run(
    config: Path | None,
    listen: str | None,
    state: Path | None,
    announce: Callable[[dict[str, object]], None],
    stop_with_stdin: bool,
    debug: bool,
) -> None:
    """Serve until SIGINT or SIGTERM (or the end of standard input), or until a drain (SIGUSR1) has come to its end.

    SIGHUP reads the configuration again.

    Raises:
        AnyPortalError: it cannot start.
    """
    os.umask(0o077)  # nobody else on this machine reads what users send
    gc.freeze()  # what was imported stays, and to look for garbage in it held everybody up for ten milliseconds
    sys.setswitchinterval(0.001)  # whoever answers a client never waits long for a thread that reckons
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    def read() -> Config:
        return load(config or default_file(), listen, state)

    asyncio.run(_serve(read, announce, stop_with_stdin))


async def _serve(
    read: Callable[[], Config], announce: Callable[[dict[str, object]], None], stop_with_stdin: bool
) -> None:
    stop = asyncio.Event()
    for name in ("SIGINT", "SIGTERM"):
        _on_signal(name, stop.set)
    hands = _Hands(read, stop)
    _on_signal("SIGHUP", hands.reload)  # before anybody can know the process, which they would end
    _on_signal("SIGUSR1", hands.drain)
    config = read()
    async with daemon(config) as served:
        if stop_with_stdin:
            _stop_at_end_of_input(stop)
        hands.take(served.upkeep)
        announce(
            {
                "address": served.address,
                "lan": served.lan,
                "pid": served.pid,
                "version": served.version,
                "state": str(config.state),
                "devices": list(config.worker.devices) or "auto",
            }
        )
        notify("READY=1", f"STATUS=serves on {served.lan or served.address}")
        await stop.wait()
        notify("STOPPING=1")
        hands.close()


class _Hands:
    """What signals ask of a daemon, done once it serves. Used on its event loop."""

    def __init__(self, read: Callable[[], Config], stop: asyncio.Event) -> None:
        self._read, self._stop = read, stop
        self._upkeep: Upkeep | None = None
        self._asked: list[Callable[[], None]] = []
        """Before it served."""
        self._draining: asyncio.Task[None] | None = None

    def take(self, upkeep: Upkeep) -> None:
        """The daemon serves."""
        self._upkeep = upkeep
        for ask in self._asked:
            ask()

    def reload(self) -> None:
        """Read the configuration again. What is wrong with it is told, and changes nothing."""
        if self._upkeep is None:
            self._asked.append(self.reload)
            return
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            self._upkeep.reload(self._read())
        except AnyPortalError as error:
            log.error("the configuration stays as it was: %s", error)
        notify("READY=1")

    def drain(self) -> None:
        """Take no new jobs, and stop when those that run have ended."""
        if self._upkeep is None:
            self._asked.append(self.drain)
        elif self._draining is None:
            notify("STATUS=draining")
            self._draining = asyncio.create_task(self._drain(self._upkeep))

    async def _drain(self, upkeep: Upkeep) -> None:
        await upkeep.drain()
        self._stop.set()

    def close(self) -> None:
        if self._draining is not None:
            self._draining.cancel()


def _on_signal(name: str, call: Callable[[], None]) -> None:
    number = getattr(signal, name, None)  # Windows has few of them
    if number is None:
        return
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(number, call)
    except NotImplementedError:  # Windows
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(call))


def _stop_at_end_of_input(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):  # not the buffered reader: it is locked when Python ends
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="stdin", daemon=True).start()
