"""``anyportal serve``. Imports next to nothing, since every ``anyportal`` command loads it to know its options."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    pass

SCHEMA = 1
EXIT_MISSING_EXTRA = 8


def serve(
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Loopback address to serve on; port 0 takes a free one.")
    ] = None,
    state: Annotated[Path | None, typer.Option(metavar="DIR", help="Where jobs, blobs and stage results live.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A TOML file instead of the usual one (docs/config.md); options override it."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    stop_with_stdin: Annotated[bool, typer.Option("--stop-with-stdin", help="Stop when standard input ends.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Log more, and show where an error comes from.")] = False,
) -> None:
    """Run the daemon: it owns the models and takes jobs on 127.0.0.1:29571."""
    try:
        from anyportal_daemon import serving
    except ImportError as error:
        hint = "pip install 'anyportal[daemon]'"
        _complain(as_json, EXIT_MISSING_EXTRA, "MISSING_EXTRA", f"the daemon is not installed: {error}", "", hint)
        raise typer.Exit(EXIT_MISSING_EXTRA) from error
    try:
        serving.run(config, listen, state, lambda found: _announce(found, as_json), stop_with_stdin, debug)
    except serving.AnyPortalError as error:
        if debug:
            raise
        number = serving.exit_code(error)
        _complain(as_json, number, error.code, error.message, error.where, error.hint)
        raise typer.Exit(number) from error


def _announce(found: dict[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"schema": SCHEMA, "event": "serving", **found}), flush=True)
    else:
        lan = f", and other machines with TLS on {found['lan']}" if found["lan"] else ""
        named = found["devices"]
        devices = f", devices: {' '.join(named)}" if isinstance(named, list) else ""
        where = f"{found['address']}{lan} (state: {found['state']}{devices})"
        print(f"anyportal {found['version']} serves on {where}", flush=True)


def _complain(as_json: bool, exit_code: int, code: str, message: str, where: str, hint: str) -> None:
    if as_json:
        event = {"event": "error", "code": code, "message": message, "where": where, "hint": hint}
        print(json.dumps({"schema": SCHEMA, **event, "exit_code": exit_code, "job": ""}), flush=True)
    else:
        place = f" ({where})" if where else ""
        print(f"error: {message}{place}" + (f"\n→ {hint}" if hint else ""), file=sys.stderr)


def main() -> None:
    """``python -m anyportal_daemon``."""
    app = typer.Typer(add_completion=False, no_args_is_help=True)
    app.callback()(lambda: None)  # keeps `serve` a command of its own
    app.command()(serve)
    app()
