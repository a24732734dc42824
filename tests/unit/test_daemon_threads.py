"""Threads that work for rpcs: none is left behind by a call that is cancelled, and slow ones hold up nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from anyportal_core.errors import Cancelled
from anyportal_daemon.errors import StoppingError
from anyportal_daemon.server.threads import SlowWork, in_thread
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.checkpoints import checked_by, checkpoint
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.files import hash_stream
from anyportal_daemon.storage.shared import SharedFolders, digest_files


@pytest.fixture
async def slow() -> AsyncIterator[SlowWork]:
    work = SlowWork(threads=8, of_a_user=2)
    yield work
    work.close()


class Endless:
    """Work that ends at a checkpoint alone."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        try:
            while True:
                checkpoint()
                threading.Event().wait(0.01)
        finally:
            self.ended.set()


async def test_a_cancelled_call_is_over_when_its_thread_is() -> None:
    begun, let_go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert let_go.wait(60)

    call = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 60)
    for _ in range(3):
        call.cancel()
        await asyncio.sleep(0.05)
    assert not call.done()
    let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_slow_work_that_nobody_waits_for_ends_at_its_next_checkpoint(slow: SlowWork) -> None:
    work = Endless()
    call = asyncio.create_task(slow.run("ann", work))
    await asyncio.to_thread(work.begun.wait, 60)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert work.ended.is_set(), "and the call is not over before"


async def test_slow_work_of_one_holds_up_nobody_else(slow: SlowWork) -> None:
    works = [Endless() for _ in range(5)]
    calls = [asyncio.create_task(slow.run("ann", work)) for work in works]
    for work in works[:2]:
        await asyncio.to_thread(work.begun.wait, 60)
    assert await slow.run("bob", lambda: 7) == 7
    assert await in_thread(lambda: 8) == 8
    assert not any(work.begun.is_set() for work in works[2:]), "she has her share of the threads"
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert await slow.run("ann", lambda: 9) == 9


async def test_slow_work_ends_when_the_daemon_stops(slow: SlowWork) -> None:
    work = Endless()
    call = asyncio.create_task(slow.run("ann", work))
    await asyncio.to_thread(work.begun.wait, 60)
    slow.close()
    with pytest.raises(StoppingError):
        await call
    with pytest.raises(StoppingError):
        await slow.run("bob", lambda: None)


def _stop() -> None:
    raise Cancelled("enough")


def _hash(folder: Path) -> None:
    with (folder / "a").open("rb") as file:
        hash_stream(file)


def _list(folder: Path) -> None:
    SharedFolders({"footage": folder}).find("footage", "a", "plate")


def _receive(folder: Path) -> None:
    store, blob = DiskBlobStore(folder), BlobId("0" * 64, 9)
    try:
        with checked_by(lambda: None):
            upload = store.receive("ann", blob, 0)
        upload.write(b"12345")
        upload.close()
        try:
            store.receive("ann", blob, 5)
        finally:
            assert not store._busy, "another call may go on with it"
    finally:
        store.close()


@pytest.mark.parametrize(
    "work",
    [
        _hash,
        _list,
        lambda folder: digest_files({"a": folder / "a"}, "backdrop"),
        _receive,
    ],
    ids=["a file", "the files of a path", "shared files", "an upload that goes on"],
)
def test_what_reads_whole_files_looks_whether_it_is_wanted(tmp_path: Path, work: Callable[[Path], object]) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with checked_by(_stop), pytest.raises(Cancelled):
        work(tmp_path)
