"""Who has which blob, in SQLite: uploaded by the user, or made by a job of theirs and fetched since or not."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from anyportal_core.errors import StorageError
from anyportal_daemon.database import Database
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.shares import Possession
from anyportal_daemon.storage.shelf import Total

_MIGRATIONS = (
    """
    CREATE TABLE possessions (
        user TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (user, sha256)
    ) WITHOUT ROWID;
    CREATE INDEX possessions_of_blob ON possessions (sha256)
    """,
    # Of what an older version has kept nobody knows whether it was fetched, so it counts as not fetched.
    """
    ALTER TABLE possessions ADD COLUMN made INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE possessions ADD COLUMN fetched INTEGER NOT NULL DEFAULT 0
    """,
)

_WAITING = 256
"""Fetches that are written down together: one alone is not worth a transaction."""


class Possessions:
    """The table. Safe to use from any thread.

    Raises:
        StorageError: the database cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _MIGRATIONS)
        self._lock = threading.Lock()
        self._fetched: set[tuple[str, str]] = set()
        """User and digest of what was fetched and is not written down yet. A crash forgets it: it is kept longer."""

    def close(self) -> None:
        with self._lock:
            self._flush()
        self._database.close()

    def owned(self, user: str, blobs: Iterable[BlobId]) -> set[BlobId]:
        """Those of them that the user has."""
        query = "SELECT 1 FROM possessions WHERE user = ? AND sha256 = ? AND size = ?"
        with self._database.reading() as db:
            return {b for b in blobs if db.execute(query, (user, b.sha256, b.size)).fetchone()}

    def own(self, user: str, blobs: Iterable[BlobId], made: bool) -> None:
        """The user has them now: by an upload, or because a job of theirs ``made`` them and nobody has fetched them."""
        insert = (
            "INSERT INTO possessions (user, sha256, size, made, fetched) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (user, sha256) DO UPDATE SET"
            " size = excluded.size, made = max(made, excluded.made), fetched = excluded.fetched"
        )
        rows = [(user, blob.sha256, blob.size, made, not made) for blob in blobs]
        with self._lock:
            self._fetched.difference_update([row[:2] for row in rows])
            with self._database.writing() as db:
                db.executemany(insert, rows)

    def release(self, user: str, names: Iterable[str]) -> None:
        with self._database.writing() as db:
            db.executemany("DELETE FROM possessions WHERE user = ? AND sha256 = ?", [(user, name) for name in names])

    def forget(self, names: Iterable[str]) -> None:
        """Nobody has these blobs any more."""
        with self._database.writing() as db:
            db.executemany("DELETE FROM possessions WHERE sha256 = ?", [(name,) for name in names])

    def has_owner(self, name: str) -> bool:
        with self._database.reading() as db:
            return db.execute("SELECT 1 FROM possessions WHERE sha256 = ?", (name,)).fetchone() is not None

    def names(self) -> set[str]:
        """The digest of every blob that somebody has."""
        with self._database.reading() as db:
            return {row[0] for row in db.execute("SELECT sha256 FROM possessions INDEXED BY possessions_of_blob")}

    def sizes(self) -> dict[str, int]:
        """Every blob that somebody has, with its bytes."""
        with self._database.reading() as db:
            return dict(db.execute("SELECT sha256, max(size) FROM possessions GROUP BY sha256"))

    def everything(self) -> list[Possession]:
        """Who has which blob."""
        with self._database.reading() as db:
            return [
                Possession(user, name, size, bool(made))
                for user, name, size, made in db.execute("SELECT user, sha256, size, made FROM possessions")
            ]

    def total(self, user: str | None = None) -> Total:
        """What a user has (None: all of them together, each blob once)."""
        whole = "SELECT max(size) AS size FROM possessions GROUP BY sha256"
        query = f"SELECT count(*), sum(size) FROM ({whole})"  # nosec B608: a constant
        given: tuple[str, ...] = ()
        if user is not None:
            query, given = "SELECT count(*), sum(size) FROM possessions WHERE user = ?", (user,)
        with self._database.reading() as db:
            count, size = db.execute(query, given).fetchone()
        return Total(count, size or 0)

    def maker(self, name: str) -> str | None:
        """A user whose job has made it, the first by name."""
        with self._database.reading() as db:
            query = "SELECT user FROM possessions WHERE sha256 = ? AND made ORDER BY user LIMIT 1"
            row = db.execute(query, (name,)).fetchone()
        return None if row is None else str(row[0])

    def fetched(self, user: str, name: str) -> None:
        """The user has read a blob to its end."""
        with self._lock:
            self._fetched.add((user, name))
            if len(self._fetched) >= _WAITING:
                self._flush()

    def unfetched(self, name: str) -> set[str]:
        """The users whose jobs made it and who have not read it to its end."""
        with self._lock:
            read = {user for user, sha256 in self._fetched if sha256 == name}
        with self._database.reading() as db:
            rows = db.execute("SELECT user FROM possessions WHERE sha256 = ? AND NOT fetched", (name,))
            return {row[0] for row in rows} - read

    def all_unfetched(self) -> dict[str, set[str]]:
        """The same of all blobs at once, by user."""
        found: dict[str, set[str]] = {}
        with self._lock, self._database.reading() as db:
            for user, name in db.execute("SELECT user, sha256 FROM possessions WHERE NOT fetched"):
                if (user, name) not in self._fetched:
                    found.setdefault(user, set()).add(name)
        return found

    def _flush(self) -> None:
        """Write down what was fetched; the lock is held."""
        update = "UPDATE possessions SET fetched = 1 WHERE user = ? AND sha256 = ?"
        with suppress(StorageError):  # on a full disk it stays in memory
            with self._database.writing() as db:
                db.executemany(update, list(self._fetched))
            self._fetched.clear()
