"""What users may expect: the place of every job in the queue, and when it will run and be done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache

from anyportal.v1.jobs_pb2 import Job, Outlook
from anyportal_daemon.errors import JobNotFoundError
from anyportal_daemon.jobs.estimates import Estimate, Experience, JobSize, size_of
from anyportal_daemon.jobs.journal import ENDED, Journal
from anyportal_daemon.jobs.order import Waiting, order
from anyportal_daemon.jobs.scheduler import Scheduler

REST, SHORT_REST = 20, 2
"""After a look at the queue it is not looked at again for so many times as long as that took: a long queue must not
keep the daemon busy. The short rest is for who cannot do with what was seen; all who wait share the next look."""

LONGEST_REST = 0.5
"""Seconds that somebody waits at most."""

OLDEST = 2.0
"""Seconds after which it is looked at anew though nothing has happened: running jobs go on."""

UNEXPECTED = 60.0
"""Seconds that a job of unknown length is taken to last, for the order of the queue alone: no time is told from it."""


class Outlooks:
    """Safe to use from any thread."""

    def __init__(self, journal: Journal, scheduler: Scheduler) -> None:
        self._journal, self._scheduler = journal, scheduler
        self._lock = threading.Lock()
        self._queue: Mapping[str, Outlook] = {}
        self._looked, self._cost, self._seen = 0.0, 0.0, -1
        self._experience, self._version = Experience({}, {}, {}), -1
        self._estimated = lru_cache(10_000)(self._estimate)

    def add(self, job: Job) -> None:
        """Write into a job what is to be expected of it."""
        if job.state not in ENDED and (outlook := self.of(job.name.removeprefix("jobs/"))):
            job.outlook.CopyFrom(outlook)

    def add_to_page(self, jobs: Iterable[Job]) -> None:
        """The same for a list of jobs, for which nobody waits: what was queued this moment may lack it."""
        expected = self.all()
        for job in jobs:
            if job.state not in ENDED and (outlook := expected.get(job.name.removeprefix("jobs/"))):
                job.outlook.CopyFrom(outlook)

    def prospect(self, job: Job) -> Outlook:
        """What would be to be expected of a checked job that was queued now, behind all others."""
        queue = list(self.all().values())
        known = all(each.HasField("end_seconds") for each in queue)
        until = max((each.end_seconds for each in queue), default=0.0) if known else None
        place = 1 + sum(each.queue_position > 0 for each in queue) if queue else 0
        with self._lock:
            return _waiting(place, until, self._estimated(size_of(job).as_text()))

    def of(self, job_id: str, fresh: bool = False) -> Outlook | None:
        """What is to be expected of a job; None where it has ended.

        Args:
            fresh: as things are now; else it may be a moment old.
        """
        with self._lock:
            if self._is_stale() and (fresh or job_id not in self._queue):
                self._look_after(SHORT_REST)
        return self.all().get(job_id)

    def all(self) -> Mapping[str, Outlook]:
        """By id, every job that has not ended. A moment old, where the queue is long."""
        with self._lock:
            if time.monotonic() - self._looked >= REST * self._cost and self._is_stale():
                self._look_after(0)
            return self._queue

    def _is_stale(self) -> bool:
        return time.monotonic() - self._looked > OLDEST or self._journal.ledger.written() != self._seen

    def _look_after(self, rest: float) -> None:
        """Look at the queue, at the earliest so many times as long after the last look as that took."""
        wait = self._looked + min(rest * self._cost, LONGEST_REST) - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        begun, self._seen = time.monotonic(), self._journal.ledger.written()
        self._queue = self._look()
        self._looked = time.monotonic()
        self._cost = self._looked - begun

    def _look(self) -> dict[str, Outlook]:
        ledger = self._journal.ledger
        if self._version != ledger.version:
            self._version = ledger.version
            self._experience = ledger.experience()
            self._estimated.cache_clear()
        found, until = self._running()
        queue = order(ledger.waiting(), ledger.standings(), ledger.now, self._lasts, self._scheduler.rules.longest_wait)
        for place, job in enumerate(queue, 1):
            estimate = self._estimated(job.size)
            found[job.id] = _waiting(place, until, estimate)
            until = None if until is None or estimate.seconds is None else until + estimate.seconds
        return found

    def _running(self) -> tuple[dict[str, Outlook], float | None]:
        """Jobs that run, and the seconds until the device is free; None where that is not known."""
        found: dict[str, Outlook] = {}
        free: float | None = 0.0
        for job_id, size, elapsed in self._journal.ledger.running():
            try:
                status = self._journal.status(job_id)
            except JobNotFoundError:  # deleted this moment
                continue
            left = remaining(status, self._estimated(size.as_text()), elapsed)
            found[job_id] = Outlook(end_seconds=left, unknown="" if left is not None else "it has only just begun")
            free = None if free is None or left is None else max(free, left)
        return found, free

    def _estimate(self, size: str) -> Estimate:
        return self._experience.estimate(JobSize.of_text(size))

    def _lasts(self, job: Waiting) -> float:
        seconds = self._estimated(job.size).seconds
        return UNEXPECTED if seconds is None else seconds


def _waiting(place: int, until: float | None, estimate: Estimate) -> Outlook:
    outlook = Outlook(queue_position=place, unknown=estimate.unknown, rough=estimate.rough)
    if until is None:
        outlook.unknown = outlook.unknown or "how long a job before it takes is not known"
        return outlook
    outlook.start_seconds = until
    if estimate.seconds is not None:
        outlook.end_seconds = until + estimate.seconds
    return outlook


def remaining(status: Job, estimate: Estimate, elapsed: float) -> float | None:
    """Seconds until a running job has ended: from earlier jobs' times, else from its own progress."""
    progress = status.progress
    if not estimate.unknown and progress.stage in estimate.stages:
        names = list(estimate.stages)
        after = names[names.index(progress.stage) + 1 :]
        return estimate.stages[progress.stage] * (1 - progress.stage_fraction) + sum(estimate.stages[n] for n in after)
    if not estimate.unknown and not progress.stage:
        return estimate.seconds
    if progress.fraction >= 0.1:
        return elapsed * (1 - progress.fraction) / progress.fraction
    return None
