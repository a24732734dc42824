"""The only place that makes objects and ties them together."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

from anyportal_core.errors import AnyPortalError, StorageError
from anyportal_core.models import Models
from anyportal_daemon.announcing import announced
from anyportal_daemon.config import Config
from anyportal_daemon.errors import DrainingError
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.claims import StoreNeeds
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.scheduler import Scheduler
from anyportal_daemon.security import exposure
from anyportal_daemon.security.accounts import DAY, AccountAuthenticator, Accounts
from anyportal_daemon.security.announcement import Announcement, new_token
from anyportal_daemon.security.audit import AuditLog
from anyportal_daemon.security.tls.credentials import TlsFiles
from anyportal_daemon.security.users import Authenticator, TokenAuthenticator
from anyportal_daemon.server.bell import Bell
from anyportal_daemon.server.blobs import BlobService
from anyportal_daemon.server.catalog import CatalogService
from anyportal_daemon.server.jobs import JobService
from anyportal_daemon.server.server import Server
from anyportal_daemon.server.store import StoreService
from anyportal_daemon.server.threads import SlowWork
from anyportal_daemon.server.watch import Watch
from anyportal_daemon.state import StateDirectory
from anyportal_daemon.storage.ballast import Ballast
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.keeper import Keeper
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.storage.shares import Shares
from anyportal_daemon.storage.shelves import StageShelf
from anyportal_daemon.storage.verification import Verifier
from anyportal_daemon.upkeep import Upkeep
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


@dataclass(frozen=True)
class Served(Announcement):
    """A daemon that serves: where, and what whoever runs it can do to it."""

    upkeep: Upkeep = field(kw_only=True)


@asynccontextmanager
async def daemon(
    config: Config, patience: Patience = PATIENCE, authenticator: Authenticator | None = None
) -> AsyncIterator[Served]:
    """A daemon that serves inside the block and has stopped, leaving no child, after it.

    Args:
        authenticator: who may call; by default whoever can read ``daemon.json``.

    Raises:
        StartError, StorageError: it cannot start.
    """
    state = StateDirectory(config.state)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "files"))
    with (
        closing(state.lock()),
        closing(Accounts(state.root)) as accounts,
        closing(AuditLog(state.root)) as audit,
        closing(Journal(state.journal)) as journal,
        closing(DiskBlobStore(state.root)) as store,
    ):
        tls = exposure.credentials(config, accounts)
        bell, scheduler, slow = Bell(), Scheduler(journal, config.jobs), SlowWork()
        folders = SharedFolders(config.mappings, state.root)
        ballast = Ballast(state.root)
        shelves = (*store.shelves, StageShelf(state.stages))
        needs = StoreNeeds(journal.claims, lambda: book.settled(), store)
        shares = Shares(store, config.user_share)
        keeper = Keeper(state.root, shelves, needs, config.budget, shares=shares, gave_up=lambda n: book.gave_up(n))
        book = JobBook(journal, store, told=bell.ring, queued=scheduler.wake, ballast=ballast, keeper=keeper)
        book.recover()
        ballast.hold()
        setup = WorkerSetup(store.files.root, state.stages, state.scratch, os.getpid(), config.models, config.worker)
        workers = Workers(book, journal, scheduler, folders, child.main, setup, patience)
        jobs = JobService(book, journal, scheduler, workers, folders, bell, slow)
        verifier = Verifier(store, shelves, journal.claims.jobs, book.spoilt)
        token, number = new_token(), version("anyportal")
        known = authenticator or AccountAuthenticator(accounts, TokenAuthenticator(token, owner=True))
        watch = Watch(known, config.limits, audit)
        server = Server(
            watch,
            BlobService(store, keeper.reserve, book.spoilt, slow),
            StoreService(state.root, store, shelves, keeper, verifier),
            jobs,
            CatalogService(workers, journal, state.root, number, Models.configured(config.models), folders),
        )
        served = await server.start(config.listen, tls.credentials if tls else None)
        chores = [asyncio.create_task(_tend(keeper, book)), *([asyncio.create_task(_remind(tls.files))] if tls else [])]
        try:
            workers.start()
            announcement = Announcement(str(served.local), token, os.getpid(), number, str(served.lan or ""))
            announcement.write(state.root)
            takers = (
                lambda new: scheduler.follow(new.jobs),
                lambda new: keeper.limit(new.budget, new.user_share),
                lambda new: watch.set_limits(new.limits),
            )
            upkeep = Upkeep(config, takers, lambda: jobs.refuse(_draining()), workers.rest)
            async with announced(served.lan if config.announce else None, number):
                yield Served(**asdict(announcement), upkeep=upkeep)
        finally:
            for chore in chores:
                chore.cancel()
            jobs.refuse()
            slow.close()
            server.refuse()
            await asyncio.to_thread(workers.stop)
            bell.close()
            await server.stop(GRACE)
            await jobs.close()
            Announcement.remove(state.root)


def _draining() -> DrainingError:
    hint = "call again when it is back; jobs that wait stay in its queue"
    return DrainingError("the daemon takes no more jobs: it ends when those that run are done", hint=hint)


async def _remind(files: TlsFiles) -> None:
    """Say every day where the certificate ends soon."""
    while True:
        try:
            files.warn()
        except AnyPortalError as error:
            log.error("the certificate cannot be looked at: %s", error)
        await asyncio.sleep(DAY)


async def _tend(keeper: Keeper, book: JobBook) -> None:
    """Keep the store within its budget while jobs fill it, and free of what deleted ones left behind."""
    while True:
        await asyncio.sleep(TENDING)
        try:
            await asyncio.to_thread(book.tidy)
            await asyncio.to_thread(keeper.trim)
        except (StorageError, OSError) as error:
            log.error("the store cannot be kept within its budget: %s", error)
