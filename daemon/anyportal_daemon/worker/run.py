"""One job on one child: given to it, followed, written down."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import dataclass, replace

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal_core.errors import AnyPortalError, DiskFullError, StorageError
from anyportal_core.record import Extent, StageRecord
from anyportal_daemon.errors import TimeLimitError
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.estimates import FINISH
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.resumption import Finished
from anyportal_daemon.storage.ballast import PORTION
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker.assignment import assignment
from anyportal_daemon.worker.messages import (
    CancelJob,
    Failed,
    FilesMade,
    Finishing,
    MadeFile,
    Opened,
    Outcome,
    Progressed,
    Ready,
    Recorded,
    Report,
    Said,
    StageBegun,
    StageDone,
    Succeeded,
    WasCancelled,
    WorkerSetup,
)
from anyportal_daemon.worker.names import STATE, PlainNames
from anyportal_daemon.worker.process import ChildLostError, ChildProcess, ChildTooLargeError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long the daemon waits for its worker, in seconds.

    Args:
        start: for a new child to be ready.
        cancel: for a child to let go of a cancelled job before it is killed.
        stop: for a running job to end by itself when the daemon stops, and as long again to let go.
        tick: between two looks at what was asked for.
        restart: at most, between two attempts to start a child that cannot start.
        silence: of a child that renders, until the job's log says so.
    """

    start: float = 60
    cancel: float = 4
    stop: float = 3
    tick: float = 0.2
    restart: float = 30
    silence: float = 300


@dataclass(frozen=True)
class _Lost:
    """The worker died under the job."""

    how: str


class _Interrupted:
    """The daemon stops while the job runs."""


_End = Outcome | _Lost | _Interrupted


class StopSign:
    """Set once, when the daemon stops."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._time = 0.0

    def set(self) -> None:
        self._time = time.monotonic()
        self._event.set()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)

    def __bool__(self) -> bool:
        return self._event.is_set()

    @property
    def age(self) -> float:
        """Seconds since it was set; 0 before."""
        return time.monotonic() - self._time if self else 0.0


class JobRun:
    """A started job and the child that renders it."""

    def __init__(
        self,
        job_id: str,
        child: ChildProcess,
        book: JobBook,
        journal: Journal,
        folders: SharedFolders,
        setup: WorkerSetup,
        patience: Patience,
        stop: StopSign,
    ) -> None:
        self._job_id, self._child, self._book, self._journal = job_id, child, book, journal
        self._folders, self._patience, self._stop = folders, patience, stop
        self._setup, self._names = setup, PlainNames(setup, job_id)
        self._begun = self._heard = self._reported = time.monotonic()
        self._finished, self._spared = Finished(), 0.0
        self._due: float | None = None
        """When the child is killed, since the job should end; None: it may go on."""

    def run(self) -> None:
        """See the job to its end, or back into the queue. The child may be dead afterwards."""
        with self._book.rendering():
            outcome = self._outcome()
        if not self._child.alive:
            clear_after(self._setup, self._child.pid, self._job_id)  # on a full disk this may be all the room there is
        while True:
            try:
                self._settle(outcome)
                return
            except StorageError as error:  # the ballast was not enough, and no other job could run either
                self._book.stalled(self._job_id, self._plain(error))
                log.error("the end of job %s cannot be written down: %s", self._job_id, error)
                if self._stop.wait(2):
                    return  # the next start finds it running, and has it go on

    def _outcome(self) -> _End:
        try:
            self._finished = self._book.finished(self._job_id, self._is_wanted)
            message = assignment(self._job_id, self._journal.asked(self._job_id), self._finished, self._folders)
            self._heard = self._reported = time.monotonic()
        except AnyPortalError as error:
            return _failure(error)
        try:
            self._child.send(message, self._is_due, self._patience.tick)
            return self._follow()
        except ChildTooLargeError as large:
            return _failure(large.error)
        except ChildLostError as lost:
            return self._ended_early(str(lost))
        except AnyPortalError as error:  # what the child reports cannot be kept, so it need not go on
            self._child.kill()
            return _failure(error)

    def _is_wanted(self) -> bool:
        return not self._stop and not self._journal.status(self._job_id).cancel_requested

    def _follow(self) -> _End:
        next_look, asked = time.monotonic() + self._patience.tick, False
        while True:
            message = self._child.receive(self._patience.tick)
            if isinstance(message, WasCancelled):
                return self._ended_early("it let go of the job unasked")
            if isinstance(message, Succeeded | Failed):
                return message
            if message is not None and not isinstance(message, Ready):
                self._note(message)
            now = time.monotonic()
            self._mark_silence(now, message is not None)
            if now < next_look:
                continue
            next_look = now + self._patience.tick
            if self._is_due():
                self._child.kill()
                raise ChildLostError("killed, since it did not let go of the job")
            if self._due is not None and not asked:
                asked = True
                self._child.send(CancelJob(self._job_id), self._is_due, self._patience.tick)

    def _mark_silence(self, now: float, heard: bool) -> None:
        """Say so when the child reports nothing for long: it may work on something large, or hang. Then kill it."""
        if heard:
            self._reported = now
        elif now - self._reported > self._setup.limits.silence_seconds:
            self._child.kill()
            raise ChildLostError(f"killed, since it reported nothing for {now - self._reported:.0f} s")
        silence = now - self._heard
        if heard or silence > self._patience.silence:
            self._heard = now
        if not heard and silence > self._patience.silence:
            text = f"no progress for {silence:.0f} s: the worker may hang; cancel the job and run it again if it does"
            self._book.said(self._job_id, text, warning=True)

    def _is_due(self) -> bool:
        """Whether the job should have ended by now, and the child had time to let go of it."""
        if self._due is None and (patience := self._patience_left()) is not None:
            self._due = time.monotonic() + patience
        return self._due is not None and time.monotonic() > self._due

    def _patience_left(self) -> float | None:
        """For how long the child may still have the job, where that should end."""
        if self._journal.status(self._job_id).cancel_requested or self._over_time():
            return self._patience.cancel
        return self._patience.stop if self._stop.age > self._patience.stop else None

    def _over_time(self) -> bool:
        most = self._setup.limits.job_seconds
        return most is not None and time.monotonic() - self._begun > most

    def _ended_early(self, how: str) -> _End:
        if self._journal.status(self._job_id).cancel_requested:
            return WasCancelled()
        if self._over_time():
            hint = "give fewer frames, or raise worker.job_seconds in the daemon's configuration"
            most = self._setup.limits.job_seconds
            return _failure(TimeLimitError(f"it ran longer than the {most:g} s that are allowed", hint=hint))
        if self._stop:
            return _Interrupted()
        if shutil.disk_usage(self._setup.scratch.parent).free < PORTION:  # libraries crash where they cannot write
            hint = "free some space, then run it again"
            return _failure(DiskFullError(f"the disk is full; the worker process died ({how})", where=STATE, hint=hint))
        return _Lost(how)

    def _note(self, report: Report) -> None:
        job_id, book = self._job_id, self._book
        match report:
            case Progressed(stage, stage_fraction, fraction):
                book.progressed(job_id, stage, stage_fraction, fraction)
            case FilesMade(files):
                book.made(job_id, [_result_file(file) for file in files])
            case StageDone(stage, seconds, reused):
                if not reused:
                    book.stage_done(job_id, stage, self._in_all(stage, seconds))
            case StageBegun(key):
                self._journal.begin_stage(job_id, key)
            case Finishing(finish):
                self._spared = self._finished.seconds_of(finish)
                book.finishing(job_id, finish, self._spared)
            case Recorded(what):
                self._journal.ledger.note(job_id, self._whole(what))
            case Opened(frames, rate):
                book.opened(job_id, frames, rate)
            case Said(text, warning):
                book.said(job_id, self._names.plain(text), warning)

    def _in_all(self, stage: str, seconds: float) -> float:
        """What a stage took: an earlier run may have made files of the result that this one need not make."""
        return seconds + self._spared if stage == FINISH else seconds

    def _whole(self, what: Extent | StageRecord) -> Extent | StageRecord:
        return replace(what, seconds=self._in_all(what.stage, what.seconds)) if isinstance(what, StageRecord) else what

    def _settle(self, outcome: _End) -> None:
        plain = self._names.plain
        match outcome:
            case Succeeded():
                self._book.succeeded(self._job_id)
            case WasCancelled():
                self._book.cancelled(self._job_id)
            case _Lost(how):
                self._book.lost(self._job_id, f"the worker process died ({plain(how)})")
            case _Interrupted():
                self._book.interrupted(self._job_id, "the daemon was stopped while the job ran")
            case Failed(code, message, where, hint):
                error = jobs_pb2.JobError(code=code, message=plain(message), where=plain(where), hint=hint)
                self._book.failed(self._job_id, error)

    def _plain(self, error: StorageError) -> StorageError:
        return type(error)(self._names.plain(error.message), where=self._names.plain(error.where), hint=error.hint)


def clear(setup: WorkerSetup) -> None:
    """Drop what children had not finished, none of which lives."""
    shutil.rmtree(setup.scratch, ignore_errors=True)
    for folder in (setup.blobs, setup.stages):
        for leftover in folder.glob("*.part"):
            leftover.unlink(missing_ok=True)


def clear_after(setup: WorkerSetup, pid: int, job_id: str | None) -> None:
    """Drop what a child that is dead had not finished; others may be at work."""
    if job_id:
        shutil.rmtree(setup.scratch / job_id, ignore_errors=True)
    for leftover in (*setup.blobs.glob(f"{pid}-*.part"), *setup.stages.glob(f"*.{pid}-*.part")):
        leftover.unlink(missing_ok=True)


def _failure(error: AnyPortalError) -> Failed:
    return Failed(error.code, error.message, error.where, error.hint)


def _result_file(made: MadeFile) -> jobs_pb2.ResultFile:
    blob = media_pb2.Blob(sha256=made.sha256, size_bytes=made.size)
    return jobs_pb2.ResultFile(blob=blob, filename=made.filename, layers=made.layers, frame=made.frame)
