"""The shelves on disk: every item is a file, and its modification time says when it was last used."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection, Container, Generator, Iterator
from contextlib import suppress
from pathlib import Path

from anyportal_core.errors import StorageError
from anyportal_core.seal import sound
from anyportal_daemon.database import file_errors
from anyportal_daemon.storage.files import BlobFiles
from anyportal_daemon.storage.possessions import Possessions
from anyportal_daemon.storage.shelf import SEALED, Item, Kind, Total

STEP = 4 * 1024 * 1024
"""Bytes hashed between two reports."""

_TOGETHER = 256
"""Evicted blobs that are written down at once."""


class BlobShelf:
    """Whole blobs. To evict one takes it from everybody who has it.

    Args:
        lock: held while bytes and possession change together.
        held_since: since when somebody relies on bytes to stay, in nanoseconds since 1970; one for each.
    """

    kind: Kind = "blob"

    def __init__(
        self, files: BlobFiles, possessions: Possessions, lock: threading.Lock, held_since: Collection[int]
    ) -> None:
        self._files, self._possessions, self._lock, self._held_since = files, possessions, lock, held_since
        self._gone: set[str] = set()
        """Evicted, and not yet written down as that: one alone is not worth a transaction."""

    def total(self) -> Total:
        with self._lock:
            self._write_down()
        return self._possessions.total()

    def items(self, but: Container[str] = ()) -> list[Item]:
        names = self._possessions.names()
        entries = self._files.entries()
        with self._lock:
            self._gone.update(names - entries.keys())
        found = ((name, _stat(entries[name])) for name in names & entries.keys() if name not in but)
        return [Item(name, stat.st_size, stat.st_mtime_ns) for name, stat in found if stat]

    def evict(self, item: Item) -> bool:
        path = self._files.path(item.name)
        with self._lock:
            stat = _stat(path)
            relied_on = bool(self._held_since) and item.used >= min(self._held_since)
            if stat is None or stat.st_mtime_ns != item.used or relied_on:
                return False
            # The bytes first, since on a full disk nothing can be written down before. Without them a blob is missing.
            self._files.delete(item.name)
            self._gone.add(item.name)
            if len(self._gone) >= _TOGETHER:
                self._write_down()
        return True

    def _write_down(self) -> None:
        """Take from everybody what is gone, unless it has come again; the lock is held."""
        if self._gone:
            with suppress(StorageError):  # later, when the disk has room
                self._possessions.forget(name for name in self._gone if _stat(self._files.path(name)) is None)
                self._gone.clear()

    def verify(self, item: Item) -> Generator[int, None, bool]:
        path, hasher = self._files.path(item.name), hashlib.sha256()
        with file_errors(path):
            try:
                with path.open("rb") as file:
                    hashed = os.fstat(file.fileno()).st_ino
                    while data := file.read(STEP):
                        hasher.update(data)
                        yield len(data)
            except FileNotFoundError:  # evicted meanwhile
                return True
        return hasher.hexdigest() == item.name or not self._remove(item.name, hashed)

    def _remove(self, name: str, hashed: int) -> bool:
        """Remove damaged bytes; False where others have taken their place."""
        with self._lock:
            stat = _stat(self._files.path(name))
            if stat is None or stat.st_ino != hashed:
                return False
            self._files.delete(name)
            self._possessions.forget([name])
        return True

    def lost(self) -> list[Item]:
        with self._lock:
            sizes = self._possessions.sizes()
            gone = [Item(name, size, 0) for name, size in sizes.items() if _stat(self._files.path(name)) is None]
            self._possessions.forget([item.name for item in gone])
        return gone


class _Folder:
    """Items that are the files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def total(self) -> Total:
        found = self.items()
        return Total(len(found), sum(item.size for item in found))

    def items(self, but: Container[str] = ()) -> list[Item]:
        paths = ((path.relative_to(self._root).as_posix(), path) for path in _files(self._root))
        found = ((name, _stat(path)) for name, path in paths if name not in but)
        return [Item(name, stat.st_size, stat.st_mtime_ns) for name, stat in found if stat]

    def lost(self) -> list[Item]:
        return []

    def _delete(self, item: Item) -> bool:
        path = self._root / item.name
        stat = _stat(path)
        if stat is None or stat.st_mtime_ns != item.used:
            return False
        with file_errors(path):
            path.unlink(missing_ok=True)
        return True


class UploadShelf(_Folder):
    """Uploads that have begun. What has come of them is checked when the last byte is there, not before.

    Args:
        lock: held while an upload is opened or closed.
        busy: those that are open.
    """

    kind: Kind = "upload"

    def __init__(self, root: Path, lock: threading.Lock, busy: Collection[Path]) -> None:
        super().__init__(root)
        self._lock, self._busy = lock, busy

    def evict(self, item: Item) -> bool:
        with self._lock:
            return self._root / item.name not in self._busy and self._delete(item)

    def verify(self, item: Item) -> Generator[int, None, bool]:
        yield item.size
        return True


class StageShelf(_Folder):
    """Stage results, which worker children write and read. An evicted one is computed again when it is needed."""

    kind: Kind = "stage"

    def evict(self, item: Item) -> bool:
        return self._delete(item)

    def verify(self, item: Item) -> Generator[int, None, bool]:
        path = self._root / item.name
        yield item.size
        with file_errors(path):
            try:
                good = not path.name.endswith(SEALED) or sound(path)
            except FileNotFoundError:  # evicted meanwhile
                return True
            if not good:
                path.unlink(missing_ok=True)
        return good


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in names:
            yield Path(folder, name)


def _stat(path: Path | os.DirEntry[str]) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
