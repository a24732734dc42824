"""A daemon in this process, from its options to a signal that ends it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from anyportal_core.errors import AnyPortalError as AnyPortalError
from anyportal_core.errors import StorageError
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Config, load
from anyportal_daemon.errors import AddressInUseError, StartError, StateInUseError

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
    """Serve until SIGINT or SIGTERM (or the end of standard input).

    Raises:
        AnyPortalError: it cannot start.
    """
    os.umask(0o077)  # nobody else on this machine reads what users send
    gc.freeze()  # what was imported stays, and to look for garbage in it held everybody up for ten milliseconds
    sys.setswitchinterval(0.001)  # whoever answers a client never waits long for a thread that reckons
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_serve(load(config, listen, state), announce, stop_with_stdin))


async def _serve(config: Config, announce: Callable[[dict[str, object]], None], stop_with_stdin: bool) -> None:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    async with daemon(config) as announcement:
        if stop_with_stdin:
            _stop_at_end_of_input(stop)
        announce(
            {
                "address": announcement.address,
                "pid": announcement.pid,
                "version": announcement.version,
                "state": str(config.state),
                "devices": list(config.worker.devices) or "auto",
            }
        )
        await stop.wait()


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))


def _stop_at_end_of_input(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):  # not the buffered reader: it is locked when Python ends
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="stdin", daemon=True).start()
