"""Where stage results are kept, so that only what changed runs again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from anyportal_core.errors import storage_error


class StageCache(Protocol):
    """Stage results by key. A key names everything that decides the result, so an entry never changes."""

    def find(self, key: str) -> Path | None:
        """The file kept under ``key``, or None."""
        ...

    def writing(self, key: str) -> AbstractContextManager[Path]:
        """A path to write the result for ``key`` to; kept on a clean exit, dropped on an error.

        Raises:
            DiskFullError, StorageError: the disk refused.
        """
        ...

    def drop(self, key: str) -> None:
        """Forget what is kept under ``key``, which turned out to be damaged."""
        ...


class DirectoryCache:
    """Stage results as files of one folder, written aside and then renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, key: str) -> Path | None:
        path = self._path(key)
        return path if path.exists() else None

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        aside = path.with_name(f"{path.name}.{uuid4().hex}.part")
        try:
            yield aside
            with aside.open("rb") as written:
                os.fsync(written.fileno())  # a name must not survive a power cut that its bytes do not
            aside.replace(path)
        except OSError as error:
            raise storage_error(error, aside) from error
        finally:
            aside.unlink(missing_ok=True)

    def drop(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.h5"
