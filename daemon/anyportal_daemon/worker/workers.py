"""All worker children of the daemon: one for each device, each with a supervisor, and one queue for all of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from anyportal_core.registry import Catalogue
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.scheduler import Scheduler
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker.limits import Limits
from anyportal_daemon.worker.messages import WorkerSetup
from anyportal_daemon.worker.process import ChildMain
from anyportal_daemon.worker.run import Patience, clear
from anyportal_daemon.worker.supervisor import Colleagues, Supervisor, WorkerStatus

_ABLE = ("ready", "busy", "draining")


class Workers:
    """Safe to use from any thread.

    Where the configuration names no devices the first child looks for them, since finding them takes torch, which the
    daemon's own process does not load; the others are started when it has told.

    Args:
        setup: what each child is started with; ``limits.devices`` says on which devices.
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
    ) -> None:
        self._book, self._journal, self._scheduler, self._folders = book, journal, scheduler, folders
        self._child, self._setup, self._patience = child, setup, patience
        self._lock, self._stopped, self.resting = threading.Lock(), False, False
        """The lock is held while workers are added."""
        self._all: tuple[Supervisor, ...] = ()
        self._hire(setup.limits.devices or ("",), len(setup.limits.devices) or 1)
        scheduler.workers = self._able

    @property
    def supervisors(self) -> Sequence[Supervisor]:
        return self._all

    @property
    def statuses(self) -> Sequence[WorkerStatus]:
        """All of them now, in the order of their devices."""
        return [each.status for each in self._all]

    @property
    def catalogue(self) -> Catalogue:
        """What the children can do, which is the same for all; known since the first of them was ready.

        Raises:
            StartingError: none has been ready yet.
        """
        known = (each for each in self._all if each.knows)
        return next(known, self._all[0]).catalogue

    @property
    def limits(self) -> Limits:
        """Of each of them."""
        return self._setup.limits

    def start(self) -> None:
        clear(self._setup)
        for each in self._all:
            each.start()

    def rest(self) -> bool:
        """From now on begin no job: the daemon drains. Says whether none runs."""
        with self._lock:
            self.resting = True
            return all([each.rest() for each in self._all])

    def stop(self) -> None:
        """Give running jobs a little time, then end them. All children are gone afterwards."""
        with self._lock:
            self._stopped = True
        for each in self._all:
            each.ask_to_stop()
        for each in self._all:
            each.stop()

    def _found(self, devices: tuple[str, ...]) -> None:
        """The first child runs on the first of these: start one on each of the others."""
        with self._lock:
            if not self._stopped and not self.resting:
                for each in self._hire(devices[1:], len(devices)):
                    each.start()

    def _hire(self, devices: Sequence[str], share: int) -> list[Supervisor]:
        new = [self._supervisor(number, device, share) for number, device in enumerate(devices, len(self._all) + 1)]
        self._all = (*self._all, *new)
        return new

    def _supervisor(self, number: int, device: str, share: int) -> Supervisor:
        name = f"worker-{number}"
        return Supervisor(
            self._book,
            self._journal,
            self._scheduler,
            self._folders,
            self._child,
            replace(self._setup, device=device, share=share),
            self._patience,
            name,
            Colleagues(self._found, lambda: self._able(but=name) > 0),
        )

    def _able(self, but: str = "") -> int:
        """How many can take jobs now, or have one."""
        return sum(status.state in _ABLE and status.name != but for status in self.statuses)
