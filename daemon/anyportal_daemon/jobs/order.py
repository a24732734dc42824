"""The law of the queue, as a pure function: who is next, and after that.

Priority first, then the user who had the device least in the last hour, then the job that has waited longest. A user
who has waited very long goes before all of it, so that nobody waits for ever, whatever the others send.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

WINDOW = 3600.0
"""Seconds over which device time is shared."""

LONGEST_WAIT = 3600.0
"""Seconds without a turn after which a user goes before priority and share."""


@dataclass(frozen=True)
class Waiting:
    """A queued job.

    Args:
        number: in the order of creation.
        since: when it was queued, in seconds.
        size: what it is, for an estimate; see ``estimates``.
    """

    id: str
    number: int
    user: str
    priority: int
    since: float
    size: str = ""


@dataclass(frozen=True)
class Standing:
    """What a user has had.

    Args:
        used: seconds of a device in the last hour, those of running jobs included.
        served: when a job of theirs began last, in seconds; 0: not in the last hour.
        running: jobs that run.
    """

    used: float = 0.0
    served: float = 0.0
    running: int = 0


def order(
    waiting: Iterable[Waiting],
    standings: Mapping[str, Standing],
    now: float,
    seconds: Callable[[Waiting], float],
    longest_wait: float = LONGEST_WAIT,
    workers: int = 1,
) -> Iterator[Waiting]:
    """The queue in the order in which jobs will run, if no other job comes.

    The first is the one to run now; for those that follow, each job is taken to last ``seconds`` of one of ``workers``.
    """
    users = {user: _User(jobs, standings.get(user, Standing())) for user, jobs in _by_user(waiting).items()}
    usual = [(user.rank, name) for name, user in users.items()]
    longest = [(user.waits_since, name) for name, user in users.items()]
    heapq.heapify(usual)
    heapq.heapify(longest)
    while users:
        name = _overdue(longest, users, now - longest_wait) or _usual(usual, users)
        user = users[name]
        job = user.take(now)
        yield job
        lasts = seconds(job)
        user.used += lasts
        now += lasts / workers
        if user.jobs:
            heapq.heappush(usual, (user.rank, name))
            heapq.heappush(longest, (user.waits_since, name))
        else:
            del users[name]


class _User:
    """A user who waits, as the queue goes on."""

    def __init__(self, jobs: list[Waiting], standing: Standing) -> None:
        self.jobs = sorted(jobs, key=lambda job: (-job.priority, job.since, job.number), reverse=True)
        """The next one last."""
        self._by_age = sorted(jobs, key=lambda job: job.since, reverse=True)
        self._gone: set[int] = set()
        self._served = standing.served
        self.used = standing.used

    @property
    def rank(self) -> tuple[int, float, float, int]:
        """The least goes first."""
        job = self.jobs[-1]
        return -job.priority, self.used, job.since, job.number

    @property
    def waits_since(self) -> float:
        """Since when the user has a job waiting and had no turn."""
        while self._by_age[-1].number in self._gone:
            self._by_age.pop()
        return max(self._served, self._by_age[-1].since)

    def take(self, now: float) -> Waiting:
        job = self.jobs.pop()
        self._gone.add(job.number)
        self._served = now
        return job


def _by_user(waiting: Iterable[Waiting]) -> dict[str, list[Waiting]]:
    found: dict[str, list[Waiting]] = {}
    for job in waiting:
        found.setdefault(job.user, []).append(job)
    return found


def _overdue(longest: list[tuple[float, str]], users: Mapping[str, _User], before: float) -> str:
    """The user who waits longest, if that is too long; else an empty text."""
    while longest and longest[0][0] <= before:
        since, name = longest[0]
        if name in users and users[name].waits_since == since:
            return name
        heapq.heappop(longest)  # that user had a turn since
    return ""


def _usual(usual: list[tuple[tuple[int, float, float, int], str]], users: Mapping[str, _User]) -> str:
    while True:
        rank, name = heapq.heappop(usual)
        if name in users and users[name].rank == rank:
            return name
