"""The blob store on disk: files by digest, partial uploads by user, possession in SQLite."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import BinaryIO

from anyportal_core.errors import StorageError
from anyportal_daemon.database import file_errors
from anyportal_daemon.errors import (
    BlobCorruptError,
    BlobError,
    BlobNotFoundError,
    DigestError,
    UploadBusyError,
    UploadOffsetError,
)
from anyportal_daemon.storage.blobs import AGAIN, BEGUN, SILENT, BlobId
from anyportal_daemon.storage.files import BlobFiles, hash_start
from anyportal_daemon.storage.possessions import Possessions
from anyportal_daemon.storage.shares import Possession
from anyportal_daemon.storage.shelf import Kind, Total
from anyportal_daemon.storage.shelves import BlobShelf, UploadShelf

_SLACK = 20_000_000
"""Nanoseconds by which a file's time may lag behind the clock."""


class DiskBlobStore:
    """Blobs below ``root``: ``blobs/`` (bytes), ``uploads/`` (partial files), ``blobs.db`` (who has what).

    Raises:
        StorageError: the folder or its database cannot be used.
    """

    def __init__(self, root: Path) -> None:
        self.silent, self.begun = SILENT, BEGUN
        self.files = BlobFiles(root / "blobs")
        self._uploads = root / "uploads"
        with file_errors(root):
            self._uploads.mkdir(parents=True, exist_ok=True)
        self._possessions = Possessions(root / "blobs.db")
        self._busy: dict[Path, DiskUpload | None] = {}
        """Uploads that are open, or (None) about to be."""
        self._held_since: list[int] = []
        self._released: dict[str, int] = {}
        """What somebody gave up or nobody had, and when: who is at work since before may count on it."""
        self._lock = threading.Lock()
        """Held while bytes and possession change together."""
        self.shelves = (
            BlobShelf(self.files, self._possessions, self._lock, self._held_since),
            UploadShelf(self._uploads, self._lock, self._busy),
        )

    def close(self) -> None:
        self._possessions.close()

    def missing(self, user: str, blobs: Iterable[BlobId]) -> list[BlobId]:
        wanted = list(dict.fromkeys(blobs))
        owned = self._possessions.owned(user, wanted)
        return [blob for blob in wanted if blob not in owned or not self.files.touch(blob)]

    def committed(self, user: str, blob: BlobId) -> int:
        if not self.missing(user, [blob]):
            return blob.size
        try:
            return self._partial(user, blob).stat().st_size
        except FileNotFoundError:
            return 0

    def receive(self, user: str, blob: BlobId, offset: int) -> DiskUpload:
        partial = self._partial(user, blob)
        self._close_silent(partial)
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
            self._busy[partial] = None
            if not partial.exists():
                self._make_way(partial.parent)
        try:
            upload = DiskUpload(self, user, blob, partial)
        except BaseException:
            self._let_go(partial)
            raise
        with self._lock:
            self._busy[partial] = upload
        return upload

    def open(self, user: str, blob: BlobId) -> BinaryIO:
        if not self._possessions.owned(user, [blob]):
            raise BlobNotFoundError("there is no such blob", where=blob.sha256)
        path = self.files.path(blob.sha256)
        if not self.files.touch(blob):
            if path.exists():
                raise BlobCorruptError("the stored bytes are damaged", where=blob.sha256, hint=AGAIN)
            raise BlobNotFoundError("the blob is no longer there", where=blob.sha256, hint=AGAIN)
        with file_errors(path):
            return path.open("rb")

    def grant(self, user: str, blobs: Sequence[BlobId]) -> None:
        with self._lock:
            for blob in blobs:
                if not self.files.touch(blob):
                    raise StorageError("a result file is not in the store", where=blob.sha256)
            self._possessions.own(user, blobs, made=True)

    def possessed(self) -> Iterable[Possession]:
        blobs = self._possessions.everything()
        yield from blobs
        users = {_folder_of(user): user for user in {each.user for each in blobs}}
        for item in self.shelves[1].items():
            folder = item.name.partition("/")[0]  # of a user who has no blob yet nothing more is known
            yield Possession(users.get(folder, folder), item.name, item.size)

    def release(self, user: str, blobs: Iterable[BlobId]) -> None:
        with self._lock:
            names = [blob.sha256 for blob in blobs]
            self._possessions.release(user, names)
            self._released.update(dict.fromkeys(names, time.time_ns()))
            self._delete_orphans()

    @contextmanager
    def holding(self) -> Iterator[None]:
        since = time.time_ns()
        with self._lock:
            self._held_since.append(since)
        try:
            yield
        finally:
            with self._lock:
                self._held_since.remove(since)
                self._delete_orphans()

    def fetched(self, user: str, blob: BlobId) -> None:
        self._possessions.fetched(user, blob.sha256)

    def unfetched(self, sha256: str) -> set[str]:
        return self._possessions.unfetched(sha256)

    def all_unfetched(self) -> Mapping[str, Collection[str]]:
        return self._possessions.all_unfetched()

    def maker(self, sha256: str) -> str | None:
        return self._possessions.maker(sha256)

    def holdings(self, user: str) -> Mapping[Kind, Total]:
        partials = UploadShelf(self._folder(user), self._lock, self._busy)
        return {"blob": self._possessions.total(user), "upload": partials.total()}

    def damaged(self, blob: BlobId) -> None:
        with self._lock:
            self.files.delete(blob.sha256)

    def sweep(self) -> None:
        with self._lock:
            self._released = dict.fromkeys(self.files.names(), 0) | self._released
            self._delete_orphans()

    def _delete_orphans(self) -> None:
        """Delete what was released and belongs to nobody, and what nobody counts on."""
        held_since = min(self._held_since, default=inf)
        for name, released in list(self._released.items()):
            if max(released, self.files.used(name) + _SLACK) >= held_since:
                continue
            if not self._possessions.has_owner(name):
                self.files.delete(name)
            del self._released[name]

    def _take(self, user: str, blob: BlobId, partial: Path) -> None:
        with self._lock:
            # These bytes have just been checked; those that may be there already, for somebody else, have not.
            self.files.move_in(partial, blob.sha256)
            self._possessions.own(user, [blob], made=False)

    def _close_silent(self, partial: Path) -> None:
        with self._lock:
            upload = self._busy.get(partial)
        if upload is not None and upload.silence >= self.silent:
            upload.close()

    def _make_way(self, folder: Path) -> None:
        """Have a user, whose folder it is, begin one more upload; the lock is held."""
        found = list(folder.glob("*.part"))
        if over := max(len(found) - self.begun + 1, 0):
            idle = sorted((path for path in found if path not in self._busy), key=_written_at)
            for path in idle[:over]:
                path.unlink(missing_ok=True)

    def _let_go(self, partial: Path) -> None:
        with self._lock:
            self._busy.pop(partial, None)

    def _partial(self, user: str, blob: BlobId) -> Path:
        return self._folder(user) / f"{blob.sha256}.{blob.size}.part"

    def _folder(self, user: str) -> Path:
        return self._uploads / _folder_of(user)


def _folder_of(user: str) -> str:
    """A user's name may hold anything, so it is no folder's name."""
    return hashlib.sha256(user.encode()).hexdigest()[:16]


def _written_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # it has just ended
        return 0


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
        self._heard = time.monotonic()

    @property
    def committed(self) -> int:
        return self._blob.size if self._complete else self._written

    @property
    def silence(self) -> float:
        """Seconds since it was opened or written to."""
        return time.monotonic() - self._heard

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
            self._heard = time.monotonic()

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
                if self._complete or not self._written:
                    self._partial.unlink(missing_ok=True)
                self._store._let_go(self._partial)
