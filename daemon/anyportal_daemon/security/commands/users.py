"""``anyportal users``. Imports next to nothing, since every ``anyportal`` command loads it to know its options."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anyportal_daemon.security.commands.common import (
    ConfigFile,
    Debug,
    Json,
    State,
    hand_over,
    note,
    say,
    state_directory,
)
from anyportal_daemon.security.scopes import Scope

if TYPE_CHECKING:
    from anyportal_daemon.security.accounts import Account, Accounts


class Action(StrEnum):
    add = "add"
    list = "list"
    scopes = "scopes"
    revoke = "revoke"


def users(
    action: Annotated[
        Action, typer.Argument(help="Let somebody in, list who is, change what they may do, or let them out.")
    ],
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Of the user; for all but list.")] = "",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What they may do beside looking; may be given again. With add: submit.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0, help="With add: the token is good for so long.")] = None,
    state: State = None,
    config: ConfigFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Who may use the daemon. A change is in force at once, in a daemon that runs too.

    add prints the token once: it is kept nowhere. Give it to the user, for `anyportal login HOST`. Scopes: submit (run
    jobs), read-all (see everybody's jobs and results), admin (see, cancel, retry and delete everybody's jobs, verify
    and prune the store).
    """
    from anyportal_daemon.security.accounts import Accounts

    if (action is Action.list) == bool(name):
        raise typer.BadParameter("list takes no name" if name else f"say whom: anyportal users {action} NAME")
    if action is Action.scopes and not scope:
        raise typer.BadParameter("say which: --scope submit, --scope read-all, --scope admin")
    root = state_directory(state, config)
    with closing(Accounts(root)) as accounts:
        if action is Action.list:
            _list(accounts, as_json)
        elif action is Action.add:
            _add(accounts, name, frozenset(scope or [Scope.SUBMIT]), days, as_json)
        else:
            if action is Action.revoke:
                accounts.revoke(name)
            else:
                accounts.allow(name, frozenset(scope or ()))
            _show(accounts.account(name), as_json)
    if action is not Action.list:
        note(root, f"users {action}", name)
    hand_over(root)


def _add(accounts: Accounts, name: str, scopes: frozenset[Scope], days: float | None, as_json: bool) -> None:
    token = accounts.add(name, scopes, days)
    text = f"{token}\n{name} may: {', '.join(sorted(scopes))}. `anyportal login` asks for it; it is shown this once."
    say(as_json, "user_added", text, **_fields(accounts.account(name)), token=token)


def _list(accounts: Accounts, as_json: bool) -> None:
    for account in accounts.all():
        _show(account, as_json)


def _show(account: Account, as_json: bool) -> None:
    fields = _fields(account)
    until = f"until {fields['expires']}" if account.expires and fields["state"] == "active" else ""
    text = f"{account.name:<20} {fields['state']:<8} {', '.join(fields['scopes']):<26} {until}".rstrip()
    say(as_json, "user", text, **fields)


def _fields(account: Account) -> dict[str, Any]:
    now = datetime.now(UTC).timestamp()
    times = {"created": account.created, "expires": account.expires, "revoked": account.revoked}
    return {
        "name": account.name,
        "state": account.state(now),
        "scopes": sorted(account.scopes),
        **{key: None if at is None else _date(at) for key, at in times.items()},
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
