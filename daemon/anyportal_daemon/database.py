"""SQLite files that survive: write-ahead log, one writer, a schema version with migrations."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from anyportal_core.errors import DiskFullError, StorageError, storage_error


class Database:
    """One connection that writes and one that reads, so that a reader never waits for the disk.

    Args:
        path: the file; made where it is not there.
        migrations: SQL scripts; the file's version is how many of them it has seen.

    Raises:
        StorageError: the file is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path, migrations: Sequence[str]) -> None:
        self.path = path
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        with sqlite_errors(path):
            self._writer = _connect(path)
            self._migrate(migrations)
            self._reader = _connect(path)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on disk when the block has ended, or never was."""
        with self._write_lock, sqlite_errors(self.path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view for all queries of the block."""
        with self._read_lock, sqlite_errors(self.path):
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                self._reader.execute("COMMIT")

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def _migrate(self, migrations: Sequence[str]) -> None:
        version = int(self._writer.execute("PRAGMA user_version").fetchone()[0])
        if version > len(migrations):
            raise StorageError(
                f"was written by a newer version of anyportal (schema {version}, known: {len(migrations)})",
                where=str(self.path),
                hint="update anyportal, or give another state directory with --state",
            )
        for number, script in enumerate(migrations[version:], version + 1):
            self._writer.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says into the error family."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise DiskFullError(
                "the disk is full; nothing that exists is lost", where=str(path), hint="free space, then try again"
            ) from error
        raise StorageError(f"the database failed: {error}", where=str(path)) from error


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn what the file system says into the error family."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error
