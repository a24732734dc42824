"""Pictures at work size, kept aside while a shot is analysed: to decode a large plate for every stage anew is slow."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from anyportal_core.frames import Image

MOST = 1 << 30
"""Bytes that are kept of one shot: some 400 frames."""


class Spool:
    """Pictures of one shape by index, in a temporary file, bit for bit.

    What no longer fits, or the disk does not take, is not kept; nobody is told, as it can be made again.
    """

    def __init__(self, shape: tuple[int, ...], most: int = MOST) -> None:
        self._shape = shape
        self._size = 4 * int(np.prod(shape))
        self._room = most // self._size
        self._there: set[int] = set()
        self._file: Any = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    def fill(self, index: int, image: Image) -> bool:
        """Put the picture of an index, where it was kept, into a contiguous one of the shape; else give False."""
        if index not in self._there:
            return False
        self._file.seek(index * self._size)
        return bool(self._file.readinto(image.data) == self._size)

    def keep(self, index: int, image: Image) -> None:
        """Keep a picture of float32, while there is room."""
        if index in self._there or len(self._there) >= self._room:
            return
        try:
            self._file.seek(index * self._size)
            if self._file.write(np.ascontiguousarray(image).data) == self._size:
                self._there.add(index)
        except OSError:
            self._room = 0

    def close(self) -> None:
        self._file.close()
