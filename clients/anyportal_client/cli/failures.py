"""How a command that did not work says so."""

from __future__ import annotations

import json
import sys
from typing import TextIO

import typer

from anyportal_client.cli.saying import say
from anyportal_client.errors import Cancelled, ClientError, InternalError, MissingExtraError, UsageError, error_of
from anyportal_client.extras import need_extra

_USAGE_PROBLEM = typer.BadParameter.__mro__[1]
"""Base of what the command line parser raises; where it lies differs between versions."""


def as_client_error(raised: BaseException) -> ClientError:
    """Any exception as an error for a person."""
    if isinstance(raised, ClientError):
        return raised
    if isinstance(raised, (KeyboardInterrupt, typer.Abort)):
        return Cancelled("interrupted")
    if isinstance(raised, _USAGE_PROBLEM):
        return UsageError(_sentence(raised), hint=_help_hint(raised))
    if all(hasattr(raised, name) for name in ("code", "message", "where", "hint")):  # of the core or the daemon
        return error_of(raised.code, raised.message, where=raised.where, hint=raised.hint)  # type: ignore[attr-defined]
    if isinstance(raised, ImportError):
        try:
            need_extra("daemon", "for this command")
        except MissingExtraError as missing:
            return missing
    return InternalError(
        f"this is a bug: {type(raised).__name__}: {raised}", hint="run it again with --debug, and report what it says"
    )


def report(error: ClientError, as_json: bool) -> None:
    """Say what happened: one JSON line on standard output, or two lines for a person on standard error."""
    if as_json:
        from anyportal_client.events import Failed, WasCancelled

        cancelled = isinstance(error, Cancelled)
        last = WasCancelled(error.job, error.message) if cancelled else Failed.of(error)
        print(json.dumps(last.as_json()), flush=True)
        return
    where = f" ({error.where})" if error.where else ""
    say(f"error: {error.message}{where}", aside=True)
    if error.hint:
        say(f"{arrow(sys.stderr)} {error.hint}", aside=True)


def arrow(stream: TextIO) -> str:
    """What stands before a hint: an arrow, in the letters that a terminal has."""
    try:
        "→".encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return "->"
    return "→"


def _sentence(raised: BaseException) -> str:
    text = str(raised.format_message()) if hasattr(raised, "format_message") else str(raised)
    return (text[:1].lower() + text[1:]).rstrip(".")


def _help_hint(raised: BaseException) -> str:
    context = getattr(raised, "ctx", None)
    return f"see {context.command_path} --help" if context is not None else "see anyportal --help"
