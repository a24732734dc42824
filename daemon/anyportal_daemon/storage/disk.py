"""The blob store on disk: files by digest, partial uploads by user, possession in SQLite."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from anyportal_core.errors import StorageError
from anyportal_daemon.database import Database, file_errors
from anyportal_daemon.errors import (
    BlobCorruptError,
    BlobError,
    BlobNotFoundError,
    DigestError,
    UploadBusyError,
    UploadOffsetError,
)
from anyportal_daemon.storage.blobs import AGAIN, BlobId
from anyportal_daemon.storage.files import BlobFiles, hash_start

_MIGRATIONS = (
    """
    CREATE TABLE possessions (
        user TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (user, sha256)
    ) WITHOUT ROWID;
    CREATE INDEX possessions_of_blob ON possessions (sha256)
    """,
)


class DiskBlobStore:
    """Blobs below ``root``: ``blobs/`` (bytes), ``uploads/`` (partial files), ``blobs.db`` (who has what).

    Raises:
        StorageError: the folder or its database cannot be used.
    """

    def __init__(self, root: Path) -> None:
        self.files = BlobFiles(root / "blobs")
        self._uploads = root / "uploads"
        with file_errors(root):
            self._uploads.mkdir(parents=True, exist_ok=True)
        self._database = Database(root / "blobs.db", _MIGRATIONS)
        self._busy: set[Path] = set()
        self._holding = 0
        self._released: set[str] = set()
        self._lock = threading.Lock()
        """Held while bytes and possession change together."""

    def close(self) -> None:
        self._database.close()

    def missing(self, user: str, blobs: Iterable[BlobId]) -> list[BlobId]:
        wanted = list(dict.fromkeys(blobs))
        with self._database.reading() as db:
            query = "SELECT 1 FROM possessions WHERE user = ? AND sha256 = ? AND size = ?"
            owned = {b for b in wanted if db.execute(query, (user, b.sha256, b.size)).fetchone()}
        return [blob for blob in wanted if blob not in owned or not self.files.holds(blob)]

    def committed(self, user: str, blob: BlobId) -> int:
        if not self.missing(user, [blob]):
            return blob.size
        partial = self._partial(user, blob)
        return partial.stat().st_size if partial.exists() else 0

    def receive(self, user: str, blob: BlobId, offset: int) -> DiskUpload:
        partial = self._partial(user, blob)
        with self._lock:
            if partial in self._busy:
                raise UploadBusyError("another call is writing this upload", where=blob.sha256)
            committed = self.committed(user, blob)
            if offset != committed:
                raise UploadOffsetError(
                    f"the upload is at {committed}, not at {offset}",
                    where=blob.sha256,
                    hint=f"go on from {committed}",
                    facts={"committed_bytes": str(committed)},
                )
            self._busy.add(partial)
        try:
            return DiskUpload(self, user, blob, partial)
        except BaseException:
            self._let_go(partial)
            raise

    def open(self, user: str, blob: BlobId) -> BinaryIO:
        with self._database.reading() as db:
            query = "SELECT size FROM possessions WHERE user = ? AND sha256 = ?"
            row = db.execute(query, (user, blob.sha256)).fetchone()
        if row is None or row[0] != blob.size:
            raise BlobNotFoundError("there is no such blob", where=blob.sha256)
        if not self.files.holds(blob):
            raise BlobCorruptError("the stored bytes are damaged", where=blob.sha256, hint=AGAIN)
        path = self.files.path(blob.sha256)
        with file_errors(path):
            return path.open("rb")

    def grant(self, user: str, blobs: Sequence[BlobId]) -> None:
        with self._lock:
            for blob in blobs:
                if not self.files.holds(blob):
                    raise StorageError("a result file is not in the store", where=blob.sha256)
            self._own(user, blobs)

    def release(self, user: str, blobs: Iterable[BlobId]) -> None:
        with self._lock:
            names = [blob.sha256 for blob in blobs]
            with self._database.writing() as db:
                delete = "DELETE FROM possessions WHERE user = ? AND sha256 = ?"
                db.executemany(delete, [(user, name) for name in names])
            self._released.update(names)
            if not self._holding:
                self._delete_orphans()

    @contextmanager
    def holding(self) -> Iterator[None]:
        with self._lock:
            self._holding += 1
        try:
            yield
        finally:
            with self._lock:
                self._holding -= 1
                if not self._holding:
                    self._delete_orphans()

    def damaged(self, blob: BlobId) -> None:
        with self._lock:
            self.files.delete(blob.sha256)

    def sweep(self) -> None:
        with self._lock:
            self._released.update(self.files.names())
            self._delete_orphans()

    def _delete_orphans(self) -> None:
        """Delete what was released and belongs to nobody."""
        while self._released:
            name = next(iter(self._released))
            with self._database.reading() as db:
                owned = db.execute("SELECT 1 FROM possessions WHERE sha256 = ?", (name,)).fetchone()
            if not owned:
                self.files.delete(name)
            self._released.discard(name)

    def _own(self, user: str, blobs: Iterable[BlobId]) -> None:
        with self._database.writing() as db:
            insert = "INSERT OR REPLACE INTO possessions (user, sha256, size) VALUES (?, ?, ?)"
            db.executemany(insert, [(user, blob.sha256, blob.size) for blob in blobs])

    def _take(self, user: str, blob: BlobId, partial: Path) -> None:
        with self._lock:
            if self.files.holds(blob):
                partial.unlink(missing_ok=True)
            else:
                self.files.move_in(partial, blob.sha256)
            self._own(user, [blob])

    def _let_go(self, partial: Path) -> None:
        with self._lock:
            self._busy.discard(partial)

    def _partial(self, user: str, blob: BlobId) -> Path:
        # A user's name may hold anything, so it is no folder's name.
        folder = hashlib.sha256(user.encode()).hexdigest()[:16]
        return self._uploads / folder / f"{blob.sha256}.{blob.size}.part"


class DiskUpload:
    """See ``blobs.Upload``. The partial file's size is what is committed."""

    def __init__(self, store: DiskBlobStore, user: str, blob: BlobId, partial: Path) -> None:
        self._store, self._user, self._blob, self._partial = store, user, blob, partial
        self._lock = threading.Lock()
        self._closed = False
        self._complete = not store.missing(user, [blob])
        with file_errors(partial):
            partial.parent.mkdir(parents=True, exist_ok=True)
            self._file = partial.open("ab", buffering=0)
            self._written = self._file.tell()
            self._hasher = hash_start(partial, self._written)

    @property
    def committed(self) -> int:
        return self._blob.size if self._complete else self._written

    def write(self, data: bytes) -> None:
        with self._lock, file_errors(self._partial):
            if self.committed + len(data) > self._blob.size:
                raise BlobError(f"more than the {self._blob.size} bytes announced", where=self._blob.sha256)
            rest = memoryview(data)
            while rest and not self._closed:
                count = self._file.write(rest) or 0
                self._hasher.update(rest[:count])
                self._written += count
                rest = rest[count:]

    def finish(self) -> bool:
        with self._lock:
            if self._complete or self._closed or self._written < self._blob.size:
                return self._complete
            self._file.close()
            if self._hasher.hexdigest() != self._blob.sha256:
                self._partial.unlink()
                raise DigestError(
                    "the bytes do not have the announced digest", where=self._blob.sha256, hint="start again at 0"
                )
            self._store._take(self._user, self._blob, self._partial)
            self._complete = True
            return True

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._file.close()
                if self._complete:
                    self._partial.unlink(missing_ok=True)
                self._store._let_go(self._partial)
