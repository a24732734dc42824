"""What may happen to a job, and when: the only place that changes one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TypeVar

from anyportal.v1 import jobs_pb2
from anyportal.v1.jobs_pb2 import Job, JobEvent
from anyportal_core.errors import DiskFullError, StorageError
from anyportal_daemon.errors import (
    BlobCorruptError,
    BlobNotFoundError,
    BlobsMissingError,
    JobNotFoundError,
    JobStateError,
)
from anyportal_daemon.jobs.journal import ENDED, Journal, Request
from anyportal_daemon.jobs.plan import Plan, inputs
from anyportal_daemon.jobs.records import job_error, moved
from anyportal_daemon.jobs.resumption import Finished, interrupted, lost
from anyportal_daemon.storage.ballast import Ballast
from anyportal_daemon.storage.blobs import BlobId, BlobStore
from anyportal_daemon.storage.files import hash_stream
from anyportal_daemon.storage.keeper import UNLIMITED, Housekeeper

T = TypeVar("T")


class JobBook:
    """The life of jobs: queued, running, ended.

    Args:
        told: called with a job's id after something about it is on disk.
        queued: called after a job was queued.
        ballast: the room in which jobs can be ended on a full disk; without it none is begun.
        keeper: asked for room before a job is queued or begun, and told what a deleted job leaves behind.
    """

    def __init__(
        self,
        journal: Journal,
        store: BlobStore,
        told: Callable[[str], None],
        queued: Callable[[], None],
        ballast: Ballast,
        keeper: Housekeeper = UNLIMITED,
    ) -> None:
        self._journal, self._store, self._told, self._queued = journal, store, told, queued
        self._ballast, self._keeper = ballast, keeper
        self._unwritten: dict[str, StorageError] = {}
        """Jobs that have ended while the journal could not take it."""
        self._claiming = threading.Lock()
        """Held while what jobs claim and what users possess must agree."""

    # What users do.

    def create(self, user: str, plan: Plan, request: Request | None) -> Job:
        """Queue a checked job.

        Raises:
            BlobsMissingError: the user has not uploaded all of its inputs.
            RequestIdError: the request's id was used for another job.
            DiskFullError: its end could not be written down, or the user has more than their part of the store.
        """
        self._need_room(user)
        with self._claiming:
            self._need_inputs(user, plan.blobs)
            job = self._journal.create(user, plan.job, [blob for _, blob in plan.blobs], request)
        self._queued()
        return job

    def cancel(self, user: str, job_id: str) -> None:
        """End a queued job; ask a running one to end."""

        def update(job: Job) -> Iterable[JobEvent]:
            if job.state == Job.QUEUED:
                return [moved(job, Job.CANCELLED)]
            job.cancel_requested = job.state == Job.RUNNING
            return []

        self._urgently(lambda: self._change(job_id, update, user))

    def retry(self, user: str, job_id: str) -> None:
        """Queue a failed or cancelled job again, or one whose results are no longer all there.

        Raises:
            JobStateError: it has not ended, or it succeeded and its results are there.
            BlobsMissingError: the store no longer has all of its inputs.
            DiskFullError: its end could not be written down.
        """
        self._need_room(user)

        def update(job: Job) -> Iterable[JobEvent]:
            if job.state not in (Job.FAILED, Job.CANCELLED) and not (job.state == Job.SUCCEEDED and gone):
                raise JobStateError(
                    f"a job that is {_word(job)} cannot be queued again",
                    where=f"jobs/{job_id}",
                    hint="only failed and cancelled jobs can, and those whose results the store has lost",
                )
            sequence = job.last_sequence
            job.Clear()
            job.last_sequence = sequence
            return [moved(job, Job.QUEUED)]

        with self._claiming:
            asked = self._journal.job(user, job_id)
            gone = self._store.missing(user, [_blob(file) for file in asked.results])
            if asked.state in ENDED:
                self._need_inputs(user, inputs(asked))
            self._change(job_id, update, user)
        self._queued()

    def _need_inputs(self, user: str, named: Sequence[tuple[str, BlobId]]) -> None:
        """Raises BlobsMissingError where the user does not have all of these."""
        missing = set(self._store.missing(user, [blob for _, blob in named]))
        if missing:
            raise BlobsMissingError(
                f"{len(missing)} of the job's files are not uploaded",
                where=next(field for field, blob in named if blob in missing),
                hint="submit it again: what is missing is uploaded",
                fields=[field for field, blob in named if blob in missing],
            )

    def delete(self, user: str, job_id: str) -> None:
        """Forget a job that has ended, and what only it claimed.

        Raises:
            JobStateError: it has not ended.
        """

        def check(job: Job) -> None:
            if job.state not in ENDED:
                raise JobStateError(f"the job is {_word(job)}", where=f"jobs/{job_id}", hint="cancel it first")

        with self._claiming:
            freed = self._urgently(lambda: self._journal.delete(user, job_id, check))
            self._urgently(lambda: self._store.release(user, freed))
        self.tidy()

    def tidy(self) -> None:
        """Drop the stage results that only deleted jobs had; later those that a running job may have come across."""
        claims = self._journal.claims
        if left := set(claims.leftovers()):
            gone = left - self._keeper.drop(left)
            if gone:
                self._urgently(lambda: claims.dropped(gone))

    def settled(self) -> AbstractContextManager[object]:
        """While this is open no job is created or deleted, and none tells of results."""
        return self._claiming

    # What workers do.

    def rendering(self) -> AbstractContextManager[None]:
        """While a job renders: what it finds in the store stays there, whoever deletes the job that made it."""
        return self._store.holding()

    def start(self, job_id: str) -> bool:
        """Take a queued job; False when it is no longer queued, or fails since the disk, or its user's part, is full.

        Raises:
            StorageError: not even that can be written down.
        """
        taken = False

        def update(job: Job) -> Iterable[JobEvent]:
            nonlocal taken
            taken = job.state == Job.QUEUED
            if not taken:
                return []
            job.attempts += 1
            return [moved(job, Job.RUNNING)]

        try:
            self._need_room(self._journal.user_of(job_id))
        except DiskFullError as error:  # nobody is left waiting for space that may never come
            self._refuse(job_id, error)
            return False
        try:
            self._change(job_id, update)
            return taken
        except DiskFullError:
            self._refuse(job_id, _full())
            return False

    def _refuse(self, job_id: str, error: StorageError) -> None:
        """Fail a job that is still queued."""

        def update(job: Job) -> Iterable[JobEvent]:
            if job.state != Job.QUEUED:
                return []
            job.error.CopyFrom(job_error(error))
            return [moved(job, Job.FAILED)]

        try:
            self._urgently(lambda: self._change(job_id, update))
        except StorageError:
            self.stalled(job_id, error)
            raise

    def opened(self, job_id: str, frames: str, rate: tuple[int, int]) -> None:
        """The job's media are open: these frames will be delivered, at this rate."""

        def update(job: Job) -> Iterable[JobEvent]:
            job.frames_delivered = frames
            job.frame_rate.numerator, job.frame_rate.denominator = rate
            return []

        self._change(job_id, update)

    def progressed(self, job_id: str, stage: str, stage_fraction: float, fraction: float) -> None:
        def update(job: Job) -> Iterable[JobEvent]:
            job.progress.stage, job.progress.stage_fraction = stage, stage_fraction
            job.progress.fraction = max(job.progress.fraction, fraction)
            return [JobEvent(progress=job.progress)]

        self._change(job_id, update)

    def stage_done(self, job_id: str, stage: str, seconds: float) -> None:
        def update(job: Job) -> Iterable[JobEvent]:
            job.stage_seconds[stage] = seconds
            return []

        self._change(job_id, update)

    def made(self, job_id: str, files: Sequence[jobs_pb2.ResultFile]) -> None:
        """Result files are in the store: give them to the job's user and tell of them.

        Raises:
            DiskFullError: they cannot be written down; or the store is full, and the user has more than their part.
        """
        user = self._journal.user_of(job_id)
        blobs = [_blob(file) for file in files]
        try:
            self._keeper.came(sum(blob.size for blob in blobs), user)
        except DiskFullError:
            with self._claiming:
                self._urgently(lambda: self._store.release(user, self._store.missing(user, blobs)))
            raise
        with self._claiming:
            new = self._store.missing(user, blobs)
            try:
                self._store.grant(user, blobs)
                self._change(job_id, lambda job: [JobEvent(results=jobs_pb2.ResultsReady(files=files))])
            except StorageError:  # no job claims them, so nothing else would ever free their room
                self._urgently(lambda: self._store.release(user, new))
                raise

    def said(self, job_id: str, text: str, warning: bool) -> None:
        severity = jobs_pb2.LogLine.WARNING if warning else jobs_pb2.LogLine.INFO
        line = jobs_pb2.LogLine(severity=severity, text=text)
        self._change(job_id, lambda job: [JobEvent(log=line)])

    def succeeded(self, job_id: str) -> None:
        self._urgently(lambda: self._change(job_id, lambda job: [moved(job, Job.SUCCEEDED)]))

    def cancelled(self, job_id: str) -> None:
        self._urgently(lambda: self._change(job_id, lambda job: [moved(job, Job.CANCELLED)]))

    def failed(self, job_id: str, error: jobs_pb2.JobError) -> None:
        def update(job: Job) -> Iterable[JobEvent]:
            job.error.CopyFrom(error)
            return [moved(job, Job.FAILED)]

        self._urgently(lambda: self._change(job_id, update))

    def lost(self, job_id: str, how: str) -> None:
        """A job's worker died: it goes on with the next one, unless it has killed too many."""
        self._urgently(lambda: self._change(job_id, lambda job: lost(job, how)))
        self._queued()

    def interrupted(self, job_id: str, why: str) -> None:
        """The daemon stops while a job runs: it goes on at the next start."""
        self._urgently(lambda: self._change(job_id, lambda job: interrupted(job, why)))

    def finished(self, job_id: str, go_on: Callable[[], bool] = lambda: True) -> Finished:
        """What a job has delivered so far, as far as it is still in the store and whole.

        Args:
            go_on: asked before each file is read; when it is not to go on nobody will rely on the rest.
        """
        key, files, took = self._journal.delivered(job_id)
        user, files = self._journal.user_of(job_id), [file for file in files if file.HasField("frame")]
        missing = set(self._store.missing(user, [_blob(file) for file in files]))
        missing |= self._drop_damaged(job_id, user, [file for file in files if _blob(file) not in missing], go_on)
        every = {file.frame for file in files}
        frames = every - {file.frame for file in files if _blob(file) in missing}
        return Finished(key, frozenset(frames), took * len(frames) / max(len(every), 1))

    def _drop_damaged(
        self, job_id: str, user: str, files: Sequence[jobs_pb2.ResultFile], go_on: Callable[[], bool]
    ) -> set[BlobId]:
        """The blobs of those files that are damaged: they are dropped, and the job says so."""
        damaged = {}
        for blob, name in {_blob(file): file.filename for file in files}.items():
            if not go_on():
                break
            if not _is_sound(self._store, user, blob):
                self._store.damaged(blob)
                damaged[blob] = name
        if damaged:
            first, more = min(damaged.values()), len(damaged) - 1
            self._journal.spoil(job_id)
            others = f" and {more} more were" if more else " was"
            self.said(job_id, f"the result {first}{others} damaged: made again", warning=True)
        return set(damaged)

    def finishing(self, job_id: str, key: str, took: float = 0.0) -> None:
        """A job begins to deliver files that ``key`` decides; those of another key are no longer its results.

        Args:
            took: seconds that went into those which it need not make again.
        """
        self._journal.deliver(job_id, key, took)

    def spoilt(self, sha256: str) -> None:
        """A blob was damaged, and is gone: the jobs that have made it say so."""
        for job_id in self._journal.claims.jobs(sha256):
            with suppress(JobNotFoundError, StorageError):  # deleted this moment; or the disk is full, which is told
                _, files, _ = self._journal.delivered(job_id)
                names = [file.filename for file in files if file.blob.sha256 == sha256]
                if names:
                    self._journal.spoil(job_id)
                    self.said(job_id, f"the result {names[0]} was damaged: run the job again to have it", warning=True)

    def gave_up(self, names: Sequence[str]) -> None:
        """Results that nobody had fetched made room for others: the jobs that have made them say so."""
        jobs = dict.fromkeys(job_id for name in names for job_id in self._journal.claims.jobs(name))
        gone = set(names)
        for job_id in jobs:
            with suppress(JobNotFoundError, StorageError):
                _, files, _ = self._journal.delivered(job_id)
                lost = [file.filename for file in files if file.blob.sha256 in gone]
                if lost:
                    self.said(job_id, _given_up(lost), warning=True)

    def stalled(self, job_id: str, error: StorageError) -> None:
        """A job has ended, and not even the ballast makes room to write it down: whoever watches learns why."""
        self._unwritten[job_id] = error
        self._told(job_id)

    def check_written(self, job_id: str) -> None:
        """Raises what keeps a job's end from being written down, where something does."""
        if error := self._unwritten.get(job_id):
            raise error

    def recover(self) -> None:
        """Queue what ran when its daemon died, so that it goes on; and drop bytes that nobody has.

        A job that got no further since it was begun may be what took the daemon down: that counts as a lost worker.
        """
        self._store.sweep()
        for job_id in self._journal.in_state(Job.RUNNING):
            self._recover(job_id, "the daemon died while the job ran")

    def abandoned(self, job_id: str) -> None:
        """What watched over a job failed, and its worker is dead: where it still counts as running it goes on."""
        self._store.sweep()
        if self._journal.status(job_id).state == Job.RUNNING:
            self._recover(job_id, "the daemon lost track of the job")

    def _recover(self, job_id: str, how: str) -> None:
        if self._journal.status(job_id).progress.fraction > self._journal.begun_at(job_id):
            self.interrupted(job_id, how)
        else:
            self.lost(job_id, how)

    def _change(self, job_id: str, update: Callable[[Job], Iterable[JobEvent]], user: str | None = None) -> None:
        self._journal.change(job_id, update, user)
        self._unwritten.pop(job_id, None)
        self._told(job_id)

    def _urgently(self, write: Callable[[], T]) -> T:
        """Write what must not wait for space: on a full disk into the room kept back for it."""
        while True:
            try:
                return write()
            except DiskFullError:
                if not self._ballast.drop():
                    raise

    def _need_room(self, user: str | None = None) -> None:
        self._keeper.need(user=user)
        if not self._ballast.hold():
            raise _full()


def _full() -> DiskFullError:
    where, hint = "the daemon's state directory", "free some space, then run it again"
    return DiskFullError("the daemon's disk is full", where=where, hint=hint)


def _given_up(names: Sequence[str]) -> str:
    what = f"{names[0]} and {len(names) - 1} more results are" if len(names) > 1 else f"the result {names[0]} is"
    why = "others needed room in the daemon's store, and you had more than your part of it"
    return f"{what} gone: {why}; run the job again to have {'them' if len(names) > 1 else 'it'}"


def _is_sound(store: BlobStore, user: str, blob: BlobId) -> bool:
    """Whether a user's blob is what it is called."""
    try:
        with store.open(user, blob) as file:
            return hash_stream(file) == blob.sha256
    except (BlobCorruptError, BlobNotFoundError):
        return False


def _blob(file: jobs_pb2.ResultFile) -> BlobId:
    return BlobId(file.blob.sha256, file.blob.size_bytes)


def _word(job: Job) -> str:
    return Job.State.Name(job.state).lower()
