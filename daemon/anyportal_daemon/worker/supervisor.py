"""Keeps one worker child alive and gives it one job at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from anyportal.v1.jobs_pb2 import Job
from anyportal_core.errors import StorageError
from anyportal_core.registry import Catalogue
from anyportal_daemon.errors import JobNotFoundError, StartingError
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.scheduler import Scheduler
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker.messages import Failed, Ready, WorkerSetup
from anyportal_daemon.worker.process import ChildLostError, ChildMain, ChildProcess
from anyportal_daemon.worker.run import JobRun, Patience, StopSign, clear_after

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
    name: str = ""


@dataclass(frozen=True)
class Colleagues:
    """What a supervisor has to do with the others; alone it has nothing.

    Args:
        found: told of the devices that a child has found, which was to find one.
        working: whether any other child works.
    """

    found: Callable[[tuple[str, ...]], None] = lambda devices: None
    working: Callable[[], bool] = lambda: False


class Supervisor:
    """One thread that owns one child. What is to be done stands in the journal, which is asked at every tick.

    Args:
        name: of the worker, unlike those of the others.
    """

    def __init__(
        self,
        book: JobBook,
        journal: Journal,
        scheduler: Scheduler,
        folders: SharedFolders,
        child: ChildMain,
        setup: WorkerSetup,
        patience: Patience,
        name: str = "worker-1",
        colleagues: Colleagues | None = None,
    ) -> None:
        self._book, self._journal, self._scheduler, self._folders = book, journal, scheduler, folders
        self._child, self._setup, self._patience = child, setup, patience
        self._name, self._colleagues = name, colleagues or Colleagues()
        self._stop = StopSign()
        self._resting = False
        self._beginning = threading.Lock()
        """Held while a job is begun."""
        self._thread = threading.Thread(target=self._run, name=f"supervisor of {name}", daemon=True)
        self._catalogue: Catalogue | None = None
        self._trouble = ""
        self._child_process: ChildProcess | None = None
        self._given: str | None = None
        """The job that the child was given last, until all that became of it is written down."""
        self._status = WorkerStatus("starting")

    @property
    def status(self) -> WorkerStatus:
        """The worker now."""
        status, child = replace(self._status, name=self._name), self._child_process
        status = replace(status, device=status.device or self._setup.device)
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

    @property
    def knows(self) -> bool:
        """Whether a child has said what it can do."""
        return self._catalogue is not None

    def start(self) -> None:
        self._thread.start()

    def rest(self) -> bool:
        """From now on begin no job: the daemon drains. Says whether none runs."""
        with self._beginning:
            self._resting = True
            return self._status.state != "busy"

    def ask_to_stop(self) -> None:
        """Begin no job any more, and give one that runs a little time."""
        if not self._stop:
            self._stop.set()
            self._scheduler.wake()

    def stop(self) -> None:
        """Give a running job a little time, then end it. The child is gone afterwards."""
        self.ask_to_stop()
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
                    log.error("%s ended: %s", self._called, lost)
            except Exception as error:  # a bug, or a system without room for a process: the daemon serves on
                self._trouble = f"{type(error).__name__}: {error}"
                log.exception("%s cannot be supervised", self._called)
            never_ready = self._status.state == "starting"
            failures = failures + 1 if never_ready else 0
            self._status = WorkerStatus("dead", trouble=self._trouble)
            if failures == _TELLING and not self._stop and not self._colleagues.working():
                self._tell_the_waiting()
            if never_ready:
                self._stop.wait(pause)
            pause = min(2 * pause, self._patience.restart) if never_ready else 1.0

    @property
    def _called(self) -> str:
        return f"{self._name} ({self._setup.device})" if self._setup.device else self._name

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
        self._recover()
        child = self._child_process = ChildProcess(self._child, self._setup)
        self._status = WorkerStatus("starting", child.pid)
        try:
            self._await_ready(child)
            self._serve(child)
            child.stop(self._patience.stop)
        finally:
            child.kill()
            clear_after(self._setup, child.pid, self._given)

    def _recover(self) -> None:
        """Without a child nothing can be running that it was given."""
        if self._given is not None:
            with suppress(JobNotFoundError):
                self._book.abandoned(self._given)
            self._given = None

    def _await_ready(self, child: ChildProcess) -> None:
        deadline = time.monotonic() + self._patience.start
        while not self._stop:
            message = child.receive(self._patience.tick)
            if isinstance(message, Failed):
                raise ChildLostError(f"{message.message} ({message.where}): {message.hint}")
            if isinstance(message, Ready):
                self._is_ready(child, message)
                return
            if time.monotonic() > deadline:
                raise ChildLostError(f"it was not ready after {self._patience.start:g} s")

    def _is_ready(self, child: ChildProcess, ready: Ready) -> None:
        self._catalogue, self._trouble = ready.catalogue, ""
        self._status = WorkerStatus("ready", child.pid, ready.device)
        if ready.devices:  # the next child need not look for them, and must not take another's
            self._setup = replace(self._setup, device=ready.device, share=len(ready.devices))
            self._colleagues.found(ready.devices)

    def _serve(self, child: ChildProcess) -> None:
        """Give the child jobs until the daemon stops."""
        idle = self._status
        while not self._stop:
            child.check()
            job_id = self._next(child, idle)
            if job_id is not None:
                self._job(job_id, child).run()
                self._given, self._status = None, idle

    def _job(self, job_id: str, child: ChildProcess) -> JobRun:
        book, journal, folders = self._book, self._journal, self._folders
        return JobRun(job_id, child, book, journal, folders, self._setup, self._patience, self._stop)

    def _next(self, child: ChildProcess, idle: WorkerStatus) -> str | None:
        """A job that was queued and is now started, unless the child died while it had nothing to do."""
        try:
            if self._resting:
                self._stop.wait(self._patience.tick)
                return None
            return self._scheduler.next(self._patience.tick, lambda job_id: child.alive and self._begin(job_id, idle))
        except StorageError as error:
            log.error("no job can be started: %s", error)
            self._stop.wait(2)
            return None

    def _begin(self, job_id: str, idle: WorkerStatus) -> bool:
        with self._beginning:
            if self._stop or self._resting:
                return False
            self._given = job_id
            begun = self._book.start(job_id)
            if begun:
                self._status = WorkerStatus("busy", idle.pid, idle.device, f"jobs/{job_id}")
            else:
                self._given = None
        return begun
