"""What jobs need of the store: asked before anything is evicted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from anyportal.v1.jobs_pb2 import Job, JobEvent
from anyportal_daemon.database import Database
from anyportal_daemon.storage.blobs import BlobStore

LIVE = (int(Job.QUEUED), int(Job.RUNNING))

_SLACK = 1_000_000_000
"""Nanoseconds by which a file's time may differ from the journal's clock."""


def leave(db: sqlite3.Connection, number: int) -> None:
    """A job is about to be deleted: note the keys of the stage results that it has made, reused or begun."""
    db.execute(
        "INSERT OR IGNORE INTO leftovers SELECT key FROM (SELECT key, job FROM stages UNION SELECT stage, job FROM"
        " resumptions) WHERE job = ? AND key != ''",
        (number,),
    )


@dataclass(frozen=True)
class Claim:
    """A job that names a blob: it needs it, or has made it."""

    user: str
    job_id: str
    state: Job.State.ValueType


class Claims:
    """Read from the journal. Safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def on(self, sha256: str) -> list[Claim]:
        """The jobs that claim a blob, oldest first."""
        query = (
            "SELECT user, id, state FROM claims JOIN jobs ON jobs.number = claims.job WHERE sha256 = ? ORDER BY number"
        )
        with self._database.reading() as db:
            return [Claim(*row) for row in db.execute(query, (sha256,))]

    def jobs(self, sha256: str) -> Sequence[str]:
        """The ids of the jobs that claim a blob."""
        return [claim.job_id for claim in self.on(sha256)]

    def live(self) -> set[str]:
        """The blobs that queued and running jobs claim."""
        query = "SELECT sha256 FROM jobs JOIN claims ON job = number WHERE state IN (?, ?)"
        with self._database.reading() as db:
            return {row[0] for row in db.execute(query, LIVE)}

    def of_succeeded(self, user: str, names: Collection[str]) -> set[str]:
        """Those of the blobs that jobs of a user claim which have succeeded."""
        query = (  # CROSS keeps SQLite from beginning with the jobs, for each of which it would look at every blob
            "SELECT sha256 FROM json_each(?) CROSS JOIN claims ON sha256 = value CROSS JOIN jobs ON number = job"
            " WHERE state = ? AND user = ?"
        )
        with self._database.reading() as db:
            return {row[0] for row in db.execute(query, (json.dumps(list(names)), int(Job.SUCCEEDED), user))}

    def leftovers(self) -> list[str]:
        """The keys of the stage results that deleted jobs have left behind and no job has made, reused or begun."""
        query = (
            "SELECT key FROM leftovers WHERE NOT EXISTS (SELECT 1 FROM stages WHERE stages.key = leftovers.key)"
            " AND NOT EXISTS (SELECT 1 FROM resumptions WHERE stage = leftovers.key)"
        )
        with self._database.reading() as db:
            return [row[0] for row in db.execute(query)]

    def dropped(self, keys: Collection[str]) -> None:
        """These stage results are gone."""
        with self._database.writing() as db:
            db.execute("DELETE FROM leftovers WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(list(keys)),))

    def stages_of_live(self) -> set[str]:
        """The keys of the stage results that queued and running jobs have made, reused or begun."""
        query = (
            "SELECT key FROM (SELECT key, job FROM stages UNION SELECT stage, job FROM resumptions)"
            " JOIN jobs ON number = job WHERE state IN (?, ?) AND key != ''"
        )
        with self._database.reading() as db:
            return {row[0] for row in db.execute(query, LIVE)}

    def begun(self) -> int | None:
        """When the first of the queued and running jobs was begun for the first time, in nanoseconds since 1970.

        What a live job has read or made was used since then. None: none of them has begun.
        """
        with self._database.reading() as db:
            query = "SELECT number FROM jobs JOIN resumptions ON job = number WHERE state IN (?, ?)"
            live = [row[0] for row in db.execute(query, LIVE)]
            times = []
            for number in live:
                for (row,) in db.execute("SELECT event FROM events WHERE job = ? ORDER BY sequence", (number,)):
                    event = JobEvent.FromString(row)
                    if event.state.state == Job.RUNNING:
                        times.append(event.time.ToNanoseconds())
                        break
        return min(times, default=None)


class StoreNeeds:
    """See ``storage.keeper.Needs``.

    Args:
        settled: while it is open no job is created or deleted, and none tells of results.
        store: who has not fetched what was made for them.
    """

    def __init__(self, claims: Claims, settled: Callable[[], AbstractContextManager[object]], store: BlobStore) -> None:
        self._claims, self._store = claims, store
        self.settled = settled

    def live(self, sha256: str) -> bool:
        return any(claim.state in LIVE for claim in self._claims.on(sha256))

    def blob(self, sha256: str) -> bool:
        claims = self._claims.on(sha256)
        if any(claim.state in LIVE for claim in claims):
            return True
        waiting = self._store.unfetched(sha256) if claims else ()
        return any(claim.state == Job.SUCCEEDED and claim.user in waiting for claim in claims)

    def all_blobs(self) -> set[str]:
        waiting = (self._claims.of_succeeded(user, names) for user, names in self._store.all_unfetched().items())
        return self._claims.live().union(*waiting)

    def stages_since(self) -> int | None:
        begun = self._claims.begun()
        return None if begun is None else begun - _SLACK
