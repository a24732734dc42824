"""A file of lines that a thread writes, so that nobody waits for it. It is put aside when it is large, and the oldest
file goes.

A disk that refuses costs lines, never calls. That some are lost is told in the daemon's log at once, and how many in
the file as soon as it can be written again.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

KEPT = 9
"""Older files beside the one that is written: with ``.1`` behind its name the newest of them."""

WAITING = 10_000
"""Lines that wait to be written at most."""


class Ledger:
    """Takes lines from any thread, from when it is made until it is closed.

    Args:
        rotate_bytes: a file that has reached this is put aside.
    """

    def __init__(self, path: Path, rotate_bytes: int, clock: Callable[[], float]) -> None:
        self.path = path
        self._rotate_bytes, self._clock = rotate_bytes, clock
        self._queue: queue.Queue[str | None] = queue.Queue(WAITING)
        self._lost, self._told = 0, False
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=path.stem, daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Never waits."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._lose(1, "more is done than can be written")

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (lines := self._waiting()) is not None:
            if lines:
                self._write(lines)

    def _waiting(self) -> list[str] | None:
        """The lines that wait; None at the end of all."""
        line = self._queue.get()
        if line is None:
            return None
        lines = [line]
        while not self._queue.empty() and len(lines) < WAITING:
            line = self._queue.get()
            if line is None:
                self._queue.put(None)  # after these
                break
            lines.append(line)
        return lines

    def _write(self, lines: list[str]) -> None:
        with self._counting:
            lost = self._lost
        gap = json.dumps({"time": stamp(self._clock()), "lost": lost}) + "\n" if lost else ""
        try:
            self._append(gap + "".join(f"{line}\n" for line in lines))
        except OSError as error:
            self._lose(len(lines), error.strerror or str(error))
        else:
            with self._counting:
                self._lost -= lost  # more may have been lost meanwhile
                self._told = self._lost > 0

    def _append(self, text: str) -> None:
        # Opened for each batch: whoever puts the file aside by hand gets a new one.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            before, data = file.seek(0, os.SEEK_END), text.encode()
            if file.write(data) != len(data):
                file.truncate(before)  # half a line would spoil the next one
                raise OSError("the disk is full")
            full = before + len(data) >= self._rotate_bytes
        if full:
            self._rotate()

    def _rotate(self) -> None:
        for number in range(KEPT, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{number}"))

    def _lose(self, count: int, why: str) -> None:
        with self._counting:
            self._lost += count
            told, self._told = self._told, True
        if not told:
            log.error("the audit log cannot be written (%s): records are lost, calls go on: %s", why, self.path)


def stamp(seconds: float) -> str:
    """A time since 1970, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
