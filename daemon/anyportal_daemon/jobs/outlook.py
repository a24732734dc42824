"""What users may expect: the place of every job in the queue, and when it will run and be done."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, isfinite
from typing import NamedTuple

from anyportal.v1.jobs_pb2 import Job, Outlook
from anyportal_daemon.errors import JobNotFoundError
from anyportal_daemon.jobs.estimates import Estimate, Experience, JobSize, size_of
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.order import Waiting, order
from anyportal_daemon.jobs.scheduler import Scheduler

UNEXPECTED = 60.0
"""Seconds that a job of unknown length is taken to last, for the order of the queue alone: no time is told from it."""

SLICE, BREATH = 0.0005, 0.0005
"""Seconds of a look after which others get the interpreter, and for which they do: they would wait five milliseconds
each time that they need it."""


class Place(NamedTuple):
    """Of a job that waits. A tuple, since a queue may be long: few of them are ever told of.

    Args:
        until: seconds until a worker is free for it; None where that is not known.
    """

    number: int
    until: float | None
    estimate: Estimate


@dataclass(frozen=True)
class Look:
    """The queue as it was at one moment.

    Args:
        running: by id, what is to be expected of jobs that run.
        waiting: by id, the places of the others.
        until: seconds until a worker would be free for one more; None where that is not known.
        estimate: how long a job of a size takes, the size as a text.
    """

    running: Mapping[str, Outlook] = field(default_factory=dict)
    waiting: Mapping[str, Place] = field(default_factory=dict)
    until: float | None = 0.0
    estimate: Callable[[str], Estimate] = Experience({}, {}, {}).of_text

    def of(self, job_id: str) -> Outlook | None:
        """What is to be expected of a job; None where it had ended, or was not yet there."""
        place = self.waiting.get(job_id)
        return self.running.get(job_id) if place is None else _waiting(place)

    def behind(self, job: Job) -> Outlook:
        """What would be to be expected of a checked job that was queued behind all others."""
        number = 0 if self.until == 0 and not self.waiting else len(self.waiting) + 1
        return _waiting(Place(number, self.until, self.estimate(size_of(job).as_text())))

    def add(self, job: Job) -> bool:
        """Write into a job what is to be expected of it; False where it came to be what it is after this look."""
        outlook = self.of(job.name.removeprefix("jobs/"))
        if outlook is None or (outlook.queue_position > 0) != (job.state == Job.QUEUED):
            return False
        job.outlook.CopyFrom(outlook)
        return True


class Outlooks:
    """Looks at the queue. Used by one thread at a time."""

    def __init__(self, journal: Journal, scheduler: Scheduler) -> None:
        self._journal, self._scheduler = journal, scheduler
        self._experience, self._version = Experience({}, {}, {}), -1
        self._estimated, self._size = lru_cache(10_000)(self._estimate), lru_cache(20_000)(JobSize.of_text)

    def look(self) -> Look:
        """Look at the whole queue, and let others work meanwhile."""
        ledger = self._journal.ledger
        if self._version != ledger.version:
            self._version = ledger.version
            self._experience = ledger.experience()
            self._estimated.cache_clear()
        workers, longest = max(self._scheduler.workers(), 1), self._scheduler.rules.longest_wait
        running, free = self._running(workers)
        queue = order(ledger.waiting(), ledger.standings(), ledger.now, self._lasts, longest, workers)
        waiting, slice_ends = {}, time.perf_counter() + SLICE
        for number, job in enumerate(queue, 1):
            estimate, until = self._estimated(job.size), free[0]
            waiting[job.id] = Place(number, until if isfinite(until) else None, estimate)
            heapq.heapreplace(free, until + (inf if estimate.seconds is None else estimate.seconds))
            if time.perf_counter() > slice_ends:
                time.sleep(BREATH)
                slice_ends = time.perf_counter() + SLICE
        return Look(running, waiting, free[0] if isfinite(free[0]) else None, self._estimated)

    def _running(self, workers: int) -> tuple[dict[str, Outlook], list[float]]:
        """Jobs that run, and for each worker the seconds until it is free, least first; infinite where unknown."""
        found: dict[str, Outlook] = {}
        busy: list[float] = []
        for job_id, size, elapsed in self._journal.ledger.running():
            try:
                status = self._journal.status(job_id)
            except JobNotFoundError:  # deleted this moment
                continue
            left = remaining(status, self._estimated(size.as_text()), elapsed)
            found[job_id] = Outlook(end_seconds=left, unknown="" if left is not None else "it has only just begun")
            busy.append(inf if left is None else left)
        idle = [0.0] * (workers - len(busy))
        return found, idle + sorted(busy)[-workers:]

    def _estimate(self, size: str) -> Estimate:
        return self._experience.estimate(self._size(size))

    def _lasts(self, job: Waiting) -> float:
        seconds = self._estimated(job.size).seconds
        return UNEXPECTED if seconds is None else seconds


def _waiting(place: Place) -> Outlook:
    estimate = place.estimate
    outlook = Outlook(queue_position=place.number, unknown=estimate.unknown, rough=estimate.rough)
    if place.until is None:
        outlook.unknown = outlook.unknown or "how long a job before it takes is not known"
        return outlook
    outlook.start_seconds = place.until
    if estimate.seconds is not None:
        outlook.end_seconds = place.until + estimate.seconds
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
