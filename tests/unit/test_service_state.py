"""The state moves between versions: every database has a number, and each older one becomes what a new one is."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anyportal_core.errors import StorageError
from anyportal_daemon.database import Database
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.schema import MIGRATIONS
from anyportal_daemon.security import accounts
from anyportal_daemon.security.accounts import Accounts
from anyportal_daemon.storage import possessions
from anyportal_daemon.storage.disk import DiskBlobStore

Scripts = Sequence[str]
KINDS: dict[str, tuple[Scripts, Callable[[Path], Any]]] = {
    "journal.db": (MIGRATIONS, lambda state: Journal(state / "journal.db")),
    "blobs.db": (possessions._MIGRATIONS, DiskBlobStore),
    "users.db": (accounts._MIGRATIONS, Accounts),
}
"""Every database of the state: its scripts, and who opens it."""

RELEASED = {
    "journal.db": (5, "618d7d37493968e3"),
    "blobs.db": (2, "431c00ef60d71d7a"),
    "users.db": (1, "ad386502be8fd8e2"),
}
"""So many scripts have states somewhere seen, and the digest of these: what changes a state is added after them."""

OLDER = [(name, version) for name, (scripts, _) in KINDS.items() for version in range(1, len(scripts))]


def schema(path: Path) -> tuple[int, set[str], dict[str, list[tuple[Any, ...]]]]:
    """Version, indexes and the columns of all tables. SQLite writes an added column down in another way."""
    with closing(sqlite3.connect(path)) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        found = db.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
        tables = {name: sorted(db.execute(f"PRAGMA table_info({name})")) for kind, name in found if kind == "table"}
    return version, {name for kind, name in found if kind == "index"}, tables


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """As a new daemon leaves it."""
    folder = tmp_path / "new"
    folder.mkdir()
    for _, open_ in KINDS.values():
        open_(folder).close()
    return folder


def test_every_database_of_the_state_is_known_here_and_has_a_version(state: Path) -> None:
    assert {path.name for path in state.rglob("*.db")} == KINDS.keys()
    assert {name: schema(state / name)[0] for name in KINDS} == {name: len(each[0]) for name, each in KINDS.items()}


@pytest.mark.parametrize(("name", "version"), OLDER)
def test_an_older_one_becomes_what_a_new_one_is(state: Path, tmp_path: Path, name: str, version: int) -> None:
    scripts, open_ = KINDS[name]
    Database(tmp_path / name, scripts[:version]).close()
    assert schema(tmp_path / name)[0] == version
    open_(tmp_path).close()
    assert schema(tmp_path / name) == schema(state / name)


@pytest.mark.parametrize("name", KINDS)
def test_a_newer_one_is_refused_and_left_alone(state: Path, name: str) -> None:
    with closing(sqlite3.connect(state / name)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="newer version"):
        KINDS[name][1](state)
    assert schema(state / name)[0] == 99


def test_a_step_that_fails_leaves_what_was_before(tmp_path: Path) -> None:
    good = "CREATE TABLE kept (x INTEGER)"
    Database(tmp_path / "x.db", [good]).close()
    with pytest.raises(StorageError):
        Database(tmp_path / "x.db", [good, "CREATE TABLE half (x INTEGER); CREATE TABLE kept (x INTEGER)"])
    version, _, tables = schema(tmp_path / "x.db")
    assert (version, tables.keys()) == (1, {"kept"})


@pytest.mark.parametrize("name", KINDS)
def test_no_script_that_a_state_has_seen_was_changed(name: str) -> None:
    count, digest = RELEASED[name]
    seen = "\0".join(KINDS[name][0][:count])
    assert hashlib.sha256(seen.encode()).hexdigest()[:16] == digest, "never change one: add a script"
