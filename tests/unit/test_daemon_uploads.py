"""An upload whose call has ended is let go of, whatever the threads that do the file work are at."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path

import pytest

from anyportal.v1 import blobs_pb2, media_pb2
from anyportal_client.channel import Connection
from anyportal_client.discovery import Endpoint
from anyportal_client.transfers import find_missing, upload
from anyportal_core.errors import DiskFullError
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from anyportal_daemon.security.users import Principal, let_in
from anyportal_daemon.server.blobs import MAX_DATA, WAITING, BlobService, _opened, _Writing
from anyportal_daemon.server.threads import in_thread
from anyportal_daemon.storage import disk, keeper
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.memory import MemoryBlobStore


async def test_an_upload_is_closed_though_its_call_is_cancelled_before_a_thread_is_free() -> None:
    """The connection is cut as the call ends: what waits for a thread is not to be forgotten with it."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    store, blob = MemoryBlobStore(), BlobId(hashlib.sha256(b"data").hexdigest(), 4)
    busy, free, ending = threading.Event(), threading.Event(), asyncio.Event()

    def work() -> None:
        busy.set()
        free.wait()

    async def call() -> None:
        async with _opened(in_thread, partial(store.receive, "ann", blob, 0)):
            loop.run_in_executor(None, work)
            while not busy.is_set():
                await asyncio.sleep(0)
            ending.set()

    running = asyncio.create_task(call())
    await ending.wait()
    await asyncio.sleep(0)  # now it waits for a thread to close the upload
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    free.set()
    await asyncio.to_thread(lambda: None)  # whatever was asked of the thread before is done
    store.receive("ann", blob, 0).close()


async def test_a_client_goes_on_though_its_old_connection_never_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a cable is pulled: nobody tells the daemon, which would wait for the next byte."""
    monkeypatch.setattr(disk, "SILENT", 0.3)
    data, source = bytes(range(256)) * 4096, tmp_path / "source"
    source.write_bytes(data)
    blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    async with daemon(Config(Address("127.0.0.1", 0), tmp_path / "state")) as found:
        endpoint = Endpoint(found.address, found.token)
        old, new = Connection(endpoint), Connection(endpoint)
        call = old.blobs.WriteBlob(metadata=[("authorization", f"Bearer {found.token}")])
        await call.write(blobs_pb2.WriteBlobRequest(blob=blob, data=data[: len(data) // 2]))
        asked = blobs_pb2.GetUploadRequest(blob=blob)
        while (await new.call(new.blobs.GetUpload, asked)).committed_bytes < len(data) // 2:
            await asyncio.sleep(0.01)
        await upload(new, source, blob)
        assert await find_missing(new, [blob]) == []
        await old.close()
        await new.close()


class Idle:
    """No job needs anything."""

    def settled(self) -> AbstractContextManager[None]:
        return nullcontext()

    def blob(self, sha256: str) -> bool:
        return False

    def all_blobs(self) -> set[str]:
        return set()

    def stages_since(self) -> None:
        return None


async def test_an_open_upload_keeps_what_it_has_announced_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the store is counted meanwhile; a call that is cut leaves it to the next."""
    monkeypatch.setattr(keeper, "RECOUNT", 0.0)
    store = MemoryBlobStore()
    service = BlobService(store, keeper.Keeper(tmp_path, store.shelves, Idle(), budget=100).reserve)
    let_in(Principal("ann"))

    async def send(data: bytes, go_on: asyncio.Event) -> blobs_pb2.Upload:
        blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))

        async def messages() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
            yield blobs_pb2.WriteBlobRequest(blob=blob, data=data[:5])
            await go_on.wait()
            yield blobs_pb2.WriteBlobRequest(data=data[5:])

        return await service.WriteBlob(messages(), None)  # type: ignore[arg-type]

    go_on, at_once = asyncio.Event(), asyncio.Event()
    at_once.set()
    first = asyncio.create_task(send(b"a" * 80, go_on))
    while not store.shelves[1].total().size:
        await asyncio.sleep(0.01)
    with pytest.raises(DiskFullError):
        await send(b"b" * 80, at_once)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    assert (await send(b"b" * 80, at_once)).complete


async def test_little_of_an_upload_waits_for_a_disk_that_does_not_keep_up() -> None:
    """However large its messages are."""
    go_on, taken, written = threading.Event(), list[int](), list[int]()

    def write(data: bytes) -> None:
        go_on.wait(20)
        written.append(len(data))

    async def send(writing: _Writing) -> None:
        for _ in range(8):
            await writing.take(bytes(MAX_DATA))
            taken.append(MAX_DATA)

    async with _Writing(write) as writing:
        sending = asyncio.create_task(send(writing))
        await asyncio.sleep(0.3)
        waiting = sum(taken) - sum(written)
        go_on.set()
        await sending
    assert waiting <= 2 * WAITING
    assert sum(written) == sum(taken) == 8 * MAX_DATA
