"""An upload whose call has ended is let go of, whatever the threads that do the file work are at."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from anyportal_daemon.server.blobs import _opened
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
        async with _opened(store.receive, "ann", blob, 0):
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
