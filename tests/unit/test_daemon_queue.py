"""The law of the queue: priority, then fair shares, then age; nobody starves; and what a user may have."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anyportal.v1 import jobs_pb2
from anyportal.v1.jobs_pb2 import Job, JobEvent
from anyportal_daemon.errors import QuotaError
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.order import WINDOW, Standing, Waiting, order
from anyportal_daemon.jobs.scheduler import Rules, Scheduler

LONGEST = 100.0
"""The longest wait in these tests, in seconds."""


@dataclass(frozen=True)
class Arrival:
    """A job that somebody sends, and how long it will run."""

    after: int
    user: str
    priority: int
    lasts: int


arrivals = st.lists(
    st.builds(Arrival, st.integers(0, 30), st.sampled_from("abcd"), st.integers(-3, 3), st.integers(1, 20)),
    min_size=1,
    max_size=60,
)


@dataclass(frozen=True)
class Turn:
    """A job that was begun."""

    job: Waiting
    began: float
    lasts: int
    queue: tuple[Waiting, ...]
    standings: dict[str, Standing]


def simulate(sent: Sequence[Arrival], longest_wait: float = LONGEST) -> Iterator[Turn]:
    """One device and a queue: every turn until all is done."""
    times = list(itertools.accumulate(each.after for each in sent))
    coming = [
        (Waiting(str(n), n, each.user, each.priority, float(at)), each.lasts)
        for n, (at, each) in enumerate(zip(times, sent, strict=True))
    ]
    lasts = {job.id: seconds for job, seconds in coming}
    waiting: list[Waiting] = []
    runs: list[tuple[str, float, float]] = []
    now = 0.0
    while coming or waiting:
        if not waiting:
            now = max(now, coming[0][0].since)
        while coming and coming[0][0].since <= now:
            waiting.append(coming.pop(0)[0])
        standings = standing(runs, now)
        job = next(order(waiting, standings, now, lambda job: 0.0, longest_wait))
        yield Turn(job, now, lasts[job.id], tuple(waiting), standings)
        waiting.remove(job)
        runs.append((job.user, now, now + lasts[job.id]))
        now += lasts[job.id]


def standing(runs: Sequence[tuple[str, float, float]], now: float) -> dict[str, Standing]:
    found: dict[str, Standing] = {}
    for user, began, ended in runs:
        if ended > now - WINDOW:
            before = found.get(user, Standing())
            found[user] = Standing(before.used + ended - max(began, now - WINDOW), began)
    return found


@given(arrivals)
@example([Arrival(0, "a", 0, 1), *[Arrival(1, "b", 3, 20)] * 50])
@example([Arrival(0, "a", -3, 1), *[Arrival(1, user, 3, 20) for user in "bcd" * 15]])
def test_nobody_starves(sent: list[Arrival]) -> None:
    """Whatever the others send, a user who waits has a turn once the longest wait, a job of each and the one that runs
    are over."""
    most = LONGEST + 5 * 20
    since: dict[str, float] = {}
    for turn in simulate(sent):
        for job in turn.queue:
            since.setdefault(job.user, job.since)
        assert turn.began - since[turn.job.user] <= most
        for user, waits in since.items():
            assert turn.began - waits <= most, user
        mine = [job.since for job in turn.queue if job.user == turn.job.user and job != turn.job]
        since.pop(turn.job.user)
        if mine:
            since[turn.job.user] = turn.began


def test_without_the_longest_wait_somebody_would() -> None:
    """What the law above forbids does happen without it, so its test can fail."""
    sent = [Arrival(0, "b", 3, 20), Arrival(1, "a", 0, 1), *[Arrival(1, "b", 3, 20)] * 40]
    turns = [turn.job.user for turn in simulate(sent, longest_wait=float("inf"))]
    assert turns.index("a") == len(turns) - 1


@given(arrivals)
def test_priority_wins_while_nobody_waits_too_long(sent: list[Arrival]) -> None:
    for turn in simulate(sent, longest_wait=float("inf")):
        assert turn.job.priority == max(job.priority for job in turn.queue)


@given(arrivals)
def test_among_equal_priorities_the_user_goes_first_who_had_least(sent: list[Arrival]) -> None:
    for turn in simulate(sent, longest_wait=float("inf")):
        rivals = {job.user for job in turn.queue if job.priority == turn.job.priority}
        used = {user: turn.standings.get(user, Standing()).used for user in rivals}
        assert used[turn.job.user] == min(used.values())


@given(arrivals)
def test_age_decides_ties(sent: list[Arrival]) -> None:
    for turn in simulate(sent, longest_wait=float("inf")):
        used = {user: standing.used for user, standing in turn.standings.items()}
        tied = [
            (job.since, job.number)
            for job in turn.queue
            if job.priority == turn.job.priority and used.get(job.user, 0) == used.get(turn.job.user, 0)
        ]
        assert (turn.job.since, turn.job.number) == min(tied)


@given(st.lists(st.integers(1, 20), min_size=20, max_size=60), st.lists(st.integers(1, 20), min_size=20, max_size=60))
def test_two_who_always_wait_share_the_device(anns: list[int], bobs: list[int]) -> None:
    """As long as both have jobs they never are further apart than one job."""
    sent = [Arrival(0, "ann", 0, lasts) for lasts in anns] + [Arrival(0, "bob", 0, lasts) for lasts in bobs]
    used, left = {"ann": 0, "bob": 0}, {"ann": len(anns), "bob": len(bobs)}
    for turn in simulate(sent, longest_wait=float("inf")):
        used[turn.job.user] += turn.lasts
        left[turn.job.user] -= 1
        if not all(left.values()):
            break
        assert abs(used["ann"] - used["bob"]) <= 20


@given(arrivals, st.integers(0, 1000))
def test_the_foreseen_order_has_every_job_once_and_begins_with_the_next(sent: list[Arrival], now: int) -> None:
    waiting = [Waiting(str(n), n, each.user, each.priority, float(each.after)) for n, each in enumerate(sent)]
    foreseen = list(order(waiting, {}, now, lambda job: 7.0, LONGEST))
    assert sorted(job.number for job in foreseen) == list(range(len(sent)))
    assert foreseen[0] == next(order(waiting, {}, now, lambda job: 0.0, LONGEST))


@given(arrivals)
def test_what_is_foreseen_happens_when_nothing_comes_between(sent: list[Arrival]) -> None:
    sent = [Arrival(0, each.user, each.priority, each.lasts) for each in sent]
    turns = list(simulate(sent))
    lasts = {turn.job.id: turn.lasts for turn in turns}
    foreseen = order(turns[0].queue, {}, 0.0, lambda job: lasts[job.id], LONGEST)
    assert [job.id for job in foreseen] == [turn.job.id for turn in turns]


# The same on the journal.


class Queue:
    """A journal whose time stands still until it is told to go on."""

    def __init__(self, path: Path, rules: Rules | None = None) -> None:
        self.now = 10_000
        self.journal = Journal(path, clock=lambda: self.now * 1_000_000_000)
        self.scheduler = Scheduler(self.journal, rules)

    def send(self, user: str, priority: int = 0) -> str:
        return self.journal.create(user, Job(priority=priority), [], None).name.removeprefix("jobs/")

    def move(self, job_id: str, state: Job.State.ValueType) -> None:
        def update(job: Job) -> list[JobEvent]:
            job.state = state
            return [JobEvent(state=jobs_pb2.StateChange(state=state))]

        self.journal.change(job_id, update)

    def run(self, job_id: str, seconds: int) -> None:
        self.move(job_id, Job.RUNNING)
        self.now += seconds
        self.move(job_id, Job.SUCCEEDED)

    def next(self) -> str | None:
        return self.scheduler.next(0)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path / "journal.db", Rules(queued=3, running=1, longest_wait=1000))
    yield queue
    queue.journal.close()


def test_a_job_of_greater_priority_goes_first(queue: Queue) -> None:
    queue.send("ann")
    urgent = queue.send("ann", priority=1)
    assert queue.next() == urgent


def test_who_had_the_device_lets_others_go_first_for_an_hour(queue: Queue) -> None:
    queue.run(queue.send("ann"), 60)
    anns = queue.send("ann")
    bobs = queue.send("bob")
    assert queue.next() == bobs
    queue.now += 3600
    assert queue.next() == anns, "an hour ago is forgotten, and hers is older"


def test_deleting_a_job_does_not_give_its_time_back(queue: Queue) -> None:
    done = queue.send("ann")
    queue.run(done, 60)
    queue.journal.delete("ann", done, lambda job: None)
    queue.send("ann")
    bobs = queue.send("bob")
    assert queue.next() == bobs


def test_shares_survive_a_restart(queue: Queue, tmp_path: Path) -> None:
    queue.run(queue.send("ann"), 60)
    queue.send("ann")
    bobs = queue.send("bob")
    queue.journal.close()
    again = Journal(tmp_path / "journal.db", clock=lambda: queue.now * 1_000_000_000)
    assert Scheduler(again).next(0) == bobs
    again.close()


def test_a_job_that_goes_on_after_a_restart_keeps_its_place_and_is_not_charged_for_the_night(
    queue: Queue, tmp_path: Path
) -> None:
    broken = queue.send("ann")
    queue.move(broken, Job.RUNNING)
    queue.send("bob")
    queue.now += 1800
    queue.journal.close()
    queue.journal = Journal(tmp_path / "journal.db", clock=lambda: queue.now * 1_000_000_000)
    queue.scheduler = Scheduler(queue.journal)
    queue.move(broken, Job.QUEUED)
    assert queue.journal.ledger.standings()["ann"].used == 0


def test_whoever_waits_too_long_goes_before_priority(queue: Queue) -> None:
    patient = queue.send("ann")
    urgent = queue.send("bob", priority=100)
    assert queue.next() == urgent
    queue.now += 1000
    assert queue.next() == patient


def test_a_user_whose_jobs_run_as_many_as_may_gets_no_more(queue: Queue) -> None:
    queue.move(queue.send("ann"), Job.RUNNING)
    queue.send("ann", priority=5)
    assert queue.next() is None
    bobs = queue.send("bob")
    assert queue.next() == bobs


def test_a_user_whose_jobs_have_to_wait_holds_up_nobody(queue: Queue) -> None:
    asked: list[str] = []
    held = {"ann"}
    queue.scheduler.may_begin = lambda user, job_id: asked.append(job_id) or user not in held
    urgent, _ = queue.send("ann", priority=5), queue.send("ann")
    bobs = queue.send("bob")
    assert [queue.next() for _ in range(3)] == [bobs] * 3
    assert asked == [urgent, bobs, bobs, bobs], "she is asked about once in a while, and about one job alone"
    held.clear()
    queue.scheduler._held["ann"] = 0.0  # as a second later
    assert queue.next() == urgent
    assert asked[-1] == urgent


def test_a_user_may_have_so_many_jobs_waiting(queue: Queue) -> None:
    for _ in range(3):
        queue.scheduler.admit("ann")
        queue.send("ann")
    with pytest.raises(QuotaError, match="3 of your jobs wait already") as caught:
        queue.scheduler.admit("ann")
    assert caught.value.retry_after and caught.value.facts == {"queued": "3", "limit": "3"}
    queue.scheduler.admit("bob")
    first = queue.next()
    assert first
    queue.move(first, Job.RUNNING)
    queue.scheduler.admit("ann")
