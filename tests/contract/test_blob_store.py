"""What every blob store must do: run on the disk and on memory alike."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyportal_core.errors import StorageError
from anyportal_daemon.errors import (
    BlobError,
    BlobNotFoundError,
    DigestError,
    UploadBusyError,
    UploadOffsetError,
)
from anyportal_daemon.storage.blobs import BlobId, BlobStore
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.memory import MemoryBlobStore

Make = Callable[[], BlobStore]
EACH_EXAMPLE_MAKES_ITS_OWN = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["disk", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes a new, empty store."""
    opened: list[DiskBlobStore] = []

    def new() -> BlobStore:
        if request.param == "memory":
            return MemoryBlobStore()
        opened.append(DiskBlobStore(tmp_path / str(len(opened))))
        return opened[-1]

    yield new
    for store in opened:
        store.close()


@pytest.fixture
def store(make: Make) -> BlobStore:
    return make()


def name(data: bytes) -> BlobId:
    return BlobId(hashlib.sha256(data).hexdigest(), len(data))


def put(store: BlobStore, user: str, data: bytes) -> BlobId:
    upload = store.receive(user, name(data), 0)
    upload.write(data)
    assert upload.finish()
    upload.close()
    return name(data)


def get(store: BlobStore, user: str, blob: BlobId) -> bytes:
    with store.open(user, blob) as file:
        return file.read()


@pytest.mark.parametrize("data", [b"", b"x", b"frame" * 100_000])
def test_what_was_uploaded_can_be_read(store: BlobStore, data: bytes) -> None:
    blob = put(store, "ann", data)
    assert get(store, "ann", blob) == data
    assert store.missing("ann", [blob]) == []
    assert store.committed("ann", blob) == len(data)


def test_a_sweep_leaves_what_belongs_to_somebody(store: BlobStore) -> None:
    blob = put(store, "ann", b"kept")
    store.sweep()
    assert get(store, "ann", blob) == b"kept"


def test_a_digest_alone_opens_nothing(store: BlobStore) -> None:
    blob = put(store, "ann", b"secret")
    assert store.missing("bob", [blob]) == [blob]
    assert store.committed("bob", blob) == 0
    with pytest.raises(BlobNotFoundError):
        store.open("bob", blob)
    put(store, "bob", b"secret")
    assert get(store, "bob", blob) == b"secret"


def test_a_wrong_size_opens_nothing(store: BlobStore) -> None:
    blob = put(store, "ann", b"secret")
    with pytest.raises(BlobNotFoundError):
        store.open("ann", BlobId(blob.sha256, blob.size - 1))


def test_missing_keeps_the_order_and_names_each_once(store: BlobStore) -> None:
    there = put(store, "ann", b"there")
    a, b = name(b"a"), name(b"b")
    assert store.missing("ann", [b, there, a, b]) == [b, a]


@EACH_EXAMPLE_MAKES_ITS_OWN
@given(data=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=6), finish=st.booleans())
def test_any_split_of_an_upload_gives_the_same_blob(make: Make, data: bytes, cuts: list[int], finish: bool) -> None:
    """The connection is cut at random positions, with and without a polite end."""
    store, blob = make(), name(data)
    for position in sorted({min(cut, len(data)) for cut in cuts}):
        upload = store.receive("ann", blob, store.committed("ann", blob))
        upload.write(data[upload.committed : position])
        if finish:
            assert upload.finish() == (position == len(data))
        upload.close()
        assert store.committed("ann", blob) == position
    upload = store.receive("ann", blob, store.committed("ann", blob))
    upload.write(data[upload.committed :])
    assert upload.finish()
    upload.close()
    assert get(store, "ann", blob) == data


def test_an_upload_goes_on_at_the_committed_size_only(store: BlobStore) -> None:
    blob = name(b"0123456789")
    upload = store.receive("ann", blob, 0)
    upload.write(b"0123")
    upload.close()
    for offset in (0, 3, 5, 10):
        with pytest.raises(UploadOffsetError) as caught:
            store.receive("ann", blob, offset)
        assert caught.value.facts == {"committed_bytes": "4"}
    assert store.missing("ann", [blob]) == [blob]


def test_wrong_bytes_are_dropped(store: BlobStore) -> None:
    blob = name(b"right")
    upload = store.receive("ann", blob, 0)
    upload.write(b"wrong")
    with pytest.raises(DigestError):
        upload.finish()
    upload.close()
    assert store.committed("ann", blob) == 0
    assert store.missing("ann", [blob]) == [blob]
    put(store, "ann", b"right")


def test_more_bytes_than_announced_are_refused(store: BlobStore) -> None:
    blob = name(b"right")
    upload = store.receive("ann", blob, 0)
    with pytest.raises(BlobError):
        upload.write(b"right and more")
    upload.close()
    assert store.committed("ann", blob) == 0


def test_one_upload_is_written_by_one_call_at_a_time(store: BlobStore) -> None:
    blob = name(b"right")
    upload = store.receive("ann", blob, 0)
    with pytest.raises(UploadBusyError):
        store.receive("ann", blob, 0)
    store.receive("bob", blob, 0).close()
    upload.close()
    put(store, "ann", b"right")


def test_two_users_upload_the_same_bytes_at_once(store: BlobStore) -> None:
    data = bytes(range(256)) * 2000
    threads = [threading.Thread(target=put, args=(store, user, data)) for user in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get(store, "ann", name(data)) == get(store, "bob", name(data)) == data


def test_uploading_what_one_has_changes_nothing(store: BlobStore) -> None:
    blob = put(store, "ann", b"there")
    upload = store.receive("ann", blob, blob.size)
    upload.write(b"")
    assert upload.finish()
    upload.close()
    assert get(store, "ann", blob) == b"there"


def test_a_granted_blob_is_the_users(store: BlobStore) -> None:
    blob = put(store, "ann", b"result")
    store.grant("bob", [blob])
    assert get(store, "bob", blob) == b"result"
    with pytest.raises(StorageError):
        store.grant("bob", [name(b"never stored")])


def test_released_bytes_live_as_long_as_somebody_has_them(store: BlobStore) -> None:
    blob = put(store, "ann", b"shared")
    put(store, "bob", b"shared")
    store.release("ann", [blob])
    assert store.missing("ann", [blob]) == [blob]
    assert get(store, "bob", blob) == b"shared"
    store.release("bob", [blob])
    with pytest.raises(BlobNotFoundError):
        store.open("bob", blob)
    with pytest.raises(StorageError):
        store.grant("bob", [blob])


@pytest.mark.parametrize(
    ("sha256", "size"),
    [("", 1), ("A" * 64, 1), ("a" * 63, 1), ("../" + "a" * 61, 1), ("a" * 64, -1), ("a" * 64 + "\n", 0)],
)
def test_a_malformed_name_is_refused(sha256: str, size: int) -> None:
    with pytest.raises(BlobError):
        BlobId(sha256, size)


def test_what_is_released_while_held_stays_until_it_is_not(store: BlobStore) -> None:
    blob, other = put(store, "ann", b"made twice"), put(store, "ann", b"made once")
    with store.holding():
        with store.holding():
            store.release("ann", [blob, other])
        assert store.missing("ann", [blob]) == [blob]
        store.grant("bob", [blob])
    assert get(store, "bob", blob) == b"made twice"
    with pytest.raises(StorageError):
        store.grant("bob", [other])


def test_damaged_bytes_are_missing_until_they_are_sent_again(store: BlobStore) -> None:
    blob = put(store, "ann", b"bytes")
    store.damaged(blob)
    assert store.missing("ann", [blob]) == [blob]
    assert put(store, "ann", b"bytes") == blob
    assert get(store, "ann", blob) == b"bytes"
