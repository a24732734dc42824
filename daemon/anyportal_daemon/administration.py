"""Commands for whoever runs the daemon. Imports next to nothing, as ``cli.py``."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

SCHEMA = 1

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


class ConfigAction(StrEnum):
    check = "check"
    show = "show"
    keys = "keys"


def config(
    action: Annotated[ConfigAction, typer.Argument(help="Check a file; show what it puts in force; list the keys.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="By default the one that `anyportal serve` would read.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The daemon's configuration: is a file good, what would be in force, which keys are there."""
    from anyportal_daemon.config import default_file, load
    from anyportal_daemon.config_page import page, written

    if action is ConfigAction.keys:
        print(page(), end="")
        return
    file = file or default_file()
    found = load(file)
    if action is ConfigAction.show:
        print(written(found), end="")
    elif as_json:
        print(json.dumps({"schema": SCHEMA, "event": "config", "file": str(file or ""), "good": True}))
    else:
        print(f"{file} is good" if file else "there is no file: everything is at its default")


State = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The daemon's state directory, by default as for `anyportal serve`.")
]


def drain(
    state: State = None,
    within: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="Then put back what runs: it goes on when the daemon is back."),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="The same as --within 0.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Have the daemon of this machine take no more jobs and end when those that run are done. Returns when it has."""
    from anyportal_daemon import drain as draining

    finished = draining.drain(_state(state), 0 if now else within)
    if as_json:
        print(json.dumps({"schema": SCHEMA, "event": "drained", "finished": finished}))
    else:
        print("the daemon has ended" if finished else "the daemon has ended; what ran goes on when it is back")


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    state: State = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Copy jobs, users and the files they need while the daemon runs. `anyportal serve --state DIR` goes on there."""
    from dataclasses import asdict

    from anyportal_daemon import backup as backing

    made = backing.backup(_state(state), folder.absolute())
    if as_json:
        print(json.dumps({"schema": SCHEMA, "event": "backup", "folder": str(folder), **asdict(made)}))
    else:
        print(f"{folder}: {made.blobs} blobs ({made.blob_bytes / 2**20:.1f} MiB), {made.stages} stage results")


def health(
    state: State = None,
    patience: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="For an answer.")] = 5.0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Whether the daemon of this machine serves, by grpc.health.v1: for containers and monitors."""
    from anyportal_daemon.health import check

    address = check(_state(state), patience)
    if as_json:
        print(json.dumps({"schema": SCHEMA, "event": "health", "address": address, "status": "SERVING"}))
    else:
        print(f"serves on {address}")


def _state(given: Path | None) -> Path:
    """As given, or as the daemon that is configured here has it."""
    from anyportal_daemon.config import default_file, load

    return load(default_file(), state=given).state
