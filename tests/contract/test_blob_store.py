"""What every blob store must do: run on the disk and on memory alike."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
from anyportal_daemon.storage.blobs import SILENT, BlobId, BlobStore
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.memory import MemoryBlobStore
from anyportal_daemon.storage.shelf import Item, Shelf, Total

Make = Callable[[], BlobStore]
TICK = 20_000_000
"""Nanoseconds by which a file's time may lag behind the clock."""
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


def test_of_an_upload_of_which_nothing_came_nothing_stays(store: BlobStore) -> None:
    for number in range(3):
        store.receive("ann", name(bytes([number])), 0).close()
    assert store.holdings("ann")["upload"] == Total() and not store.shelves[1].items()
    put(store, "ann", b"")
    assert get(store, "ann", name(b"")) == b""


def test_a_user_has_so_many_uploads_begun_and_for_a_further_one_the_oldest_goes(store: BlobStore) -> None:
    def begin(user: str, number: int) -> BlobId:
        blob = name(bytes([number, number]))
        upload = store.receive(user, blob, 0)
        upload.write(bytes([number]))
        upload.close()
        time.sleep(TICK / 1e9)
        return blob

    store.begun = 3
    theirs = begin("bob", 9)
    blobs = [begin("ann", number) for number in range(3)]
    being_written = store.receive("ann", blobs[0], 1)
    blobs += [begin("ann", number) for number in (3, 4)]
    assert [store.committed("ann", blob) for blob in blobs] == [1, 0, 0, 1, 1]
    assert store.committed("bob", theirs) == 1
    being_written.write(b"\0")
    assert being_written.finish()
    being_written.close()
    upload = store.receive("ann", blobs[3], 1)  # to go on with one is to begin none
    upload.close()
    assert store.committed("ann", blobs[4]) == 1


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


def test_an_upload_that_fell_silent_is_taken_over(store: BlobStore) -> None:
    """Its connection may be gone without a word. Whatever still comes over it is not written, and harms nothing."""
    blob = name(b"right")
    silent = store.receive("ann", blob, 0)
    silent.write(b"ri")
    store.silent = 0
    upload = store.receive("ann", blob, 2)
    store.silent = 60
    silent.write(b"xxx")
    assert not silent.finish()
    silent.close()
    with pytest.raises(UploadBusyError):
        store.receive("ann", blob, 2)
    upload.write(b"ght")
    assert upload.finish()
    upload.close()
    assert get(store, "ann", blob) == b"right"


def test_an_upload_that_is_written_to_is_not_silent(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    blob = name(b"slow")
    upload = store.receive("ann", blob, 0)
    for now[0] in (SILENT - 1, 2 * SILENT - 2):
        with pytest.raises(UploadBusyError):
            store.receive("ann", blob, upload.committed)
        upload.write(b"s")
    now[0] += SILENT
    store.receive("ann", blob, 2).close()


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


def test_what_is_released_goes_though_others_have_begun_to_hold_since(store: BlobStore) -> None:
    blob, later = put(store, "ann", b"from before"), put(store, "ann", b"seen since")
    first, second = ExitStack(), ExitStack()
    first.enter_context(store.holding())
    store.release("ann", [blob])
    _pass_ticks(3)
    with second:
        second.enter_context(store.holding())
        store.release("ann", [later])
        first.close()
        with pytest.raises(StorageError):
            store.grant("bob", [blob])
        store.grant("bob", [later])
    assert get(store, "bob", later) == b"seen since"


def test_a_sweep_leaves_what_was_released_while_held(store: BlobStore) -> None:
    with store.holding():
        blob = put(store, "ann", b"counted on")
        store.release("ann", [blob])
        store.sweep()
        store.grant("bob", [blob])
    assert get(store, "bob", blob) == b"counted on"


def _pass_ticks(count: int) -> None:
    until = time.time_ns() + count * TICK
    while time.time_ns() < until:
        pass


def test_damaged_bytes_are_missing_until_they_are_sent_again(store: BlobStore) -> None:
    blob = put(store, "ann", b"bytes")
    store.damaged(blob)
    assert store.missing("ann", [blob]) == [blob]
    assert put(store, "ann", b"bytes") == blob
    assert get(store, "ann", blob) == b"bytes"


def blobs_of(store: BlobStore) -> Shelf:
    return next(shelf for shelf in store.shelves if shelf.kind == "blob")


def uploads_of(store: BlobStore) -> Shelf:
    return next(shelf for shelf in store.shelves if shelf.kind == "upload")


def item_of(shelf: Shelf, name: str) -> Item:
    return next(item for item in shelf.items() if name in item.name)


def healthy(shelf: Shelf, item: Item) -> bool:
    """What verifying says, once its progress has added up to the item's size."""
    steps, done = shelf.verify(item), 0
    try:
        while True:
            done += next(steps)
    except StopIteration as end:
        assert done == item.size
        return bool(end.value)


def test_shelves_say_what_takes_room(store: BlobStore) -> None:
    assert [shelf.total() for shelf in store.shelves] == [Total(), Total()]
    begun = time.time_ns()
    blob = put(store, "ann", b"12345")
    put(store, "bob", b"12345")
    upload = store.receive("bob", name(b"1234567"), 0)
    upload.write(b"123")
    assert [(shelf.kind, shelf.total()) for shelf in store.shelves] == [("blob", Total(1, 5)), ("upload", Total(1, 3))]
    (item,) = blobs_of(store).items()
    assert (item.name, item.size) == (blob.sha256, 5)
    assert begun - TICK <= item.used <= time.time_ns()
    assert store.holdings("bob") == {"blob": Total(1, 5), "upload": Total(1, 3)}
    assert store.holdings("ann") == {"blob": Total(1, 5), "upload": Total()}
    assert store.holdings("eve") == {"blob": Total(), "upload": Total()}


@pytest.mark.parametrize("use", ["missing", "open", "grant", "upload"])
def test_a_use_is_noted_and_saves_from_eviction(store: BlobStore, use: str) -> None:
    blob = put(store, "ann", b"used")
    before = item_of(blobs_of(store), blob.sha256)
    while time.time_ns() < before.used + TICK:  # as long as a file system's clock may take for a tick
        pass
    if use == "missing":
        assert store.missing("ann", [blob]) == []
    elif use == "open":
        store.open("ann", blob).close()
    elif use == "grant":
        store.grant("bob", [blob])
    else:
        put(store, "bob", b"used")
    assert item_of(blobs_of(store), blob.sha256).used > before.used
    assert not blobs_of(store).evict(before)
    assert get(store, "ann", blob) == b"used"


def test_an_evicted_blob_is_missing_for_everybody_and_can_be_sent_again(store: BlobStore) -> None:
    blob, other = put(store, "ann", b"evicted"), put(store, "ann", b"kept")
    put(store, "bob", b"evicted")
    assert blobs_of(store).evict(item_of(blobs_of(store), blob.sha256))
    for user in ("ann", "bob"):
        assert store.missing(user, [blob]) == [blob]
        with pytest.raises(BlobNotFoundError):
            store.open(user, blob)
    assert blobs_of(store).total() == Total(1, 4)
    assert get(store, "ann", other) == b"kept"
    assert put(store, "ann", b"evicted") == blob
    assert get(store, "ann", blob) == b"evicted"


def test_what_was_used_while_somebody_relies_on_bytes_is_not_evicted(store: BlobStore) -> None:
    old = put(store, "ann", b"from before")
    stale = item_of(blobs_of(store), old.sha256)
    while time.time_ns() < stale.used + TICK:
        pass
    with store.holding():
        while time.time_ns() < stale.used + 2 * TICK:
            pass
        new = put(store, "worker", b"just made")
        assert not blobs_of(store).evict(item_of(blobs_of(store), new.sha256))
        assert blobs_of(store).evict(stale)
    assert blobs_of(store).evict(item_of(blobs_of(store), new.sha256))


def test_an_upload_that_is_written_is_not_evicted(store: BlobStore) -> None:
    blob = name(b"0123456789")
    upload = store.receive("ann", blob, 0)
    upload.write(b"0123")
    assert not uploads_of(store).evict(item_of(uploads_of(store), blob.sha256))
    upload.close()
    idle = item_of(uploads_of(store), blob.sha256)
    assert healthy(uploads_of(store), idle)
    assert uploads_of(store).evict(idle)
    assert not uploads_of(store).evict(idle)
    assert store.committed("ann", blob) == 0
    put(store, "ann", b"0123456789")


def test_who_has_not_fetched_what_was_made_for_them(store: BlobStore) -> None:
    blob, sent = put(store, "worker", b"result"), put(store, "ann", b"footage")
    assert store.maker(blob.sha256) is None
    store.grant("ann", [blob])
    store.grant("bob", [blob])
    assert (store.maker(blob.sha256), store.maker(sent.sha256)) == ("ann", None)

    def unfetched() -> set[str]:
        """Who has not fetched it, asked in both ways."""
        users = {user for user, names in store.all_unfetched().items() if blob.sha256 in names}
        assert store.unfetched(blob.sha256) == users
        return users

    assert unfetched() == {"ann", "bob"}
    assert store.unfetched(sent.sha256) == set()
    store.fetched("ann", blob)
    store.fetched("ann", sent)
    assert unfetched() == {"bob"}
    store.grant("ann", [blob])
    assert unfetched() == {"ann", "bob"}, "it was made again"
    store.release("ann", [blob])
    assert unfetched() == {"bob"}
    store.release("bob", [blob])
    put(store, "bob", b"result")
    assert unfetched() == set(), "who sends bytes has them"


def test_whole_bytes_are_healthy(store: BlobStore) -> None:
    blob, empty = put(store, "ann", b"whole" * 1000), put(store, "ann", b"")
    shelf = blobs_of(store)
    for each in (blob, empty):
        assert healthy(shelf, item_of(shelf, each.sha256))
    assert shelf.lost() == []
    assert get(store, "ann", blob) == b"whole" * 1000


def test_verifying_what_was_evicted_meanwhile_finds_no_damage(store: BlobStore) -> None:
    blob, shelf = put(store, "ann", b"gone"), blobs_of(store)
    item = item_of(shelf, blob.sha256)
    assert shelf.evict(item)
    steps = shelf.verify(item)
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
    assert end.value.value is True


def change(store: BlobStore, blob: BlobId, data: bytes | None) -> None:
    """What a disk may do to a blob's bytes; None takes them away."""
    if isinstance(store, MemoryBlobStore):
        if data is None:
            del store._bytes[blob]
        else:
            store._bytes[blob] = data
        return
    assert isinstance(store, DiskBlobStore)
    path = store.files.path(blob.sha256)
    path.unlink()
    if data is not None:
        path.write_bytes(data)


@pytest.mark.parametrize("data", [b"DAMAGED!", b"dam", b"damaged and more", b""])
def test_damage_is_found_and_taken_away(store: BlobStore, data: bytes) -> None:
    blob, whole = put(store, "ann", b"damaged!"), put(store, "ann", b"whole")
    change(store, blob, data)
    shelf = blobs_of(store)
    assert not healthy(shelf, item_of(shelf, blob.sha256))
    assert healthy(shelf, item_of(shelf, whole.sha256))
    assert store.missing("ann", [blob, whole]) == [blob]
    with pytest.raises(BlobNotFoundError):
        store.open("ann", blob)
    assert [item.name for item in shelf.items()] == [whole.sha256]
    put(store, "ann", b"damaged!")
    assert get(store, "ann", blob) == b"damaged!"


def test_bytes_that_are_gone_are_told_of_once(store: BlobStore) -> None:
    blob = put(store, "ann", b"gone")
    change(store, blob, None)
    assert [(item.name, item.size) for item in blobs_of(store).lost()] == [(blob.sha256, 4)]
    assert blobs_of(store).lost() == []
    assert store.missing("ann", [blob]) == [blob]


def test_an_upload_heals_damage_that_nobody_has_noticed(store: BlobStore) -> None:
    blob = put(store, "ann", b"damaged!")
    change(store, blob, b"DAMAGED!")
    put(store, "bob", b"damaged!")
    assert get(store, "ann", blob) == b"damaged!"
