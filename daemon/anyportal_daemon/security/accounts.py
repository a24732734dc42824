"""The users and what they may do, in SQLite: ``users.db`` of the state directory.

A command of another process changes it while the daemon runs. The daemon asks it at every call, so that a change is in
force with the next one.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from anyportal_daemon.database import Database, file_errors
from anyportal_daemon.errors import TokenError, UserError
from anyportal_daemon.security.scopes import Scope, Scopes
from anyportal_daemon.security.users import METADATA_KEY, OWNER, Authenticator, Metadata, Principal, token_of

FILE = "users.db"
PREFIX = "apt_"
"""Of every token of a user: one that has leaked can be found by it."""

DAY = 86400
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MIGRATIONS = (
    """
    CREATE TABLE users (
        name TEXT PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE,
        scopes TEXT NOT NULL,
        created REAL NOT NULL,
        expires REAL,
        revoked REAL
    ) WITHOUT ROWID
    """,
)


@dataclass(frozen=True)
class Account:
    """A user. Times are seconds since 1970; None: never."""

    name: str
    scopes: Scopes
    created: float
    expires: float | None
    revoked: float | None

    def state(self, now: float) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else "active"


class Accounts:
    """The table. Safe to use from any thread, and by several processes at once.

    Args:
        state: the state directory.
        clock: seconds since 1970.

    Raises:
        StorageError: the database cannot be used.
    """

    def __init__(self, state: Path, clock: Callable[[], float] = time.time) -> None:
        path = state / FILE
        with file_errors(path):  # SQLite would make it as readable as the process makes files in general
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._database = Database(path, _MIGRATIONS)
        self._clock = clock

    def close(self) -> None:
        self._database.close()

    def add(self, name: str, scopes: Scopes, days: float | None) -> str:
        """Let somebody in; gives the token, which is kept nowhere.

        Raises:
            UserError: no name for a user, or there is such a user already whose token is good.
        """
        if not _NAME.fullmatch(name) or name == OWNER:
            what = "is the daemon's owner" if name == OWNER else "is no name for a user"
            hint = "take small letters, digits, '.', '-' and '_', at most 63, such as ann"
            raise UserError(f"'{name[:80]}' {what}", where="NAME", hint=hint)
        token, now = PREFIX + secrets.token_urlsafe(32), self._clock()
        row = (name, _digest(token), _joined(scopes), now, None if days is None else now + days * DAY)
        with self._database.writing() as db:
            known = _find(db, "name", name)
            if known is not None and known.state(now) == "active":
                hint = f"to replace a lost token: anyportal users revoke {name}, then add again; their jobs stay"
                raise UserError("there is such a user already", where=name, hint=hint)
            db.execute(
                "INSERT OR REPLACE INTO users (name, digest, scopes, created, expires) VALUES (?, ?, ?, ?, ?)", row
            )
        return token

    def revoke(self, name: str) -> None:
        """Let somebody in no more. Their jobs and blobs stay.

        Raises:
            UserError: there is no such user.
        """
        with self._database.writing() as db:
            _need(
                db.execute("UPDATE users SET revoked = coalesce(revoked, ?) WHERE name = ?", (self._clock(), name)),
                name,
            )

    def allow(self, name: str, scopes: Scopes) -> None:
        """From now on somebody may do this and no more.

        Raises:
            UserError: there is no such user.
        """
        with self._database.writing() as db:
            _need(db.execute("UPDATE users SET scopes = ? WHERE name = ?", (_joined(scopes), name)), name)

    def all(self) -> list[Account]:
        """By name, those who are let in no more included."""
        with self._database.reading() as db:
            return [_account(row) for row in db.execute(f"{_SELECT} ORDER BY name")]

    def anybody(self) -> bool:
        """Whether there is a user who is let in."""
        now = self._clock()
        return any(account.state(now) == "active" for account in self.all())

    def holder(self, token: str) -> Account | None:
        """Whose token this is, good or not.

        To look for a digest tells nothing by the time it takes: nobody can choose what a digest begins with.
        """
        with self._database.reading() as db:
            return _find(db, "digest", _digest(token))

    def account(self, name: str) -> Account:
        """Raises UserError where there is no such user."""
        with self._database.reading() as db:
            found = _find(db, "name", name)
        if found is None:
            raise _unknown(name)
        return found


class AccountAuthenticator:
    """Users by their tokens; whoever shows another kind of token is somebody else's to know.

    Args:
        other: knows the tokens that are not of users: the daemon's own.
    """

    def __init__(self, accounts: Accounts, other: Authenticator, clock: Callable[[], float] = time.time) -> None:
        self._accounts, self._other, self._clock = accounts, other, clock

    def principal(self, metadata: Metadata) -> Principal:
        token = token_of(metadata)
        account = self._accounts.holder(token) if token.startswith(PREFIX) else None
        if account is None:
            return self._other.principal(metadata)
        state = account.state(self._clock())
        if state != "active":
            raise TokenError(
                f"the token is {state}",
                where=METADATA_KEY,
                hint=f"ask for a new one; on the daemon's machine: anyportal users add {account.name}",
                facts={"token": state, "user": account.name},
            )
        return Principal(account.name, scopes=account.scopes)


_SELECT = "SELECT name, scopes, created, expires, revoked FROM users"


def _digest(token: str) -> str:
    # A fast hash is right here: a token is 256 random bits, so nobody finds it by trying, however fast. Slow hashes are
    # for passwords, which people choose; one at each call would be the cheapest way to keep the daemon busy.
    return hashlib.sha256(token.encode()).hexdigest()


def _find(db: sqlite3.Connection, column: str, value: str) -> Account | None:
    row = db.execute(f"{_SELECT} WHERE {column} = ?", (value,)).fetchone()
    return None if row is None else _account(row)


def _account(row: tuple[str, str, float, float | None, float | None]) -> Account:
    name, scopes, created, expires, revoked = row
    return Account(name, frozenset(map(Scope, scopes.split())), created, expires, revoked)


def _joined(scopes: Iterable[Scope]) -> str:
    return " ".join(sorted(scopes))


def _need(changed: sqlite3.Cursor, name: str) -> None:
    if not changed.rowcount:
        raise _unknown(name)


def _unknown(name: str) -> UserError:
    return UserError("there is no such user", where=name[:80], hint="anyportal users list shows them")
