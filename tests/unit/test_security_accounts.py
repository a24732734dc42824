"""Users: tokens, scopes, expiry, revocation, and the commands that look after them."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest

import anyportal_client
from anyportal_client.cli.app import run
from anyportal_daemon.errors import TokenError, UserError
from anyportal_daemon.security.accounts import DAY, AccountAuthenticator, Accounts
from anyportal_daemon.security.scopes import Scope
from anyportal_daemon.security.users import Metadata, Principal, TokenAuthenticator

SUBMIT = frozenset({Scope.SUBMIT})


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with closing(Accounts(tmp_path, clock)) as accounts:
        yield accounts


def shown(token: str) -> Metadata:
    return {"authorization": f"Bearer {token}"}


def knows(accounts: Accounts, clock: Clock) -> AccountAuthenticator:
    return AccountAuthenticator(accounts, TokenAuthenticator("own", owner=True), clock)


def test_a_token_is_long_and_random_and_kept_nowhere(accounts: Accounts, tmp_path: Path) -> None:
    tokens = {accounts.add(f"user{n}", SUBMIT, None) for n in range(50)}
    assert len(tokens) == 50
    assert all(token.startswith("apt_") and len(token) == 4 + 43 for token in tokens)
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert files and not any(token[4:].encode() in data for token in tokens for data in files)
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_token_says_who_it_is_and_what_they_may_do(accounts: Accounts, clock: Clock) -> None:
    known = knows(accounts, clock)
    ann, dora = accounts.add("ann", SUBMIT, None), accounts.add("dora", frozenset({Scope.ADMIN, Scope.READ_ALL}), 1)
    assert known.principal(shown(ann)) == Principal("ann", scopes=SUBMIT)
    found = known.principal(shown(dora))
    assert (found.user, found.owner, found.sees_all, found.may(Scope.SUBMIT)) == ("dora", False, True, False)
    assert known.principal(shown("own")).owner
    for wrong in ("", "apt_", f"{ann}x", ann[:-1], ann.upper(), ann.removeprefix("apt_"), "' OR 1=1 --"):
        with pytest.raises(TokenError):
            known.principal(shown(wrong))


def test_a_token_ends_with_its_time_and_when_it_is_revoked(accounts: Accounts, clock: Clock) -> None:
    known = knows(accounts, clock)
    ann, bob = accounts.add("ann", SUBMIT, 2), accounts.add("bob", SUBMIT, None)
    clock.now += 2 * DAY - 1
    assert known.principal(shown(ann)).user == "ann"
    clock.now += 1
    with pytest.raises(TokenError, match="expired"):
        known.principal(shown(ann))
    accounts.revoke("bob")
    accounts.revoke("bob")  # once more changes nothing
    with pytest.raises(TokenError, match="revoked"):
        known.principal(shown(bob))
    assert not accounts.anybody()
    again = accounts.add("bob", SUBMIT, None)
    assert known.principal(shown(again)).user == "bob" and accounts.anybody()
    with pytest.raises(TokenError):
        known.principal(shown(bob))


def test_what_another_process_changes_is_in_force_at_the_next_call(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    with closing(Accounts(tmp_path, clock)) as elsewhere:
        token = elsewhere.add("ann", SUBMIT, None)
        known = knows(accounts, clock)
        assert known.principal(shown(token)).scopes == SUBMIT
        elsewhere.allow("ann", frozenset({Scope.READ_ALL}))
        assert known.principal(shown(token)).scopes == {Scope.READ_ALL}
        elsewhere.revoke("ann")
        with pytest.raises(TokenError):
            known.principal(shown(token))


@pytest.mark.parametrize("name", ["", "Ann", "a b", "../x", "a" * 64, "-x", "a\n", "local", "ä", "apt_x/y"])
def test_no_name_for_a_user(accounts: Accounts, name: str) -> None:
    with pytest.raises(UserError):
        accounts.add(name, SUBMIT, None)


def test_there_is_one_of_each(accounts: Accounts) -> None:
    accounts.add("ann", SUBMIT, None)
    with pytest.raises(UserError, match="already"):
        accounts.add("ann", SUBMIT, None)
    for change in (accounts.revoke, accounts.account, lambda name: accounts.allow(name, SUBMIT)):
        with pytest.raises(UserError, match="no such user"):
            change("bob")


SCHEMA = Path(anyportal_client.__file__).parent / "cli" / "events.schema.json"


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for each in found:
        jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(each)
    return found


def test_the_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"

    def users(*words: str) -> int:
        return run(["users", *words, "--state", str(state), "--json"])

    assert users("add", "ann", "--scope", "submit", "--scope", "read-all", "--days", "30") == 0
    [added] = told(capsys)
    token = str(added["token"])
    assert (added["name"], added["scopes"], added["state"]) == ("ann", ["read-all", "submit"], "active")
    assert users("add", "bob") == 0
    assert users("scopes", "bob", "--scope", "admin") == 0
    assert users("revoke", "ann") == 0
    capsys.readouterr()
    assert users("list") == 0
    listed = capsys.readouterr().out
    found = {each["name"]: each for each in map(json.loads, listed.splitlines())}
    assert (found["ann"]["state"], found["bob"]["state"]) == ("revoked", "active")
    assert found["bob"]["scopes"] == ["admin"] and found["ann"]["expires"] and found["bob"]["expires"] is None
    assert token not in listed and "apt_" not in listed
    assert users("revoke", "eve") == 2
    assert told(capsys)[-1]["code"] == "USER"
    assert users("add") == 2 and users("list", "ann") == 2 and users("scopes", "bob") == 2
    if os.name == "posix":
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
    changes = [json.loads(line) for line in (state / "audit.jsonl").read_text().splitlines()]
    assert [(each["rpc"], each["target"]) for each in changes] == [
        ("anyportal users add", "ann"),
        ("anyportal users add", "bob"),
        ("anyportal users scopes", "bob"),
        ("anyportal users revoke", "ann"),
    ]
    with sqlite3.connect(state / "users.db") as db:
        assert db.execute("SELECT count(*) FROM users").fetchone() == (2,)
