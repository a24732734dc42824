"""The only place that makes objects and ties them together."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from importlib.metadata import version

from anyportal_core.errors import StorageError
from anyportal_core.models import Models
from anyportal_daemon.config import Config
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.claims import StoreNeeds
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.scheduler import Scheduler
from anyportal_daemon.security.announcement import Announcement, new_token
from anyportal_daemon.security.users import Authenticator, TokenAuthenticator
from anyportal_daemon.server.bell import Bell
from anyportal_daemon.server.blobs import BlobService
from anyportal_daemon.server.catalog import CatalogService
from anyportal_daemon.server.jobs import JobService
from anyportal_daemon.server.server import Server
from anyportal_daemon.server.store import StoreService
from anyportal_daemon.state import StateDirectory
from anyportal_daemon.storage.ballast import Ballast
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.keeper import Keeper
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.storage.shelves import StageShelf
from anyportal_daemon.storage.verification import Verifier
from anyportal_daemon.worker import child
from anyportal_daemon.worker.messages import WorkerSetup
from anyportal_daemon.worker.run import Patience
from anyportal_daemon.worker.workers import Workers

log = logging.getLogger(__name__)

THREADS = 16
"""For file and database work, so that the event loop never waits for a disk."""

PATIENCE = Patience()

TENDING = 10.0
"""Seconds between two looks at the store's size."""

GRACE = 1.0
"""Seconds that running rpcs get at the end."""


@asynccontextmanager
async def daemon(
    config: Config, patience: Patience = PATIENCE, authenticator: Authenticator | None = None
) -> AsyncIterator[Announcement]:
    """A daemon that serves inside the block and has stopped, leaving no child, after it.

    Args:
        authenticator: who may call; by default whoever can read ``daemon.json``.

    Raises:
        StartError, StorageError: it cannot start.
    """
    state = StateDirectory(config.state)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "files"))
    with closing(state.lock()), closing(Journal(state.journal)) as journal, closing(DiskBlobStore(state.root)) as store:
        bell, scheduler, folders = Bell(), Scheduler(journal, config.jobs), SharedFolders(config.mappings)
        ballast = Ballast(state.root)
        shelves = (*store.shelves, StageShelf(state.stages))
        needs = StoreNeeds(journal.claims, lambda: book.settled(), store)
        keeper = Keeper(state.root, shelves, needs, config.budget)
        book = JobBook(journal, store, told=bell.ring, queued=scheduler.wake, ballast=ballast, keeper=keeper)
        book.recover()
        ballast.hold()
        setup = WorkerSetup(store.files.root, state.stages, state.scratch, os.getpid(), config.models, config.worker)
        workers = Workers(book, journal, scheduler, folders, child.main, setup, patience)
        jobs = JobService(book, journal, scheduler, workers, folders, bell)
        verifier = Verifier(store, shelves, journal.claims.jobs, book.spoilt)
        token, number = new_token(), version("anyportal")
        server = Server(
            authenticator or TokenAuthenticator(token, owner=True),
            BlobService(store, keeper.reserve, book.spoilt),
            StoreService(state.root, store, shelves, keeper, verifier),
            jobs,
            CatalogService(workers, journal, state.root, number, Models.configured(config.models), folders),
        )
        address = await server.start(config.listen)
        tending = asyncio.create_task(_tend(keeper, book))
        try:
            workers.start()
            announcement = Announcement(str(address), token, os.getpid(), number)
            announcement.write(state.root)
            yield announcement
        finally:
            tending.cancel()
            jobs.refuse()
            await server.refuse()
            await asyncio.to_thread(workers.stop)
            bell.close()
            await server.stop(GRACE)
            await jobs.close()
            Announcement.remove(state.root)


async def _tend(keeper: Keeper, book: JobBook) -> None:
    """Keep the store within its budget while jobs fill it, and free of what deleted ones left behind."""
    while True:
        await asyncio.sleep(TENDING)
        try:
            await asyncio.to_thread(book.tidy)
            await asyncio.to_thread(keeper.trim)
        except (StorageError, OSError) as error:
            log.error("the store cannot be kept within its budget: %s", error)
