"""The blob store in memory: for tests, and as the shortest text of what a store must do."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from anyportal_core.errors import StorageError
from anyportal_daemon.errors import (
    BlobError,
    BlobNotFoundError,
    DigestError,
    UploadBusyError,
    UploadOffsetError,
)
from anyportal_daemon.storage.blobs import BlobId


class MemoryBlobStore:
    """See ``blobs.BlobStore``."""

    def __init__(self) -> None:
        self._bytes: dict[BlobId, bytes] = {}
        self._owned: set[tuple[str, BlobId]] = set()
        self._partial: dict[tuple[str, BlobId], bytearray] = {}
        self._busy: set[tuple[str, BlobId]] = set()
        self._holding = 0

    def missing(self, user: str, blobs: Iterable[BlobId]) -> list[BlobId]:
        return [blob for blob in dict.fromkeys(blobs) if (user, blob) not in self._owned]

    def committed(self, user: str, blob: BlobId) -> int:
        return blob.size if (user, blob) in self._owned else len(self._partial.get((user, blob), b""))

    def receive(self, user: str, blob: BlobId, offset: int) -> MemoryUpload:
        committed = self.committed(user, blob)
        if (user, blob) in self._busy:
            raise UploadBusyError("another call is writing this upload", where=blob.sha256)
        if offset != committed:
            facts = {"committed_bytes": str(committed)}
            raise UploadOffsetError(f"the upload is at {committed}, not at {offset}", facts=facts)
        self._busy.add((user, blob))
        return MemoryUpload(self, user, blob)

    def open(self, user: str, blob: BlobId) -> BinaryIO:
        if (user, blob) not in self._owned:
            raise BlobNotFoundError("there is no such blob", where=blob.sha256)
        return io.BytesIO(self._bytes[blob])

    def grant(self, user: str, blobs: Sequence[BlobId]) -> None:
        if any(blob not in self._bytes for blob in blobs):
            raise StorageError("a result file is not in the store")
        self._owned.update((user, blob) for blob in blobs)

    def release(self, user: str, blobs: Iterable[BlobId]) -> None:
        self._owned.difference_update([(user, blob) for blob in blobs])
        if not self._holding:
            self.sweep()

    @contextmanager
    def holding(self) -> Iterator[None]:
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1
            if not self._holding:
                self.sweep()

    def damaged(self, blob: BlobId) -> None:
        self._bytes.pop(blob, None)
        self._owned = {(user, owned) for user, owned in self._owned if owned != blob}

    def sweep(self) -> None:
        owned = {blob for _, blob in self._owned}
        self._bytes = {blob: data for blob, data in self._bytes.items() if blob in owned}


class MemoryUpload:
    """See ``blobs.Upload``."""

    def __init__(self, store: MemoryBlobStore, user: str, blob: BlobId) -> None:
        self._store, self._blob, self._key = store, blob, (user, blob)

    @property
    def committed(self) -> int:
        return self._store.committed(*self._key)

    def write(self, data: bytes) -> None:
        if self.committed + len(data) > self._blob.size:
            raise BlobError(f"more than the {self._blob.size} bytes announced", where=self._blob.sha256)
        self._store._partial.setdefault(self._key, bytearray()).extend(data)

    def finish(self) -> bool:
        if self._key in self._store._owned:
            return True
        if self.committed < self._blob.size:
            return False
        data = bytes(self._store._partial.pop(self._key, b""))
        if hashlib.sha256(data).hexdigest() != self._blob.sha256:
            raise DigestError("the bytes do not have the announced digest", where=self._blob.sha256)
        self._store._bytes[self._blob] = data
        self._store._owned.add(self._key)
        return True

    def close(self) -> None:
        self._store._busy.discard(self._key)
