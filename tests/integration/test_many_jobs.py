"""Ten thousand jobs, and many clients at once. The full figures are those of benchmarks/journal.py and clients.py."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from anyportal.v1 import jobs_pb2
from anyportal.v1.jobs_pb2 import Job, JobEvent
from anyportal_daemon.jobs import outlook
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.outlook import Outlooks
from anyportal_daemon.jobs.scheduler import Scheduler
from anyportal_daemon.storage.ballast import Ballast
from anyportal_daemon.storage.memory import MemoryBlobStore

JOBS, QUEUED = 10_000, 2_000


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with ten thousand jobs of ten users, two thousand of which wait."""
    state = tmp_path_factory.mktemp("many")
    journal = Journal(state / "journal.db")
    journal._database._writer.execute("PRAGMA synchronous = OFF")
    writing = journal._database.writing
    with writing() as db:  # one transaction for all: ten thousand of them take a minute
        journal._database.writing = lambda: _Same(db)  # type: ignore[method-assign, assignment, return-value]
        for number in range(JOBS):
            spec = Job(display_name=f"shot {number}", resolved_recipe='{"work": {"long_side": 640}}')
            job_id = journal.create(f"user {number % 10}", spec, [], None).name.removeprefix("jobs/")
            if number < JOBS - QUEUED:
                journal.change(job_id, _done)
    journal.close()
    return state


class _Same:
    """A transaction within another: that one."""

    def __init__(self, db: object) -> None:
        self._db = db

    def __enter__(self) -> object:
        return self._db

    def __exit__(self, *_: object) -> None: ...


def _done(job: Job) -> Iterator[JobEvent]:
    for state in (Job.RUNNING, Job.SUCCEEDED):
        job.state = state
        yield JobEvent(state=jobs_pb2.StateChange(state=state))


def test_a_page_of_ten_thousand_jobs_comes_at_once(state: Path) -> None:
    """With what is to be expected of each. Ten times the goal, for a machine that is busy."""
    journal = Journal(state / "journal.db")
    look = Outlooks(journal, Scheduler(journal)).look()
    taken, before, seen = [], None, 0
    while True:
        begun = time.perf_counter()
        jobs, before = journal.page("user 3", [], 50, before)
        assert all(look.add(job) for job in jobs if job.state == Job.QUEUED)
        taken.append(time.perf_counter() - begun)
        seen += len(jobs)
        if before is None:
            break
    journal.close()
    assert seen == JOBS / 10
    assert statistics.median(taken) < 0.2


def test_a_journal_of_ten_thousand_jobs_opens_at_once(state: Path) -> None:
    """All that a start does with them."""
    begun = time.perf_counter()
    journal = Journal(state / "journal.db")
    scheduler = Scheduler(journal)
    JobBook(journal, MemoryBlobStore(), lambda job_id: None, scheduler.wake, Ballast(state)).recover()
    first = scheduler.next(0)
    assert time.perf_counter() - begun < 5
    assert first is not None and journal.status(first).state == Job.QUEUED
    journal.close()


def test_two_thousand_jobs_that_wait_have_each_their_place(state: Path) -> None:
    journal = Journal(state / "journal.db")
    found = Outlooks(journal, Scheduler(journal)).look().waiting
    journal.close()
    assert sorted(place.number for place in found.values()) == list(range(1, QUEUED + 1))


def test_a_look_at_a_long_queue_reads_what_is_new_alone(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(state / "journal.db")
    read: list[int] = []
    jobs = journal.ledger._jobs
    monkeypatch.setattr(journal.ledger, "_jobs", lambda numbers: read.append(len(numbers)) or jobs(numbers))
    outlooks = Outlooks(journal, Scheduler(journal))
    outlooks.look()
    assert sum(read) == QUEUED and max(read) < QUEUED, "others read in between"
    new = journal.create("user 1", Job(), [], None).name.removeprefix("jobs/")
    read.clear()
    assert outlooks.look().of(new)
    assert read == [1]
    journal.change(new, _done)
    assert outlooks.look().of(new) is None and read == [1]
    journal.close()


def test_a_look_at_a_long_queue_lets_others_work_every_millisecond(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, breaths = 0.0, []

    def work() -> float:
        """Time passes as the queue is gone through."""
        nonlocal now
        now += 0.0001
        return now

    clock = SimpleNamespace(perf_counter=work, sleep=lambda seconds: breaths.append(now))
    journal = Journal(state / "journal.db")
    monkeypatch.setattr(outlook, "time", clock)
    Outlooks(journal, Scheduler(journal)).look()
    journal.close()
    assert len(breaths) > QUEUED / 10
    assert max(after - before for before, after in itertools.pairwise(breaths)) < 0.001
