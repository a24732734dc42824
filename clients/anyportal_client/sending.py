"""From a request to a queued job: digests, what the daemon lacks, the job."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal_client.channel import Connection
from anyportal_client.errors import ClientError, MediaError
from anyportal_client.events import LogLine, OnEvent, Submitted, Uploading
from anyportal_client.hashing import HashCache
from anyportal_client.mappings import shared
from anyportal_client.messages import Job
from anyportal_client.shortening import shortened
from anyportal_client.shot import ReadyShot
from anyportal_client.tasks import run_all
from anyportal_client.transfers import find_missing, upload

_AT_ONCE = 4
_CREATE_SECONDS = 60.0
_UNDO_SECONDS = 10.0
LOST = ("BLOB_CORRUPT", "BLOBS_MISSING")
"""Why a job failed whose footage the daemon no longer has as it was sent."""

_UNDO_SECONDS_AWAY = 1.0
"""While the daemon is away, which it may be for long."""


class Sender:
    """Submits one request. `folders` are those that the daemon reaches by itself, by the names of its mappings."""

    def __init__(
        self,
        connection: Connection,
        hashes: HashCache,
        on_event: OnEvent,
        folders: Mapping[str, Path] | None = None,
    ) -> None:
        self._connection = connection
        self._hashes = hashes
        self._on_event = on_event
        self._folders = folders or {}

    async def submit(self, ready: ReadyShot) -> Job:
        """Upload what is missing, and queue. Nothing is uploaded for a job that the daemon would refuse."""
        with tempfile.TemporaryDirectory(prefix="anyportal-", ignore_cleanup_errors=True) as folder:
            return await self._submit(await self._shortened(ready, Path(folder)))

    async def send_again(self, ready: ReadyShot, job: str) -> None:
        """Upload what the daemon has lost of a job's footage, and have the job go on: finished stages are reused.

        Raises:
            ClientError: the footage is no longer here as it was, or the daemon refused.
        """
        with tempfile.TemporaryDirectory(prefix="anyportal-", ignore_cleanup_errors=True) as folder:
            short = await self._shortened(ready, Path(folder))
            await self._send_missing(await self._digests(list(dict.fromkeys(short.sent_paths()))))
        retry = jobs_pb2.RetryJobRequest(name=job)
        try:
            await self._connection.call(self._connection.jobs.RetryJob, retry, job=job)
        except ClientError as error:
            if error.code != "JOB_STATE":  # an answer was lost: it goes on already
                raise

    async def _shortened(self, ready: ReadyShot, folder: Path) -> ReadyShot:
        """The shot without the bytes that need not be sent: what the daemon reaches itself, and parts of movies."""
        remarks: list[str] = []
        stop = threading.Event()

        def checkpoint() -> None:
            if stop.is_set():  # nobody waits for this any more
                raise InterruptedError

        try:
            ready = await asyncio.to_thread(shared, ready, self._folders)
            short = await asyncio.to_thread(shortened, ready, folder, remarks.append, checkpoint)
        finally:
            stop.set()
        for text in remarks:
            self._on_event(LogLine("", 0, "info", text))
        return short

    async def _submit(self, ready: ReadyShot) -> Job:
        blobs = await self._digests(list(dict.fromkeys(ready.paths())))
        message = ready.job(blobs.__getitem__)
        blobs = {path: blobs[path] for path in ready.sent_paths()}
        await self._create(jobs_pb2.CreateJobRequest(job=message, validate_only=True))
        create = jobs_pb2.CreateJobRequest(job=message, request_id=str(uuid.uuid4()))
        await self._send_missing(blobs)
        try:
            job = await self._queue(create)
        except ClientError as error:
            if error.code != "BLOBS_MISSING":
                raise
            # What the daemon had when it was asked it may have thrown away since.
            await self._send_missing(blobs)
            job = await self._queue(create)
        self._on_event(Submitted.of(job))
        return job

    async def check(self, ready: ReadyShot) -> Job:
        """What the daemon says to a request. It looks at no footage for that: no digest has to be right."""
        unread = media_pb2.Blob(sha256="0" * 64, size_bytes=1)
        return await self._create(jobs_pb2.CreateJobRequest(job=ready.job(lambda path: unread), validate_only=True))

    async def _queue(self, request: jobs_pb2.CreateJobRequest) -> Job:
        """Queue a job. A caller who is cancelled before the answer came leaves no job behind that nobody knows of."""
        queued = asyncio.ensure_future(self._create(request))
        try:
            return await asyncio.shield(queued)
        except asyncio.CancelledError:
            with contextlib.suppress(ClientError, TimeoutError):
                async with asyncio.timeout(_UNDO_SECONDS_AWAY if self._connection.away else _UNDO_SECONDS):
                    job = await queued
                    unwanted = jobs_pb2.CancelJobRequest(name=job.name)
                    await self._connection.call(self._connection.jobs.CancelJob, unwanted, job=job.name)
            raise

    async def _create(self, request: jobs_pb2.CreateJobRequest) -> Job:
        call = self._connection.call
        return Job.of(await call(self._connection.jobs.CreateJob, request, seconds=_CREATE_SECONDS))

    async def _digests(self, paths: list[Path]) -> dict[Path, media_pb2.Blob]:
        stop = threading.Event()
        meter = _Meter("reading", sum(path.stat().st_size for path in paths), self._on_event)
        loop = asyncio.get_running_loop()

        def on_bytes(count: int) -> None:
            if stop.is_set():  # nobody waits for this any more
                raise InterruptedError
            loop.call_soon_threadsafe(meter.add, count)

        try:
            found = await asyncio.to_thread(self._hashes.digests, paths, on_bytes)
        except OSError as error:
            raise MediaError(
                f"cannot be read: {error.strerror}", code="MEDIA_UNREADABLE", where=str(error.filename or "")
            ) from error
        finally:
            stop.set()
        meter.end()
        return {path: media_pb2.Blob(sha256=digest.sha256, size_bytes=digest.size) for path, digest in found.items()}

    async def _send_missing(self, blobs: dict[Path, media_pb2.Blob]) -> None:
        paths = {blob.sha256: path for path, blob in blobs.items()}
        each_once = [blobs[path] for path in paths.values()]
        missing = await find_missing(self._connection, each_once)
        if not missing:
            return
        meter = _Meter("sending", sum(blob.size_bytes for blob in missing), self._on_event)
        work = (
            partial(upload, self._connection, paths[blob.sha256], blob, partial(meter.at, blob.sha256))
            for blob in missing
        )
        await run_all(work, _AT_ONCE)
        meter.end()


class _Meter:
    """Bytes done of all files together, told at most ten times a second and once at the end."""

    def __init__(self, phase: Literal["reading", "sending"], total: int, on_event: OnEvent) -> None:
        self._phase = phase
        self._total = total
        self._on_event = on_event
        self._done = 0
        self._files: dict[str, int] = {}
        self._next = 0.0

    def add(self, count: int) -> None:
        """So many bytes more."""
        self._done += count
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.1
            self._on_event(Uploading(self._phase, self._done, self._total))

    def at(self, file: str, position: int) -> None:
        """A file is at a position; after a cut it may be one behind the last."""
        before = self._files.get(file, 0)
        self._files[file] = position
        self.add(position - before)

    def end(self) -> None:
        """All is done."""
        self._on_event(Uploading(self._phase, self._total, self._total))
