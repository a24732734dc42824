"""What the commands share: whose state directory it is, and how they say things."""

from __future__ import annotations

import getpass
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

SCHEMA = 1

State = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The daemon's state directory; by default that of its configuration.")
]
ConfigFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The daemon's configuration; by default the one that it would read.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


def state_directory(state: Path | None, config: Path | None) -> Path:
    """The state directory that a daemon would use; made where it is not there. What is made in it is nobody else's.

    Raises:
        ConfigError: the configuration is wrong.
        StorageError: it cannot be made.
    """
    from anyportal_daemon.config import default_file, load
    from anyportal_daemon.database import file_errors

    found = load(config or default_file(), state=state).state
    with file_errors(found):
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def note(state: Path, command: str, target: str) -> None:
    """Write into the audit log what a command has changed, and who ran it."""
    from anyportal_daemon.security.audit import AuditLog, Entry

    with closing(AuditLog(state)) as audit:
        audit.record(Entry(_who(), "this machine", f"anyportal {command}", target, "OK"))


def _who() -> str:
    """The account that runs the command; under sudo the one behind it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return ""


def hand_over(state: Path) -> None:
    """Where root has written into the state directory of a service: give it to the service's user."""
    if os.name != "posix" or os.geteuid() != 0:
        return
    owner = state.stat()
    for path in [*state.glob("users.db*"), *state.glob("audit.jsonl*"), state / "tls", *(state / "tls").rglob("*")]:
        if path.exists():
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def say(as_json: bool, event: str, text: str, **fields: Any) -> None:
    """One answer: a JSON object, or lines for a person."""
    print(json.dumps({"schema": SCHEMA, "event": event, **fields}) if as_json else text, flush=True)
