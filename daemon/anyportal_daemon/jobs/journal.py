"""The journal: jobs and their events in SQLite. What it has told is on disk; what is on disk is all there is.

A job is kept in two parts: what was asked for (``spec``, never changed) and how it stands (``status``, small, written
with every change). Both are protobuf messages of the wire's Job and merge into it.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyportal.v1 import jobs_pb2
from anyportal.v1.jobs_pb2 import Job, JobEvent, ResultFile
from anyportal_daemon.database import Database
from anyportal_daemon.errors import JobNotFoundError, RequestIdError
from anyportal_daemon.jobs import ledger
from anyportal_daemon.jobs.claims import Claims, leave
from anyportal_daemon.jobs.schema import MIGRATIONS
from anyportal_daemon.storage.blobs import BlobId

ENDED = frozenset({Job.SUCCEEDED, Job.FAILED, Job.CANCELLED})
Update = Callable[[Job], Iterable[JobEvent]]
"""Changes a job's status in place and says what happened; raises to change nothing."""

PAGE_BYTES = 2 * 1024 * 1024
"""A page of jobs ends at about this size: long sequences have long manifests."""


@dataclass(frozen=True)
class Request:
    """A client's own name for one CreateJob, and a digest of what it asked for."""

    id: str
    body: str


class Journal:
    """Jobs by id (the text after ``jobs/``). Safe to use from any thread.

    Args:
        clock: nanoseconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._database = Database(path, MIGRATIONS)
        self._clock = clock
        self.claims = Claims(self._database)
        self.ledger = ledger.Ledger(self._database, clock)

    def close(self) -> None:
        self._database.close()

    def create(self, user: str, spec: Job, claims: Iterable[BlobId], request: Request | None) -> Job:
        """Write down a queued job; with a request that is known already, the job it made.

        Raises:
            RequestIdError: the request's id was used for another body.
        """
        now = self._clock()
        with self._database.writing() as db:
            known = _requested(db, user, request)
            if known is not None:
                return known
            job_id = secrets.token_hex(8)
            spec.name = f"jobs/{job_id}"
            spec.create_time.FromNanoseconds(now)
            status = Job(state=Job.QUEUED)
            number = db.execute(
                "INSERT INTO jobs (id, user, state, queued_at, status, spec) VALUES (?, ?, ?, ?, ?, ?)",
                (job_id, user, status.state, now, b"", spec.SerializeToString()),
            ).lastrowid
            assert number is not None
            _claim(db, number, claims)
            ledger.enter(db, number, spec)
            if request:
                db.execute("INSERT INTO requests VALUES (?, ?, ?, ?)", (user, request.id, request.body, number))
            queued = JobEvent(state=jobs_pb2.StateChange(state=Job.QUEUED))
            self._write(db, number, status, [queued], now)
            return _whole(db, number)

    def requested(self, user: str, request: Request | None) -> Job | None:
        """The job that a request has made already.

        Raises:
            RequestIdError: the request's id was used for another body.
        """
        with self._database.reading() as db:
            return _requested(db, user, request)

    def job(self, user: str, job_id: str) -> Job:
        """A user's job with its results.

        Raises:
            JobNotFoundError: there is none, or it is somebody else's.
        """
        with self._database.reading() as db:
            return _whole(db, _number(db, job_id, user))

    def page(
        self, user: str | None, states: Sequence[int], size: int, before: int | None
    ) -> tuple[list[Job], int | None]:
        """The jobs of a user (None: of all), newest first and without results, and where the next page begins (None:
        nowhere)."""
        marks = ",".join("?" * len(states))
        query = (
            f"SELECT number, spec, status, user FROM jobs WHERE {'user = ?' if user is not None else '? IS NULL'}"
            f" AND number < ?{f' AND state IN ({marks})' if states else ''} ORDER BY number DESC"  # nosec B608: marks alone
        )
        jobs: list[Job] = []
        number, room = before, PAGE_BYTES
        with self._database.reading() as db:
            for row in db.execute(query, (user, 2**62 if before is None else before, *states)):
                if len(jobs) == size or (jobs and room < 0):
                    return jobs, number
                number, room = row[0], room - len(row[1])
                jobs.append(_merged(*row[1:]))
        return jobs, None

    def events(self, user: str, job_id: str, after: int, limit: int = 256) -> tuple[list[JobEvent], bool]:
        """The next events after a sequence number, and whether the job has ended and no more are to come."""
        with self._database.reading() as db:
            number = _number(db, job_id, user)
            query = "SELECT event FROM events WHERE job = ? AND sequence > ? ORDER BY sequence LIMIT ?"
            events = [JobEvent.FromString(row[0]) for row in db.execute(query, (number, after, limit))]
            status = _status(db, number)
        last = events[-1].sequence if events else after
        return events, status.state in ENDED and last >= status.last_sequence

    def change(self, job_id: str, update: Update, user: str | None = None) -> Job:
        """Let ``update`` change a job's status and add events, all or nothing; gives the status.

        Raises:
            JobNotFoundError: there is none, or it is not ``user``'s (None: whoever's).
        """
        with self._database.writing() as db:
            number = _number(db, job_id, user)
            status = _status(db, number)
            self._write(db, number, status, update(status), self._clock())
        return status

    def delete(self, user: str, job_id: str, check: Callable[[Job], None]) -> list[BlobId]:
        """Forget a job, unless ``check`` raises; gives the blobs that no other job of the user names."""
        with self._database.writing() as db:
            number = _number(db, job_id, user)
            check(_status(db, number))
            freed = db.execute(
                "SELECT sha256, size FROM claims WHERE job = ? AND NOT EXISTS (SELECT 1 FROM claims AS other"
                " JOIN jobs ON jobs.number = other.job"
                " WHERE other.sha256 = claims.sha256 AND other.job != claims.job AND jobs.user = ?)",
                (number, user),
            ).fetchall()
            leave(db, number)
            db.execute("DELETE FROM jobs WHERE number = ?", (number,))
        return [BlobId(*row) for row in freed]

    def asked(self, job_id: str) -> Job:
        """What was asked for, whoever did."""
        with self._database.reading() as db:
            row = db.execute("SELECT spec FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return Job.FromString(row[0])

    def user_of(self, job_id: str) -> str:
        with self._database.reading() as db:
            row = db.execute("SELECT user FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise _no_job(job_id)
        return str(row[0])

    def status(self, job_id: str) -> Job:
        """How a job stands, without what was asked for: cheap for jobs of many frames."""
        with self._database.reading() as db:
            return _status(db, _number(db, job_id, None))

    def begun_at(self, job_id: str) -> float:
        """How far a job was when it was last begun, 0..1."""
        query = "SELECT begun_at FROM resumptions JOIN jobs ON number = job WHERE id = ?"
        with self._database.reading() as db:
            row = db.execute(query, (job_id,)).fetchone()
        return float(row[0]) if row else 0.0

    def begin_stage(self, job_id: str, key: str) -> None:
        """A job's stage has to run: what it finishes is kept under ``key``."""
        query = "UPDATE resumptions SET stage = ? WHERE job = (SELECT number FROM jobs WHERE id = ?)"
        with self._database.writing() as db:
            db.execute(query, (key, job_id))

    def delivered(self, job_id: str) -> tuple[str, list[ResultFile], float]:
        """What decides the files that a job has delivered so far, these files, and the seconds that they took."""
        with self._database.reading() as db:
            number = _number(db, job_id, None)
            row = db.execute("SELECT finish, took FROM resumptions WHERE job = ?", (number,)).fetchone()
            files = db.execute("SELECT file FROM results WHERE job = ? ORDER BY rowid", (number,)).fetchall()
        finish, took = row or ("", 0.0)
        return finish, [ResultFile.FromString(file) for (file,) in files], took

    def deliver(self, job_id: str, finish: str, took: float = 0.0) -> None:
        """Files decided by ``finish`` are to come: forget those that something else decided.

        Args:
            took: seconds that went into those which stay.
        """
        now = self._clock()
        with self._database.writing() as db:
            number = _number(db, job_id, None)
            query = "UPDATE resumptions SET finish = ? WHERE job = ? AND finish != ?"
            if db.execute(query, (finish, number, finish)).rowcount:
                db.execute("DELETE FROM results WHERE job = ?", (number,))
            db.execute("UPDATE resumptions SET since = ?, took = ? WHERE job = ?", (now, took, number))

    def spoil(self, job_id: str) -> None:
        """A file that a job has delivered was damaged: for the explanation of why it is made again."""
        query = "UPDATE resumptions SET damaged = 1 WHERE job = (SELECT number FROM jobs WHERE id = ?)"
        with self._database.writing() as db:
            db.execute(query, (job_id,))

    def in_state(self, state: Job.State.ValueType) -> list[str]:
        """Ids of all jobs in a state, oldest first."""
        with self._database.reading() as db:
            return [row[0] for row in db.execute("SELECT id FROM jobs WHERE state = ? ORDER BY number", (state,))]

    def count(self, state: Job.State.ValueType) -> int:
        with self._database.reading() as db:
            return int(db.execute("SELECT count(*) FROM jobs WHERE state = ?", (state,)).fetchone()[0])

    def _write(self, db: sqlite3.Connection, number: int, status: Job, events: Iterable[JobEvent], now: int) -> None:
        for event in events:
            status.last_sequence += 1
            event.sequence = status.last_sequence
            event.time.FromNanoseconds(now)
            row = (number, event.sequence, event.SerializeToString())
            db.execute("INSERT INTO events VALUES (?, ?, ?)", row)
            self._follow(db, number, status, event, now)
        db.execute(
            "UPDATE jobs SET state = ?, status = ? WHERE number = ?",
            (status.state, status.SerializeToString(), number),
        )

    def _follow(self, db: sqlite3.Connection, number: int, status: Job, event: JobEvent, now: int) -> None:
        """What an event means for the tables beside it."""
        if event.HasField("state"):
            ledger.follow(db, number, event, now)
        if event.HasField("results"):
            rows = [(number, file.filename, file.SerializeToString()) for file in event.results.files]
            db.executemany("INSERT OR REPLACE INTO results (job, filename, file) VALUES (?, ?, ?)", rows)
            _claim(db, number, [BlobId(f.blob.sha256, f.blob.size_bytes) for f in event.results.files])
            query = "UPDATE resumptions SET took = took + (?1 - since) / 1e9, since = ?1 WHERE job = ?2 AND since"
            db.execute(query, (now, number))
        elif event.state.state == Job.QUEUED and not status.attempts:  # else it goes on, and keeps its place
            db.execute("DELETE FROM results WHERE job = ?", (number,))
            db.execute("UPDATE resumptions SET finish = '' WHERE job = ?", (number,))
            db.execute("UPDATE jobs SET queued_at = ? WHERE number = ?", (now, number))
        elif event.state.state == Job.RUNNING:
            if not status.HasField("start_time"):
                status.start_time.FromNanoseconds(now)
            db.execute(
                "INSERT INTO resumptions (job, begun_at) VALUES (?, ?)"
                " ON CONFLICT (job) DO UPDATE SET begun_at = excluded.begun_at",
                (number, status.progress.fraction),
            )
        elif event.state.state in ENDED:
            status.end_time.FromNanoseconds(now)


def _number(db: sqlite3.Connection, job_id: str, user: str | None) -> int:
    row = db.execute("SELECT number, user FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None or user not in (None, row[1]):
        raise _no_job(job_id)
    return int(row[0])


def _no_job(job_id: str) -> JobNotFoundError:
    return JobNotFoundError("there is no such job", where=f"jobs/{job_id}", hint="`anyportal jobs` lists them")


def _requested(db: sqlite3.Connection, user: str, request: Request | None) -> Job | None:
    if request is None:
        return None
    query = "SELECT body, job FROM requests WHERE user = ? AND request_id = ?"
    row = db.execute(query, (user, request.id)).fetchone()
    if row is None:
        return None
    if row[0] != request.body:
        raise RequestIdError(
            "this id was used for another job", where="request_id", hint="make a new id for every new job"
        )
    return _whole(db, row[1])


def _status(db: sqlite3.Connection, number: int) -> Job:
    return Job.FromString(db.execute("SELECT status FROM jobs WHERE number = ?", (number,)).fetchone()[0])


def _whole(db: sqlite3.Connection, number: int) -> Job:
    job = _merged(*db.execute("SELECT spec, status, user FROM jobs WHERE number = ?", (number,)).fetchone())
    for row in db.execute("SELECT file FROM results WHERE job = ? ORDER BY rowid", (number,)):
        job.results.add().ParseFromString(row[0])
    return job


def _merged(spec: bytes, status: bytes, user: str) -> Job:
    job = Job.FromString(spec)
    job.MergeFromString(status)
    job.user = user
    return job


def _claim(db: sqlite3.Connection, number: int, blobs: Iterable[BlobId]) -> None:
    rows = [(number, blob.sha256, blob.size) for blob in blobs]
    db.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?, ?)", rows)
