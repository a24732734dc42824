"""Digests of files, remembered by path, size and time of change, so that no plate is read twice for nothing."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20
_SETTLED_SECONDS = 2.0
_MOST_ROWS = 200_000
_READERS = 4

OnBytes = Callable[[int], None]
"""Told the size of each chunk that was read; may raise to stop."""


@dataclass(frozen=True)
class Digest:
    """What a file holds."""

    sha256: str
    size: int


@dataclass(frozen=True)
class _Stamp:
    """What tells whether a file has changed."""

    path: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> _Stamp:
        status = path.stat()
        name = str(path.resolve()).encode("utf-8", "backslashreplace").decode()  # SQLite takes no other
        return cls(name, status.st_size, status.st_mtime_ns)

    @property
    def settled(self) -> bool:
        """A file of this very moment may change once more without its time of change telling."""
        return time.time() - self.changed / 1e9 > _SETTLED_SECONDS


def hash_file(path: Path, on_bytes: OnBytes = lambda count: None) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


class HashCache:
    """Digests of files that have not changed since. A cache that cannot be used costs time, never an error."""

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            import platformdirs

            folder = Path(platformdirs.user_cache_dir("anyportal", appauthor=False))
        self._file = folder / "digests.sqlite"

    def digests(self, paths: Iterable[Path], on_bytes: OnBytes = lambda count: None) -> dict[Path, Digest]:
        """The digest of each file, read where it is not known.

        Raises:
            OSError: a file cannot be read.
        """
        stamps = {path: _Stamp.of(path) for path in paths}
        found = self._find(stamps)
        for digest in found.values():
            on_bytes(digest.size)
        unknown = [path for path in stamps if path not in found]
        with ThreadPoolExecutor(_READERS) as readers:
            hashed = readers.map(lambda path: hash_file(path, on_bytes), unknown)
            fresh = {path: Digest(sha256, stamps[path].size) for path, sha256 in zip(unknown, hashed, strict=True)}
        self._keep((stamps[path], fresh[path]) for path in unknown if stamps[path] == _Stamp.of(path))
        return found | fresh

    def _find(self, stamps: dict[Path, _Stamp]) -> dict[Path, Digest]:
        found: dict[Path, Digest] = {}
        try:
            with self._database() as database:
                for path, stamp in stamps.items():
                    row = database.execute(
                        "SELECT sha256 FROM digests WHERE path=? AND size=? AND changed=?",
                        (stamp.path, stamp.size, stamp.changed),
                    ).fetchone()
                    if row is not None:
                        found[path] = Digest(str(row[0]), stamp.size)
        except (sqlite3.Error, OSError) as error:
            if type(error) is sqlite3.DatabaseError:  # no database: begin a new one
                self._file.unlink(missing_ok=True)
            return {}
        return found

    def _keep(self, known: Iterable[tuple[_Stamp, Digest]]) -> None:
        rows = [(s.path, s.size, s.changed, digest.sha256) for s, digest in known if s.settled]
        try:
            with self._database() as database:
                database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)", rows)
                database.execute(
                    "DELETE FROM digests WHERE rowid <= (SELECT max(rowid) FROM digests) - ?", (_MOST_ROWS,)
                )
                database.commit()
        except (sqlite3.Error, OSError):
            return

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._file, timeout=5)) as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, sha256 TEXT)"
            )
            yield database
