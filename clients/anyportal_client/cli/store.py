"""`anyportal store`: what the daemon keeps on its disk."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from anyportal_client.cli.options import Daemon, Debug, Json
from anyportal_client.cli.output import size
from anyportal_client.errors import StorageError, UsageError

if TYPE_CHECKING:
    from anyportal_client.client import Client
    from anyportal_client.events import Event
    from anyportal_client.storekeeping import DamageFound, Held, StoreShown

_UNITS = {"": 1} | {f"{letter}{end}": 1024**power for power, letter in enumerate("kmgt", 1) for end in ("", "b", "ib")}
_SIZE = re.compile(rf"(\d{{1,15}}(?:\.\d{{1,15}})?)\s*({'|'.join(_UNITS)})", re.IGNORECASE)
_RECOVERIES = {
    "computed": "it is computed again when it is needed",
    "sent": "whoever uses it next is asked to send it again",
    "run": "a job has made it: run it again",
}


class Action(StrEnum):
    show = "show"
    verify = "verify"
    prune = "prune"


def store(
    action: Annotated[
        Action, typer.Argument(help="Say how much there is, hash all of it again, or evict what nobody needs.")
    ],
    keep: Annotated[
        str, typer.Option(metavar="SIZE", help="With prune: stop when the store is down to this, such as 50GiB.")
    ] = "0",
    recent: Annotated[
        bool, typer.Option("--recent", help="With prune: also what was used in the last ten minutes.")
    ] = False,
    daemon: Daemon = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The daemon's store: footage that was sent, results, and what stages have found.

    What is damaged is removed, so that it is computed or asked for again, and the command ends with 7. Nothing that a
    job needs and no result that was not fetched is ever pruned. To verify and to prune is for the daemon's owner.
    """
    from anyportal_client.client import Client

    down_to = _bytes(keep)
    with Client.connect(daemon, start=False) as client:
        if action is Action.show:
            _show(client.store(), as_json)
        elif action is Action.verify:
            _verify(client, as_json)
        else:
            _prune(client, down_to, recent, as_json)


def _show(found: StoreShown, as_json: bool) -> None:
    if as_json:
        return _line(found)
    _table("yours", found.own)
    if found.whole:
        _table("all", found.whole)
        used = sum(held["size_bytes"] for held in found.whole.values())
        print(f"{size(used)} of {size(found.budget_bytes)}; {size(found.prunable_bytes)} of it nobody needs")
    print(f"free on the disk: {size(found.free_disk_bytes)}")


def _table(name: str, held: Mapping[str, Held]) -> None:
    for kind, each in held.items():
        print(f"{name:<6} {kind:<8} {each['count']:>9}  {size(each['size_bytes']):>12}")


def _verify(client: Client, as_json: bool) -> None:
    from anyportal_client.storekeeping import DamageFound, StoreVerified, Verifying

    for event in client.verify_store():
        if as_json:
            _line(event)
        elif isinstance(event, DamageFound):
            print(_sentence(event), flush=True)
        elif isinstance(event, Verifying):
            _progress(event.done_bytes, event.total_bytes)
        if isinstance(event, StoreVerified):
            if not as_json:
                print(f"{event.checked} files, {size(event.total_bytes)}: {event.damaged or 'none'} damaged")
            if event.damaged:
                raise typer.Exit(StorageError.exit_code)


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done / max(total, 1):4.0%} of {size(total)} ", end="", file=sys.stderr, flush=True)


def _sentence(found: DamageFound) -> str:
    what = "gone" if found.gone else "damaged"
    jobs = f" ({', '.join(found.jobs)})" if found.jobs else ""
    return f"{what}: {found.kind} {found.name}{jobs}: {_RECOVERIES[found.recovery]}"


def _prune(client: Client, keep: int, recent: bool, as_json: bool) -> None:
    done = client.prune_store(keep, recent)
    if as_json:
        return _line(done)
    print(f"{done.count} files and {size(done.freed_bytes)} freed, {size(done.used_bytes)} left")


def _line(event: Event) -> None:
    print(json.dumps(event.as_json()), flush=True)


def _bytes(text: str) -> int:
    """What `--keep` says.

    Raises:
        UsageError: no size.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"'{text}' is no size", where="--keep", hint="write 50GiB, or a number of bytes")
    return int(float(found[1]) * _UNITS[found[2].lower()])
