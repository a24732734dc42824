"""One worker child as the daemon sees it: a process and a pipe."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import cast

from anyportal_daemon.errors import MemoryLimitError
from anyportal_daemon.worker.limits import GIGABYTE
from anyportal_daemon.worker.messages import Beat, FromChild, Stop, ToChild, WorkerSetup

TICK = 0.2
"""Seconds between two looks at whether a message is still to be sent."""

ChildMain = Callable[[Connection, WorkerSetup], None]


class ChildLostError(Exception):
    """The child is dead; the text says how it ended."""


class ChildTooLargeError(ChildLostError):
    """The child took too much memory and was killed; ``error`` is for the job that it had."""

    def __init__(self, error: MemoryLimitError) -> None:
        super().__init__(f"killed, since {error.message}")
        self.error = error


class ChildProcess:
    """A spawned child. Used by one thread."""

    def __init__(self, main: ChildMain, setup: WorkerSetup) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy gRPC's threads and locks half
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs, setup), name="anyportal-worker", daemon=True)
        self._process.start()
        theirs.close()
        self._limits, self._most_memory = setup.limits, setup.limits.most_memory(setup.share)
        self._last_beat: float | None = None
        self.memory_bytes = 0
        """What it said last that it takes of the machine's memory."""
        self.beat_at = 0.0
        """When it last gave a sign of life, in seconds since 1970; 0: not yet."""

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        return not self._pipe.closed and self._process.is_alive()

    def send(self, message: ToChild, is_due: Callable[[], bool] = lambda: False, tick: float = TICK) -> None:
        """Hand a message over; a long one takes until it is read.

        Args:
            is_due: asked every ``tick`` seconds whether there is no more time for it.

        Raises:
            ChildLostError: there is nobody to read it, or nobody did and the child was killed.
        """
        refused: list[OSError] = []

        def push() -> None:
            try:
                self._pipe.send(message)
            except OSError as error:
                refused.append(error)

        begun, most = time.monotonic(), self._limits.heartbeat_seconds
        pushing = threading.Thread(target=push, name="pipe to the worker", daemon=True)
        pushing.start()
        while pushing.is_alive() and time.monotonic() - begun < most and not is_due():
            pushing.join(min(tick, most))
        if pushing.is_alive():
            self._process.kill()
            pushing.join()
            self.kill()
            raise ChildLostError(f"killed, since it took no message for {time.monotonic() - begun:.1f} s")
        if refused:
            raise self.lost()

    def receive(self, patience: float) -> FromChild | None:
        """The next message but for signs of life; None after ``patience`` seconds without one.

        Raises:
            ChildLostError: the child is dead and everything it said was read, or it was killed since it gave no sign of
                life, or took too much memory.
        """
        deadline = time.monotonic() + patience
        while isinstance(message := self._read(deadline - time.monotonic()), Beat):
            self._note(message)
        if message is None:
            self._check_beat()
        return message

    def check(self) -> None:
        """Look after a child that has nothing to do: read what it said of itself.

        Raises:
            ChildLostError: as `receive`.
        """
        if not self.alive:
            raise self.lost()
        self.receive(0)

    def _note(self, beat: Beat) -> None:
        self._last_beat, self.beat_at, self.memory_bytes = time.monotonic(), time.time(), beat.memory_bytes
        most = self._most_memory
        if most is not None and beat.memory_bytes > most:
            self.kill()
            raise ChildTooLargeError(
                MemoryLimitError(
                    f"it took {beat.memory_bytes / GIGABYTE:.1f} GB of the machine's memory: "
                    f"{most / GIGABYTE:.4g} GB are allowed",
                    hint="lower work.long_side, or raise worker.memory_gigabytes in the daemon's configuration",
                )
            )

    def _check_beat(self) -> None:
        """Kill a child whose last sign of life is too long ago. One that has given none yet is still starting."""
        most = self._limits.heartbeat_seconds
        if self._last_beat is not None and time.monotonic() - self._last_beat > most:
            self.kill()
            raise ChildLostError(f"killed, since it gave no sign of life for {most:g} s")

    def _read(self, patience: float) -> FromChild | Beat | None:
        if not wait([self._pipe, self._process.sentinel], max(patience, 0)):
            return None
        try:
            if self._pipe.poll():
                return cast(FromChild | Beat, self._pipe.recv())
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
