"""Alphas that wait for their turn on disk, so that memory does not grow with the shot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from types import TracebackType

import numpy as np

from anyportal_core.errors import storage_error
from anyportal_core.frames import Image

_IN_MEMORY = 32 << 20


class Pile:
    """Alphas ``(H, W)`` put on one by one and taken off last to first; 8 bits a pixel."""

    def __init__(self, height: int, width: int) -> None:
        self._shape = (height, width)
        self._count = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115

    def __enter__(self) -> Pile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def push(self, alpha: Image) -> None:
        """Put one on.

        Raises:
            DiskFullError, StorageError: the disk of temporary files refused.
        """
        try:
            self._file.write(np.rint(alpha * 255).astype(np.uint8).tobytes())
        except OSError as error:
            raise storage_error(error, tempfile.gettempdir()) from error
        self._count += 1

    def unpile(self) -> Iterator[Image]:
        """All of them, last to first."""
        for index in reversed(range(self._count)):
            yield self.read(index)

    def read(self, index: int) -> Image:
        """The one that was put on after ``index`` others."""
        height, width = self._shape
        self._file.seek(index * height * width)
        levels = np.frombuffer(self._file.read(height * width), np.uint8)
        return levels.reshape(self._shape) * np.float32(1 / 255)
