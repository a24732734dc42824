"""Digests of large files, remembered from one process to the next: reading tens of gigabytes takes minutes."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

LARGE: Final = 2**24
"""Bytes. Smaller files are read anew by every process: that is as fast as looking them up."""

MOST: Final = 1000
"""Files that are remembered; of more, those that were read last."""

Known = dict[str, tuple[int, int, str]]
"""By absolute path: size, time of change in nanoseconds, SHA-256."""


class FileDigests:
    """SHA-256 of files. A file is read again when its size or its time of change is another.

    Args:
        memory: where they are remembered; nothing is said where it cannot be read or written, since all that is lost
            is time.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: Known | None = None

    def of(self, file: Path, checkpoint: Callable[[], None] = lambda: None) -> str:
        """The digest of a file, in hexadecimal.

        Args:
            checkpoint: called every few megabytes; may raise to stop.

        Raises:
            OSError: it cannot be read.
        """
        known = self._recall()
        size, changed = _state(file)
        entry = known.get(str(file))
        if entry is not None and entry[:2] == (size, changed):
            return entry[2]
        digest = _read(file, checkpoint)
        if _state(file) == (size, changed):  # else somebody was writing to it
            known.pop(str(file), None)
            known[str(file)] = size, changed, digest
            if size >= LARGE:
                self._remember()
        return digest

    def _recall(self) -> Known:
        if self._known is None:
            self._known = self._stored()
        return self._known

    def _stored(self) -> Known:
        try:
            stored = json.loads(self._memory.read_text("utf-8"))
            return {str(file): (int(size), int(changed), str(sha)) for file, (size, changed, sha) in stored.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _remember(self) -> None:
        """Write down what is known of large files, beside what other processes have written meanwhile."""
        large = {file: entry for file, entry in self._recall().items() if entry[0] >= LARGE}
        entries = list((self._stored() | large).items())[-MOST:]
        aside = self._memory.with_name(f"{self._memory.name}.{uuid4().hex}.part")
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(json.dumps(dict(entries), indent=0), "utf-8")
            aside.replace(self._memory)
        except OSError:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)


def _state(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def _read(file: Path, checkpoint: Callable[[], None]) -> str:
    total = hashlib.sha256()
    with file.open("rb", buffering=0) as opened:
        while block := opened.read(LARGE):
            total.update(block)
            checkpoint()
    return total.hexdigest()
