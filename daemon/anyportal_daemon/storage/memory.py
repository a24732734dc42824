"""The blob store in memory: for tests, and as the shortest text of what a store must do."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Collection, Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import BinaryIO

from anyportal_core.errors import StorageError
from anyportal_daemon.errors import (
    BlobError,
    BlobNotFoundError,
    DigestError,
    UploadBusyError,
    UploadOffsetError,
)
from anyportal_daemon.storage.blobs import BEGUN, SILENT, BlobId
from anyportal_daemon.storage.shares import Possession
from anyportal_daemon.storage.shelf import Item, Kind, Shelf, Total


class MemoryBlobStore:
    """See ``blobs.BlobStore``."""

    def __init__(self) -> None:
        self.silent, self.begun = SILENT, BEGUN
        self._bytes: dict[BlobId, bytes] = {}
        self._owned: set[tuple[str, BlobId]] = set()
        self._partial: dict[tuple[str, BlobId], bytearray] = {}
        self._busy: dict[tuple[str, BlobId], MemoryUpload] = {}
        self._held_since: list[int] = []
        self._used: dict[str, int] = {}
        self._released: dict[BlobId, int] = {}
        self._made: set[tuple[str, BlobId]] = set()
        self._unfetched: set[tuple[str, BlobId]] = set()

    @property
    def shelves(self) -> Sequence[Shelf]:
        return MemoryBlobs(self), MemoryUploads(self)

    def missing(self, user: str, blobs: Iterable[BlobId]) -> list[BlobId]:
        wanted = list(dict.fromkeys(blobs))
        self._touch(*(blob.sha256 for blob in wanted if (user, blob) in self._owned))
        return [blob for blob in wanted if (user, blob) not in self._owned]

    def committed(self, user: str, blob: BlobId) -> int:
        return blob.size if (user, blob) in self._owned else len(self._partial.get((user, blob), b""))

    def receive(self, user: str, blob: BlobId, offset: int) -> MemoryUpload:
        committed = self.committed(user, blob)
        open_already = self._busy.get((user, blob))
        if open_already is not None and open_already.silence >= self.silent:
            open_already.close()
        elif open_already is not None:
            raise UploadBusyError("another call is writing this upload", where=blob.sha256)
        if offset != committed:
            facts = {"committed_bytes": str(committed)}
            raise UploadOffsetError(f"the upload is at {committed}, not at {offset}", facts=facts)
        if not committed:
            self._make_way(user)
        self._busy[user, blob] = MemoryUpload(self, user, blob)
        return self._busy[user, blob]

    def _make_way(self, user: str) -> None:
        found = [key for key in self._partial if key[0] == user]
        idle = sorted((key for key in found if key not in self._busy), key=lambda key: self._used[_part(*key)])
        for key in idle[: max(len(found) - self.begun + 1, 0)]:
            del self._partial[key]

    def open(self, user: str, blob: BlobId) -> BinaryIO:
        if (user, blob) not in self._owned:
            raise BlobNotFoundError("there is no such blob", where=blob.sha256)
        self._touch(blob.sha256)
        return io.BytesIO(self._bytes[blob])

    def grant(self, user: str, blobs: Sequence[BlobId]) -> None:
        if any(blob not in self._bytes for blob in blobs):
            raise StorageError("a result file is not in the store")
        self._touch(*(blob.sha256 for blob in blobs))
        for given in (self._owned, self._made, self._unfetched):
            given.update((user, blob) for blob in blobs)

    def fetched(self, user: str, blob: BlobId) -> None:
        self._unfetched.discard((user, blob))

    def unfetched(self, sha256: str) -> set[str]:
        return {user for user, blob in self._unfetched & self._owned if blob.sha256 == sha256}

    def all_unfetched(self) -> Mapping[str, Collection[str]]:
        found: dict[str, list[str]] = {}
        for user, blob in self._unfetched & self._owned:
            found.setdefault(user, []).append(blob.sha256)
        return found

    def maker(self, sha256: str) -> str | None:
        return min((user for user, blob in self._made & self._owned if blob.sha256 == sha256), default=None)

    def holdings(self, user: str) -> Mapping[Kind, Total]:
        blobs = [blob.size for owner, blob in self._owned if owner == user]
        partials = [len(data) for (owner, _), data in self._partial.items() if owner == user]
        return {"blob": Total(len(blobs), sum(blobs)), "upload": Total(len(partials), sum(partials))}

    def possessed(self) -> Iterable[Possession]:
        yield from (Possession(user, blob.sha256, blob.size, (user, blob) in self._made) for user, blob in self._owned)
        yield from (Possession(user, _part(user, blob), len(data)) for (user, blob), data in self._partial.items())

    def release(self, user: str, blobs: Iterable[BlobId]) -> None:
        released = dict.fromkeys(blobs, time.time_ns())
        self._released |= released
        self._owned.difference_update([(user, blob) for blob in released])
        self.sweep()

    @contextmanager
    def holding(self) -> Iterator[None]:
        since = time.time_ns()
        self._held_since.append(since)
        try:
            yield
        finally:
            self._held_since.remove(since)
            self.sweep()

    def damaged(self, blob: BlobId) -> None:
        self._bytes.pop(blob, None)
        self._owned = {(user, owned) for user, owned in self._owned if owned != blob}

    def sweep(self) -> None:
        owned, held_since = {blob for _, blob in self._owned}, min(self._held_since, default=inf)
        for blob in self._bytes.keys() - owned:
            if max(self._released.get(blob, 0), self._used.get(blob.sha256, 0)) < held_since:
                del self._bytes[blob]

    def _touch(self, *names: str) -> None:
        self._used.update(dict.fromkeys(names, time.time_ns()))


class MemoryUpload:
    """See ``blobs.Upload``."""

    def __init__(self, store: MemoryBlobStore, user: str, blob: BlobId) -> None:
        self._store, self._blob, self._key = store, blob, (user, blob)
        self._heard, self._closed = time.monotonic(), False

    @property
    def committed(self) -> int:
        return self._store.committed(*self._key)

    @property
    def silence(self) -> float:
        return time.monotonic() - self._heard

    def write(self, data: bytes) -> None:
        if self._closed:
            return
        if self.committed + len(data) > self._blob.size:
            raise BlobError(f"more than the {self._blob.size} bytes announced", where=self._blob.sha256)
        self._store._partial.setdefault(self._key, bytearray()).extend(data)
        self._store._touch(_part(*self._key))
        self._heard = time.monotonic()

    def finish(self) -> bool:
        if self._key in self._store._owned:
            return True
        if self._closed or self.committed < self._blob.size:
            return False
        data = bytes(self._store._partial.pop(self._key, b""))
        if hashlib.sha256(data).hexdigest() != self._blob.sha256:
            raise DigestError("the bytes do not have the announced digest", where=self._blob.sha256)
        self._store._bytes[self._blob] = data
        self._store._owned.add(self._key)
        self._store._unfetched.discard(self._key)
        self._store._touch(self._blob.sha256)
        return True

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            del self._store._busy[self._key]


def _part(user: str, blob: BlobId) -> str:
    """The name of an upload on its shelf."""
    return f"{user}/{blob.sha256}.{blob.size}"


class MemoryBlobs:
    """See ``shelf.Shelf``."""

    kind: Kind = "blob"

    def __init__(self, store: MemoryBlobStore) -> None:
        self._store = store

    def total(self) -> Total:
        return Total(len(self._store._bytes), sum(map(len, self._store._bytes.values())))

    def items(self, but: Container[str] = ()) -> list[Item]:
        used, blobs = self._store._used, self._store._bytes.items()
        return [Item(blob.sha256, len(data), used[blob.sha256]) for blob, data in blobs if blob.sha256 not in but]

    def evict(self, item: Item) -> bool:
        held = self._store._held_since
        if item not in self.items() or (held and item.used >= min(held)):
            return False
        self._remove(item)
        return True

    def verify(self, item: Item) -> Generator[int, None, bool]:
        yield item.size
        data = next((data for blob, data in self._store._bytes.items() if blob.sha256 == item.name), None)
        if data is None or hashlib.sha256(data).hexdigest() == item.name:
            return True
        self._remove(item)
        return False

    def lost(self) -> list[Item]:
        gone = {blob for _, blob in self._store._owned if blob not in self._store._bytes}
        for blob in gone:
            self._store.damaged(blob)
        return [Item(blob.sha256, blob.size, 0) for blob in gone]

    def _remove(self, item: Item) -> None:
        for blob in [blob for blob in self._store._bytes if blob.sha256 == item.name]:
            self._store.damaged(blob)


class MemoryUploads:
    """See ``shelf.Shelf``."""

    kind: Kind = "upload"

    def __init__(self, store: MemoryBlobStore) -> None:
        self._store = store

    def total(self) -> Total:
        return Total(len(self._store._partial), sum(map(len, self._store._partial.values())))

    def items(self, but: Container[str] = ()) -> list[Item]:
        used, partials = self._store._used, self._store._partial.items()
        found = ((_part(*key), data) for key, data in partials)
        return [Item(name, len(data), used[name]) for name, data in found if name not in but]

    def evict(self, item: Item) -> bool:
        idle = next((key for key in self._store._partial if _part(*key) == item.name), None)
        if idle is None or idle in self._store._busy or item not in self.items():
            return False
        del self._store._partial[idle]
        return True

    def verify(self, item: Item) -> Generator[int, None, bool]:
        yield item.size
        return True

    def lost(self) -> list[Item]:
        return []
