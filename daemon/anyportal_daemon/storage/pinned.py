"""Folders held open: what is read of one stays in that folder, whatever is renamed above it meanwhile."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO


class PinnedFolder:
    """A folder by its descriptor; its files are reached from there, and no link in it is followed.

    On Linux alone: elsewhere nothing leads to a file by way of an open folder, and it is known by its path.

    Args:
        path: absolute and without links; each step is opened from the one before.

    Raises:
        OSError: it is gone, or a step is a link by now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _descend(path) if sys.platform == "linux" else None

    def status(self, name: str) -> os.stat_result:
        """What the folder says of a file; OSError where it is gone, or no plain file."""
        status = os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no plain file", name)
        return status

    def open(self, name: str) -> BinaryIO:
        """Raises OSError, as ``status``."""
        self.status(name)  # a pipe would have its reader wait for ever
        return open(self._at(name), "rb", opener=self._opened)

    def link(self, name: str) -> Path:
        """Where this process, as long as the folder is held, opens a file."""
        return self._path / name if self._descriptor is None else Path(f"/proc/self/fd/{self._descriptor}", name)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _at(self, name: str) -> str:
        return str(self._path / name) if self._descriptor is None else name

    def _opened(self, path: str, flags: int) -> int:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), dir_fd=self._descriptor)


def _descend(path: Path) -> int:
    """The descriptor of a folder, to which no link leads. It need not be readable, as a path's folders need not be."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
    descriptor = os.open(path.anchor, flags)
    for part in path.parts[1:]:
        try:
            below = os.open(part, flags, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor
