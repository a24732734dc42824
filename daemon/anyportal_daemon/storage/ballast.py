"""Room kept back on the state's disk, so that the end of a job can be written down when the disk is full."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

SIZE = 2 * 1024 * 1024
"""Bytes; of a small disk a sixteenth."""

PORTION = 256 * 1024
"""Bytes given up at a time: whoever filled the disk may take them first."""


class Ballast:
    """A file of no meaning. What must be written on a full disk takes its place. Safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"
        self._lock = threading.Lock()

    def hold(self) -> bool:
        """Have all of it, made anew where there is room again; says whether it is there."""
        with self._lock:
            try:
                disk = shutil.disk_usage(self._path.parent)
                size = min(SIZE, disk.total // 16)
                if self._size() >= size:
                    return True
                if disk.free < 2 * size:
                    return False
                self._path.write_bytes(os.urandom(size))  # zeros take no room where the file system packs them
            except OSError:
                return False
            return True

    def drop(self) -> bool:
        """Give a portion of its room to whoever writes next; says whether there was any."""
        with self._lock:
            try:
                left = self._size() - PORTION
                if left > 0:
                    os.truncate(self._path, left)
                else:
                    self._path.unlink()
            except OSError:
                return False
            return True

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0
