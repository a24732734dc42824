"""Who is next, and how many jobs a user may have waiting. The journal is the queue, so a restart changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from anyportal_daemon.config_keys import key, number, whole
from anyportal_daemon.errors import QuotaError
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.order import LONGEST_WAIT, Standing, order

HOLD = 1.0
"""Seconds until it is asked again whether a user's jobs have to wait."""


@dataclass(frozen=True)
class Rules:
    """What a user may have, and what everybody gets."""

    queued: int = key(whole(200), "Jobs that a user may have waiting.", 10_000, reloads=True)
    running: int | None = key(
        whole(1),
        "Jobs that a user may have running at once.",
        None,
        unset="as many as there are workers",
        reloads=True,
    )
    longest_wait: float = key(
        number(3600),
        "Seconds without a turn after which a user goes before priority and share.",
        LONGEST_WAIT,
        reloads=True,
    )


class Scheduler:
    """Hands queued jobs to workers, however many there are."""

    def __init__(self, journal: Journal, rules: Rules | None = None) -> None:
        self._ledger, self.rules = journal.ledger, rules or Rules()
        self._news, self._told = threading.Condition(), 0
        self._taking = threading.Lock()
        """Held while a worker chooses a job and begins it, so that the next one to choose sees that."""
        self.workers: Callable[[], int] = lambda: 1
        """How many can take jobs now."""
        self.may_begin: Callable[[str, str], bool] = lambda user, job_id: True
        """Asked for the job whose turn it is: while it has to wait, so have the others of its user."""
        self._held: dict[str, float] = {}
        """By user, when to ask again."""

    def follow(self, rules: Rules) -> None:
        """Other rules from now on, also for what waits."""
        self.rules = rules
        self.wake()

    def wake(self) -> None:
        """A job was queued, or the daemon stops."""
        with self._news:
            self._told += 1
            self._news.notify_all()

    def next(self, patience: float, begin: Callable[[str], bool] = lambda job: True) -> str | None:
        """The next job's id, once it is begun; None when there is none, for which it waits ``patience`` seconds.

        Args:
            begin: begins a job; says whether it could. No other worker chooses one meanwhile.
        """
        told = self._told
        with self._taking:
            job = self._first()
            if job is not None:
                return job if begin(job) else None
        with self._news:
            self._news.wait_for(lambda: self._told != told, patience)
        return None

    def _first(self) -> str | None:
        """The job to run now: the first of the queue whose user may have one more."""
        waiting = self._ledger.waiting()
        if not waiting:
            return None
        standings, most, now = self._ledger.standings(), self.rules.running, time.monotonic()
        if most is not None:
            waiting = [job for job in waiting if standings.get(job.user, Standing()).running < most]
        while waiting := [job for job in waiting if self._held.get(job.user, now) <= now]:
            queue = order(waiting, standings, self._ledger.now, lambda job: 0.0, self.rules.longest_wait)
            first = next(queue)
            self._held.pop(first.user, None)
            if self.may_begin(first.user, first.id):
                return first.id
            self._held[first.user] = now + HOLD
        return None

    def admit(self, user: str) -> None:
        """Raises QuotaError where a user has as many jobs waiting as may be."""
        waiting = self._ledger.waiting_of(user)
        if waiting >= self.rules.queued:
            raise QuotaError(
                f"{waiting} of your jobs wait already, and {self.rules.queued} may",
                hint="try again when some have run, or cancel some: anyportal jobs --state queued",
                facts={"queued": str(waiting), "limit": str(self.rules.queued)},
            )
