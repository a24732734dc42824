"""What the journal promises: nothing told is lost, sequences have no gaps, requests count once."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Job, JobEvent
from anyportal_core.errors import StorageError
from anyportal_daemon.database import Database
from anyportal_daemon.errors import JobNotFoundError, JobStateError, RequestIdError
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.journal import Journal, Request
from anyportal_daemon.jobs.scheduler import Scheduler
from anyportal_daemon.jobs.schema import MIGRATIONS
from anyportal_daemon.storage.ballast import Ballast
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.memory import MemoryBlobStore


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


def blob(text: str) -> BlobId:
    return BlobId(hashlib.sha256(text.encode()).hexdigest(), len(text))


def create(
    journal: Journal, user: str = "ann", claims: Iterable[BlobId] = (), request: Request | None = None, name: str = "x"
) -> str:
    return journal.create(user, Job(display_name=name), claims, request).name.removeprefix("jobs/")


def say(text: str) -> Callable[[Job], list[JobEvent]]:
    return lambda job: [JobEvent(log=jobs_pb2.LogLine(text=text))]


def move(state: Job.State.ValueType) -> Callable[[Job], list[JobEvent]]:
    def update(job: Job) -> list[JobEvent]:
        job.state = state
        return [JobEvent(state=jobs_pb2.StateChange(state=state))]

    return update


def made(name: str, text: str) -> Callable[[Job], list[JobEvent]]:
    wire = media_pb2.Blob(sha256=blob(text).sha256, size_bytes=len(text))
    file = jobs_pb2.ResultFile(blob=wire, filename=name, layers=["comp"])
    return lambda job: [JobEvent(results=jobs_pb2.ResultsReady(files=[file]))]


def test_a_new_job_is_queued_with_its_first_event(journal: Journal) -> None:
    job = journal.create("ann", Job(display_name="hero"), [], None)
    assert (job.state, job.last_sequence, job.display_name) == (Job.QUEUED, 1, "hero")
    assert job.create_time.seconds > 0
    events, ended = journal.events("ann", job.name.removeprefix("jobs/"), 0)
    assert [(event.sequence, event.state.state) for event in events] == [(1, Job.QUEUED)]
    assert not ended


def test_other_users_see_nothing(journal: Journal) -> None:
    job_id = create(journal)
    for attempt in (
        lambda: journal.job("bob", job_id),
        lambda: journal.events("bob", job_id, 0),
        lambda: journal.change(job_id, say("hi"), "bob"),
        lambda: journal.delete("bob", job_id, lambda job: None),
        lambda: journal.job("ann", "nosuchjob"),
    ):
        with pytest.raises(JobNotFoundError):
            attempt()
    assert journal.page("bob", [], 10, None) == ([], None)


def test_a_request_counts_once(journal: Journal) -> None:
    first = create(journal, request=Request("r1", "body"))
    assert create(journal, request=Request("r1", "body")) == first
    assert journal.requested("ann", Request("r1", "body")).name == f"jobs/{first}"  # type: ignore[union-attr]
    assert create(journal, "bob", request=Request("r1", "other")) != first
    for ask in (
        lambda: create(journal, request=Request("r1", "other")),
        lambda: journal.requested("ann", Request("r1", "other")),
    ):
        with pytest.raises(RequestIdError):
            ask()
    assert len(journal.page("ann", [], 10, None)[0]) == 1


def test_a_request_counts_once_when_made_at_once(journal: Journal) -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(create(journal, request=Request("r1", "body")))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_sequences_have_no_gap_when_many_write(journal: Journal) -> None:
    job_id = create(journal)
    threads = [threading.Thread(target=lambda: [journal.change(job_id, say("x")) for _ in range(10)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events, _ = journal.events("ann", job_id, 0)
    assert [event.sequence for event in events] == list(range(1, 52))


def test_a_change_that_fails_changes_nothing(journal: Journal) -> None:
    job_id = create(journal)

    def update(job: Job) -> Iterator[JobEvent]:
        job.state = Job.FAILED
        yield JobEvent(log=jobs_pb2.LogLine(text="lost"))
        raise JobStateError("no")

    with pytest.raises(JobStateError):
        journal.change(job_id, update)
    assert journal.status(job_id).state == Job.QUEUED
    assert len(journal.events("ann", job_id, 0)[0]) == 1


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 12), cut=st.integers(0, 13), limit=st.integers(1, 5))
def test_any_prefix_and_a_resume_make_the_whole_log(journal: Journal, count: int, cut: int, limit: int) -> None:
    job_id = create(journal)
    for number in range(count):
        journal.change(job_id, say(str(number)))
    journal.change(job_id, move(Job.SUCCEEDED))
    whole, ended = journal.events("ann", job_id, 0)
    assert ended and len(whole) == count + 2

    def read(after: int) -> list[JobEvent]:
        found: list[JobEvent] = []
        while True:
            events, ended = journal.events("ann", job_id, found[-1].sequence if found else after, limit)
            found += events
            if ended:
                return found

    cut = min(cut, len(whole))
    assert whole[:cut] + read(cut) == whole


def test_a_log_has_not_ended_while_events_are_to_come(journal: Journal) -> None:
    job_id = create(journal)
    journal.change(job_id, move(Job.FAILED))
    assert journal.events("ann", job_id, 0, limit=1)[1] is False
    assert journal.events("ann", job_id, 1)[1] is True
    journal.change(job_id, move(Job.QUEUED))
    assert journal.events("ann", job_id, 0)[1] is False


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    job_id = create(journal, request=Request("r1", "body"))
    journal.change(job_id, made("x.mp4", "pixels"))
    journal.change(job_id, move(Job.RUNNING))
    before = journal.job("ann", job_id), journal.events("ann", job_id, 0)
    # No close: as after kill -9.
    journal = Journal(tmp_path / "journal.db")
    assert (journal.job("ann", job_id), journal.events("ann", job_id, 0)) == before
    assert create(journal, request=Request("r1", "body")) == job_id
    assert journal.in_state(Job.RUNNING) == [job_id]


def test_results_are_those_of_the_present_attempt(journal: Journal) -> None:
    job_id = create(journal)
    journal.change(job_id, made("a.png", "one"))
    journal.change(job_id, made("b.png", "two"))
    assert [file.filename for file in journal.job("ann", job_id).results] == ["a.png", "b.png"]
    journal.change(job_id, move(Job.QUEUED))
    assert not journal.job("ann", job_id).results
    journal.change(job_id, made("a.png", "other"))
    assert [file.blob.sha256 for file in journal.job("ann", job_id).results] == [blob("other").sha256]


def test_pages_lead_through_all_jobs_newest_first(journal: Journal) -> None:
    ids = [create(journal, name=str(number)) for number in range(7)]
    create(journal, "bob")
    journal.change(ids[2], move(Job.FAILED))
    seen, before = [], None
    while True:
        jobs, before = journal.page("ann", [], 3, before)
        assert len(jobs) <= 3
        seen += [job.name for job in jobs]
        if before is None:
            break
    assert seen == [f"jobs/{job_id}" for job_id in reversed(ids)]
    assert [job.name for job in journal.page("ann", [Job.FAILED], 10, None)[0]] == [f"jobs/{ids[2]}"]
    assert journal.page("ann", [Job.QUEUED], 6, None)[1] is None


def test_a_page_ends_when_it_is_heavy(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyportal_daemon.jobs.journal.PAGE_BYTES", 100)
    for _ in range(3):
        create(journal, name="x" * 200)
    jobs, following = journal.page("ann", [], 10, None)
    assert len(jobs) == 1 and following is not None
    assert len(journal.page("ann", [], 10, following)[0]) == 1


def test_the_queue_is_first_come_first_served_and_a_retry_comes_last(journal: Journal) -> None:
    first, second, third = (create(journal) for _ in range(3))
    scheduler = Scheduler(journal)
    assert scheduler.next(0) == first
    journal.change(first, move(Job.RUNNING))
    assert scheduler.next(0) == second
    journal.change(first, move(Job.QUEUED))
    journal.change(second, move(Job.RUNNING))
    assert scheduler.next(0) == third
    journal.change(third, move(Job.RUNNING))
    assert scheduler.next(0) == first
    assert (journal.count(Job.QUEUED), journal.count(Job.RUNNING)) == (1, 2)


def test_deleting_frees_what_only_that_job_named(journal: Journal) -> None:
    both, own, other = blob("both"), blob("own"), blob("somebody else's too")
    doomed = create(journal, claims=[both, own, other])
    create(journal, claims=[both])
    create(journal, "bob", claims=[other])
    journal.change(doomed, made("x.mp4", "result"))
    assert set(journal.delete("ann", doomed, lambda job: None)) == {own, other, blob("result")}
    with pytest.raises(JobNotFoundError):
        journal.job("ann", doomed)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.db").close()
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="newer version"):
        Journal(tmp_path / "journal.db")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(StorageError, match=r"journal\.db"):
        Journal(tmp_path / "journal.db")


def test_a_job_that_ran_under_an_older_version_goes_on(tmp_path: Path) -> None:
    """The journal is brought up to date, and whoever recovers it finds the job as it was left."""
    path = tmp_path / "journal.db"
    status = Job(state=Job.RUNNING, last_sequence=2, progress=jobs_pb2.Progress(fraction=0.4))
    old = Database(path, MIGRATIONS[:1])
    with old.writing() as db:
        row = ("1f", "ann", int(Job.RUNNING), 1, status.SerializeToString(), Job(name="jobs/1f").SerializeToString())
        db.execute("INSERT INTO jobs (id, user, state, queued_at, status, spec) VALUES (?, ?, ?, ?, ?, ?)", row)
    old.close()
    journal = Journal(path)
    book = JobBook(journal, MemoryBlobStore(), lambda job: None, lambda: None, Ballast(tmp_path))
    book.recover()
    assert journal.status("1f").state == Job.QUEUED
    assert book.start("1f")
    assert (journal.status("1f").attempts, journal.begun_at("1f")) == (1, 0.4)
    journal.close()
