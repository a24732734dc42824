"""The state directory: what lies where, and that one daemon alone uses it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from anyportal_daemon.database import file_errors, sqlite_errors
from anyportal_daemon.errors import StateInUseError

_LOCK = "daemon.lock"


@dataclass(frozen=True)
class StateDirectory:
    """Paths below the state directory."""

    root: Path

    @property
    def journal(self) -> Path:
        return self.root / "journal.db"

    @property
    def stages(self) -> Path:
        return self.root / "stages"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    def held(self) -> bool:
        """Whether a daemon has it now."""
        if not (self.root / _LOCK).exists():
            return False
        try:
            self.lock().close()
        except StateInUseError:
            return True
        return False

    def lock(self) -> sqlite3.Connection:
        """Make the directory and take it, until the connection is closed or the process ends.

        SQLite's file lock is the one lock that works alike on every system and dies with its process.

        Raises:
            StateInUseError: another daemon has it.
            StorageError: it cannot be made or written to.
        """
        with file_errors(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.root / _LOCK
        with sqlite_errors(path):
            held = sqlite3.connect(path, isolation_level=None, timeout=0)
            try:
                held.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                held.close()
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                raise StateInUseError(
                    "another daemon uses this state directory",
                    where=str(self.root),
                    hint="stop it first, or give another directory with --state",
                ) from None
        return held
