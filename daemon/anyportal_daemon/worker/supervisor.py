"""Keeps one worker child alive and gives it one job at a time."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from anyportal.v1.jobs_pb2 import Job
from anyportal_core.errors import StorageError
from anyportal_core.registry import Catalogue
from anyportal_daemon.errors import StartingError
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.scheduler import Scheduler
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker.messages import Ready, WorkerSetup
from anyportal_daemon.worker.process import ChildLostError, ChildMain, ChildProcess
from anyportal_daemon.worker.run import JobRun, Patience, StopSign, clear

log = logging.getLogger(__name__)

_TELLING = 2
"""Starts in a row that fail before the jobs that wait are told."""


@dataclass(frozen=True)
class WorkerStatus:
    """The worker as clients may see it."""

    state: Literal["starting", "ready", "busy", "draining", "dead"]
    pid: int = 0
    device: str = ""
    job: str = ""
    trouble: str = ""
    memory_bytes: int = 0
    beat_at: float = 0.0


class Supervisor:
    """One thread that owns one child. What is to be done stands in the journal, which is asked at every tick."""

    def __init__(
        self,
        book: JobBook,
        journal: Journal,
        scheduler: Scheduler,
        folders: SharedFolders,
        child: ChildMain,
        setup: WorkerSetup,
        patience: Patience,
    ) -> None:
        self._book, self._journal, self._scheduler, self._folders = book, journal, scheduler, folders
        self._child, self._setup, self._patience = child, setup, patience
        self._stop = StopSign()
        self._resting = False
        self._beginning = threading.Lock()
        """Held while a job is begun."""
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._catalogue: Catalogue | None = None
        self._trouble = ""
        self._child_process: ChildProcess | None = None
        self._status = WorkerStatus("starting")

    @property
    def status(self) -> WorkerStatus:
        """The worker now."""
        status, child = self._status, self._child_process
        if child is not None and child.pid == status.pid:
            status = replace(status, memory_bytes=child.memory_bytes, beat_at=child.beat_at)
        ending = self._stop or self._resting
        return replace(status, state="draining") if ending and status.state == "busy" else status

    @property
    def catalogue(self) -> Catalogue:
        """What the child can do; it stays known while a new child starts.

        Raises:
            StartingError: no child has been ready yet.
        """
        if self._catalogue is None:
            raise StartingError(
                f"the worker cannot start: {self._trouble}" if self._trouble else "the worker is starting",
                hint="see the daemon's log" if self._trouble else "try again in a moment",
            )
        return self._catalogue

    def start(self) -> None:
        self._thread.start()

    @property
    def resting(self) -> bool:
        """Whether no more jobs are begun: the daemon drains."""
        return self._resting

    def rest(self) -> bool:
        """From now on begin no job; says whether none runs."""
        with self._beginning:
            self._resting = True
            return self._status.state != "busy"

    def stop(self) -> None:
        """Give a running job a little time, then end it. The child is gone afterwards."""
        self._stop.set()
        self._scheduler.wake()
        self._thread.join()

    def _run(self) -> None:
        pause, failures = 1.0, 0
        while not self._stop:
            self._status = WorkerStatus("starting")
            try:
                self._live()
            except ChildLostError as lost:
                self._trouble = str(lost)
                if not self._stop:
                    log.error("the worker ended: %s", lost)
            except Exception as error:  # a bug, or a system without room for a process: the daemon serves on
                self._trouble = f"{type(error).__name__}: {error}"
                log.exception("the worker cannot be supervised")
            never_ready = self._status.state == "starting"
            failures = failures + 1 if never_ready else 0
            self._status = WorkerStatus("dead", trouble=self._trouble)
            if failures == _TELLING and not self._stop:
                self._tell_the_waiting()
            if never_ready:
                self._stop.wait(pause)
            pause = min(2 * pause, self._patience.restart) if never_ready else 1.0

    def _tell_the_waiting(self) -> None:
        """Have the jobs in the queue say why nothing happens to them."""
        text = f"the worker cannot start ({self._trouble}); the daemon goes on trying, its log says more"
        with suppress(StorageError):
            for job_id in self._journal.in_state(Job.QUEUED):
                self._book.said(job_id, text, warning=True)

    def _live(self) -> None:
        """One child's life.

        Raises:
            ChildLostError: it died, or had to be killed.
        """
        self._book.recover()  # nothing can be running without a child
        clear(self._setup)
        child = self._child_process = ChildProcess(self._child, self._setup)
        self._status = WorkerStatus("starting", child.pid)
        try:
            self._await_ready(child)
            self._serve(child)
            child.stop(self._patience.stop)
        finally:
            child.kill()

    def _await_ready(self, child: ChildProcess) -> None:
        deadline = time.monotonic() + self._patience.start
        while not self._stop:
            message = child.receive(self._patience.tick)
            if isinstance(message, Ready):
                self._catalogue, self._trouble = message.catalogue, ""
                self._status = WorkerStatus("ready", child.pid, message.device)
                return
            if time.monotonic() > deadline:
                raise ChildLostError(f"it was not ready after {self._patience.start:g} s")

    def _serve(self, child: ChildProcess) -> None:
        """Give the child jobs until the daemon stops."""
        idle = self._status
        while not self._stop:
            child.check()
            job_id = self._next(child, idle)
            if job_id is not None:
                self._job(job_id, child).run()
                self._status = idle

    def _job(self, job_id: str, child: ChildProcess) -> JobRun:
        book, journal, folders = self._book, self._journal, self._folders
        return JobRun(job_id, child, book, journal, folders, self._setup, self._patience, self._stop)

    def _next(self, child: ChildProcess, idle: WorkerStatus) -> str | None:
        """A job that was queued and is now started, unless the child died while it had nothing to do."""
        try:
            job_id = self._scheduler.next(self._patience.tick)
            return job_id if job_id and child.alive and self._begin(job_id, idle) else None
        except StorageError as error:
            log.error("no job can be started: %s", error)
            self._stop.wait(2)
            return None

    def _begin(self, job_id: str, idle: WorkerStatus) -> bool:
        with self._beginning:
            begun = not self._stop and not self._resting and self._book.start(job_id)
            if begun:
                self._status = WorkerStatus("busy", idle.pid, idle.device, f"jobs/{job_id}")
        if self._resting and not begun:
            self._stop.wait(self._patience.tick)  # the queue would give it again at once
        return begun
