"""One worker child as the daemon sees it: a process and a pipe."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import cast

from anyportal_daemon.worker.messages import FromChild, Stop, ToChild, WorkerSetup

ChildMain = Callable[[Connection, WorkerSetup], None]


class ChildLostError(Exception):
    """The child is dead; the text says how it ended."""


class ChildProcess:
    """A spawned child. Used by one thread."""

    def __init__(self, main: ChildMain, setup: WorkerSetup) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy gRPC's threads and locks half
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs, setup), name="anyportal-worker", daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        return not self._pipe.closed and self._process.is_alive()

    def send(self, message: ToChild) -> None:
        """Raises ChildLostError when there is nobody to read it."""
        try:
            self._pipe.send(message)
        except OSError:
            raise self.lost() from None

    def receive(self, patience: float) -> FromChild | None:
        """The next message; None after ``patience`` seconds without one.

        Raises:
            ChildLostError: the child is dead and everything it said was read.
        """
        if not wait([self._pipe, self._process.sentinel], patience):
            return None
        try:
            if self._pipe.poll():
                return cast(FromChild, self._pipe.recv())
        except (EOFError, OSError):
            pass
        raise self.lost()

    def stop(self, patience: float) -> None:
        """Let an idle child end by itself."""
        try:
            self._pipe.send(Stop())
            self._process.join(patience)
        except OSError:
            pass  # dead already

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def lost(self) -> ChildLostError:
        """Says how a child ended that is dead, or about to be."""
        self._process.join(5)
        return ChildLostError(_ending(self._process.exitcode))


def _ending(code: int | None) -> str:
    if code is None:
        return "it closed its pipe"
    if code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    return f"exit code {code}"
