"""What the journal remembers for the queue, for estimates and for explanations.

The functions write within a transaction of the journal; the class reads, and writes what a run reports.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from anyportal.v1.jobs_pb2 import Job, JobEvent
from anyportal_core.record import Extent, StageRecord
from anyportal_daemon.database import Database
from anyportal_daemon.jobs.estimates import FINISH, Experience, JobSize, Opening, Sample, maker_of, size_of
from anyportal_daemon.jobs.order import WINDOW, Standing, Waiting

_SECOND = 1_000_000_000
_SAMPLES = 30
"""Runs kept of every stage and maker."""

_PLATES = 1000

_TOGETHER, _BREATH = 500, 0.0005
"""Queued jobs that are read at once, and seconds for which others may read before the next ones."""

LOOKED_AT = 100
"""Earlier runs among which the nearest is looked for."""


def enter(db: sqlite3.Connection, number: int, spec: Job) -> None:
    """A job was created."""
    db.execute("INSERT INTO places VALUES (?, ?, ?)", (number, spec.priority, size_of(spec).as_text()))


def follow(db: sqlite3.Connection, number: int, event: JobEvent, now: int) -> None:
    """A job has a new state: note when it had a device."""
    db.execute("UPDATE runs SET ended = ? WHERE job = ? AND ended IS NULL", (now, number))
    if event.state.state == Job.RUNNING:
        db.execute(
            "INSERT INTO runs (job, user, began) SELECT number, user, ? FROM jobs WHERE number = ?", (now, number)
        )
        db.execute("DELETE FROM runs WHERE ended < ?", (now - int(WINDOW * _SECOND),))


@dataclass(frozen=True)
class StageRow:
    """A stage of a job, as it was written down.

    Args:
        job: the job's id.
        decided_by: what decided its result; empty where none is stored.
        damaged: it ran since what was stored turned out to be damaged.
    """

    job: str
    stage: str
    key: str
    decided_by: dict[str, Any]
    reused: bool
    seconds: float
    size_bytes: int
    damaged: bool


_ROW = "SELECT id, stage, key, decided_by, reused, seconds, size, damaged FROM stages JOIN jobs ON number = job"


class Ledger:
    """Safe to use from any thread.

    Args:
        clock: nanoseconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], int] = time.time_ns) -> None:
        self._database, self._clock = database, clock
        with database.writing() as db:  # when the last daemon died nobody wrote down for how long they ran
            db.execute("UPDATE runs SET ended = began WHERE ended IS NULL")
        self._looking = threading.Lock()
        self._known: dict[int, Waiting] = {}
        """The jobs that were queued at the last look, by number: they change in nothing but their time."""
        self.version = 0
        """Counts what was learned, so that others know when to look again."""

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock() / _SECOND

    def waiting(self) -> list[Waiting]:
        """The queued jobs, by age."""
        with self._looking:
            since = dict(self._since())
            known = {number: job for number, job in self._known.items() if since.get(number) == job.since}
            for numbers in _slices([number for number in since if number not in known]):
                known.update((job.number, job) for job in self._jobs(numbers))
            self._known = known
            return [known[number] for number in since if number in known]

    def _since(self) -> Iterator[tuple[int, float]]:
        """The numbers of the queued jobs, and when each was queued."""
        query = (
            "SELECT queued_at, number FROM jobs INDEXED BY jobs_in_state"
            " WHERE state = ? AND (queued_at, number) > (?, ?) ORDER BY queued_at, number LIMIT ?"
        )
        last = (-1, -1)
        while True:
            with self._database.reading() as db:
                rows = db.execute(query, (Job.QUEUED, *last, _TOGETHER)).fetchall()
            yield from ((number, queued_at / _SECOND) for queued_at, number in rows)
            if len(rows) < _TOGETHER:
                return
            last = rows[-1]
            time.sleep(_BREATH)

    def _jobs(self, numbers: list[int]) -> list[Waiting]:
        query = (
            "SELECT jobs.id, number, user, coalesce(priority, 0), queued_at, coalesce(size, '') FROM json_each(?)"
            " CROSS JOIN jobs ON number = value LEFT JOIN places ON job = number WHERE state = ?"
        )
        with self._database.reading() as db:
            rows = db.execute(query, (json.dumps(numbers), Job.QUEUED)).fetchall()
        return [Waiting(row[0], row[1], row[2], row[3], row[4] / _SECOND, sys.intern(row[5])) for row in rows]

    def waiting_of(self, user: str) -> int:
        """How many jobs of a user are queued."""
        query = "SELECT count(*) FROM jobs INDEXED BY jobs_of_user_in_state WHERE state = ? AND user = ?"
        with self._database.reading() as db:
            return int(db.execute(query, (Job.QUEUED, user)).fetchone()[0])

    def standings(self) -> dict[str, Standing]:
        """What each user had in the last hour."""
        now = self._clock()
        query = (
            "SELECT user, sum(coalesce(ended, ?1) - max(began, ?2)), max(began), sum(ended IS NULL) FROM runs"
            " WHERE ended IS NULL OR ended > ?2 GROUP BY user"
        )
        with self._database.reading() as db:
            rows = db.execute(query, (now, now - int(WINDOW * _SECOND))).fetchall()
        return {row[0]: Standing(max(row[1], 0) / _SECOND, row[2] / _SECOND, row[3]) for row in rows}

    def running(self) -> list[tuple[str, JobSize, float]]:
        """Jobs that run: id, size, and the seconds since they were begun."""
        query = (
            "SELECT id, coalesce(size, ''), began FROM jobs JOIN runs ON runs.job = number AND ended IS NULL"
            " LEFT JOIN places ON places.job = number WHERE state = ?"
        )
        with self._database.reading() as db:
            rows = db.execute(query, (Job.RUNNING,)).fetchall()
        return [(row[0], JobSize.of_text(row[1]), (self._clock() - row[2]) / _SECOND) for row in rows]

    # What runs report.

    def note(self, job_id: str, what: Extent | StageRecord) -> None:
        """Write down what a run reports of itself."""
        if isinstance(what, Extent):
            self._opened(job_id, what)
        else:
            self._record(job_id, what)
        self.version += 1

    def _opened(self, job_id: str, extent: Extent) -> None:
        """A job's media are open."""
        with self._database.writing() as db:
            _, size = _place(db, job_id)
            db.execute("DELETE FROM plates WHERE name = ?", (size.plate,))
            row = (size.plate, extent.frames, extent.work_pixels, extent.delivered, extent.pixels, size.side)
            db.execute("INSERT INTO plates VALUES (NULL, ?, ?, ?, ?, ?, ?)", row)
            db.execute("DELETE FROM plates WHERE number <= (SELECT max(number) FROM plates) - ?", (_PLATES,))

    def _record(self, job_id: str, record: StageRecord) -> None:
        """A stage of a job has ended. What the job itself ran in an earlier attempt it has not reused."""
        decided_by = json.loads(record.decided_by) if record.decided_by else {}
        with self._database.writing() as db:
            number, size = _place(db, job_id)
            own = db.execute(
                "SELECT key, reused FROM stages WHERE job = ? AND stage = ?", (number, record.stage)
            ).fetchone()
            if record.reused and own == (record.key, 0):
                return
            damaged = record.damaged or (record.stage == FINISH and _was_spoilt(db, number))
            row = (
                number, record.stage, record.key, record.decided_by, record.reused, record.seconds, record.size_bytes,
                damaged,
            )  # fmt: skip
            db.execute("DELETE FROM stages WHERE job = ? AND stage = ?", (number, record.stage))
            db.execute("INSERT INTO stages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            if not record.reused:
                _learn(db, record, _maker(decided_by, size))
            if record.stage == FINISH:
                stages = [
                    row[0] for row in db.execute("SELECT stage FROM stages WHERE job = ? ORDER BY rowid", (number,))
                ]
                db.execute("INSERT OR REPLACE INTO methods VALUES (?, ?)", (size.method, json.dumps(stages)))

    def experience(self) -> Experience:
        """All that was learned from earlier jobs."""
        samples: dict[tuple[str, str], list[Sample]] = {}
        with self._database.reading() as db:
            for stage, maker, volume, seconds in db.execute("SELECT stage, maker, volume, seconds FROM stage_times"):
                samples.setdefault((stage, maker), []).append(Sample(volume, seconds))
            methods = {name: tuple(json.loads(stages)) for name, stages in db.execute("SELECT * FROM methods")}
            rows = db.execute("SELECT name, frames, work_pixels, delivered, pixels, side FROM plates ORDER BY number")
            openings = {row[0]: Opening(*row[1:]) for row in rows}
        return Experience(samples, methods, openings)

    # What explanations are made of.

    def stages(self, job_id: str) -> list[StageRow]:
        """The stages of a job's latest run, in order."""
        with self._database.reading() as db:
            return [_stage(row) for row in db.execute(f"{_ROW} WHERE id = ? ORDER BY stages.rowid", (job_id,))]

    def earlier(self, user: str, job_id: str, stage: str) -> list[StageRow]:
        """The same stage in those of a user's other jobs in which it ended before it did in this one, the latest first.

        Jobs do not run in the order in which they were created.
        """
        query = (  # rows are written as stages end, so their ids are in that order
            f"{_ROW} WHERE stage = ?1 AND user = ?2 AND id != ?3 AND stages.rowid <"
            " (SELECT own.rowid FROM stages AS own JOIN jobs AS asked ON asked.number = own.job"
            " WHERE asked.id = ?3 AND own.stage = ?1) ORDER BY stages.rowid DESC LIMIT ?4"  # nosec B608: a constant
        )
        with self._database.reading() as db:
            return [_stage(row) for row in db.execute(query, (stage, user, job_id, LOOKED_AT))]


def _slices(numbers: list[int]) -> Iterator[list[int]]:
    """So many at once as hold up nobody."""
    for start in range(0, len(numbers), _TOGETHER):
        if start:
            time.sleep(_BREATH)
        yield numbers[start : start + _TOGETHER]


def _place(db: sqlite3.Connection, job_id: str) -> tuple[int, JobSize]:
    query = "SELECT number, coalesce(size, '') FROM jobs LEFT JOIN places ON job = number WHERE id = ?"
    number, size = db.execute(query, (job_id,)).fetchone()
    return int(number), JobSize.of_text(size)


def _was_spoilt(db: sqlite3.Connection, number: int) -> bool:
    """Whether a file of a job was damaged, which is mended now."""
    return db.execute("UPDATE resumptions SET damaged = 0 WHERE job = ? AND damaged", (number,)).rowcount > 0


def _maker(decided_by: dict[str, Any], size: JobSize) -> str:
    if not decided_by:
        return size.makers.get(FINISH, "")
    return maker_of(decided_by["plugin"][0], decided_by["settings"])


def _learn(db: sqlite3.Connection, record: StageRecord, maker: str) -> None:
    """Keep what a stage took, and forget what it took long ago."""
    db.execute(
        "INSERT INTO stage_times (stage, maker, volume, seconds) VALUES (?, ?, ?, ?)",
        (record.stage, maker, record.volume, record.seconds),
    )
    db.execute(
        "DELETE FROM stage_times WHERE number IN (SELECT number FROM stage_times WHERE stage = ? AND maker = ?"
        " ORDER BY number DESC LIMIT -1 OFFSET ?)",
        (record.stage, maker, _SAMPLES),
    )


def _stage(row: tuple[Any, ...]) -> StageRow:
    job, stage, key, decided_by, reused, seconds, size, damaged = row
    return StageRow(
        job, stage, key, json.loads(decided_by) if decided_by else {}, bool(reused), seconds, size, bool(damaged)
    )
