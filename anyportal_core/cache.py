"""Where stage results are kept, so that only what changed runs again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from anyportal_core.errors import storage_error
from anyportal_core.seal import seal, sound

log = logging.getLogger(__name__)


class StageCache(Protocol):
    """Stage results by key. A key names everything that decides the result, so an entry never changes."""

    def find(self, key: str, damaged: Callable[[], None] = ...) -> Path | None:
        """The file kept under ``key``, or None. Counts as a use.

        What is damaged is dropped, never given, and ``damaged`` is called.
        """
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
    """Stage results as files of one folder, written aside, sealed and then renamed.

    A file's modification time is when it was last used: by it the daemon knows what nobody has used for longest.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = ""
        """The key just written: its bytes need not be hashed again to be read back."""
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, key: str, damaged: Callable[[], None] = lambda: None) -> Path | None:
        path = self._path(key)
        trusted, self._written = key == self._written, ""
        try:
            os.utime(path)  # before it is read, so that it is not evicted meanwhile
            if trusted or sound(path):
                return path
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("a stage result cannot be read and is computed anew: %s", error)
        else:
            log.warning("a stage result is damaged and is computed anew: %s", path.name)
        self.drop(key)
        damaged()
        return None

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        aside = path.with_name(f"{path.name}.{os.getpid()}-{uuid4().hex}.part")
        try:
            yield aside
            seal(aside)
            aside.replace(path)
            self._written = key
        except OSError as error:
            raise storage_error(error, aside) from error
        finally:
            aside.unlink(missing_ok=True)

    def drop(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.h5"
