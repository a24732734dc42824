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
