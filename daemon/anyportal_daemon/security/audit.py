"""The audit log: who did what, from where, and what came of it. One JSON object a line in ``audit.jsonl``.

Calls only put a record into a queue; a thread writes. A disk that refuses costs records, never calls. That some are
lost is told in the daemon's log at once, and how many in the audit log as soon as it can be written again.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

FILE = "audit.jsonl"
ROTATE_BYTES = 16 * 1024 * 1024
KEPT = 9
"""Older files beside the one that is written: ``audit.jsonl.1`` is the newest of them."""

WAITING = 10_000
_TEXT = 200
_TOKEN = re.compile(r"apt_[\w-]{8,}|Bearer \S+", re.IGNORECASE)


class AuditLog:
    """Takes records from any thread, from when it is made until it is closed.

    Args:
        state: the state directory.
        rotate_bytes: a file that has reached this is put aside.
    """

    def __init__(self, state: Path, rotate_bytes: int = ROTATE_BYTES, clock: Callable[[], float] = time.time) -> None:
        self.path = state / FILE
        self._rotate_bytes, self._clock = rotate_bytes, clock
        self._queue: queue.Queue[str | None] = queue.Queue(WAITING)
        self._lost, self._told = 0, False
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def record(self, user: str, peer: str, rpc: str, target: str, result: str, count: int = 1) -> None:
        """Something was done, or refused. Never waits.

        Args:
            user: empty where nobody knows who it was.
            target: the job or the blob.
            result: ``OK``, or the status and the reason.
            count: how often, where like records stand together.
        """
        texts = {"user": user, "peer": peer, "rpc": rpc, "target": target, "result": result}
        entry = {"time": _time(self._clock()), **{key: _clean(text) for key, text in texts.items()}}
        self._put(json.dumps(entry if count == 1 else {**entry, "count": count}))

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()

    def _put(self, line: str) -> None:
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._lose(1, "more is done than can be written")

    def _run(self) -> None:
        while (lines := self._waiting()) is not None:
            if lines:
                self._write(lines)

    def _waiting(self) -> list[str] | None:
        """The records that wait; None at the end of all."""
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
        gap = json.dumps({"time": _time(self._clock()), "lost": lost}) + "\n" if lost else ""
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
            older = self.path.with_name(f"{FILE}.{number - 1}") if number > 1 else self.path
            if older.exists():
                older.replace(self.path.with_name(f"{FILE}.{number}"))

    def _lose(self, count: int, why: str) -> None:
        with self._counting:
            self._lost += count
            told, self._told = self._told, True
        if not told:
            log.error("the audit log cannot be written (%s): records are lost, calls go on: %s", why, self.path)


def _clean(text: str) -> str:
    """Short, and no token in it: what users say may hold one by mistake."""
    return _TOKEN.sub("[token]", text)[:_TEXT]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
