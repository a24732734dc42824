"""Which commands there are, and what happens around them: nothing is loaded but the one that is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

from anyportal_client.cli.failures import as_client_error, report
from anyportal_client.errors import ClientError
from anyportal_client.version import __version__

GROUP = "anyportal.commands"
"""The entry points by which other packages add commands, as `name = module:function`."""

_SUMMARIES = {
    "submit": "Give one shot a new background and fetch the result.",
    "batch": "Give the clips of an OpenTimelineIO timeline new backgrounds.",
    "watch": "Follow a job until it ends.",
    "fetch": "Bring a job's results into a folder.",
    "jobs": "List the newest jobs.",
    "explain": "Say why a job's stages ran or were reused.",
    "cancel": "End a job.",
    "presets": "List the presets of the daemon.",
    "store": "Show, verify or prune what the daemon keeps on its disk.",
    "login": "Log in to a daemon on another machine: pin its certificate, keep its token.",
    "logout": "Forget a daemon that was logged in to.",
    "discover": "List the daemons on this network.",
    "hosts": "Put the scripts where Nuke, Resolve and Blender look for them.",
    "doctor": "Check this installation, and say how to mend what is missing.",
    "window": "Serve the window of a host; its script starts this.",
    "serve": "Run the daemon: it owns the models and works on jobs.",
    "config": "Check the daemon's configuration, show it, or list its keys.",
    "drain": "Let the daemon of this machine finish what runs, and end it.",
    "tls": "Give the daemon certificates for other machines, renew them, show them.",
    "users": "Add, list and revoke who may call the daemon from other machines.",
    "backup": "Copy the daemon's jobs and the files they need, while it runs.",
    "health": "Say whether the daemon of this machine serves.",
    "models": "List the models that plug-ins need, or make tiny ones to try with.",
    "demo": "Process a small cut from beginning to end, and show the report.",
}
_OWN = {
    "submit": "anyportal_client.cli.submit:submit",
    "batch": "anyportal_client.otio.command:batch",
    "watch": "anyportal_client.cli.jobs:watch",
    "fetch": "anyportal_client.cli.jobs:fetch",
    "jobs": "anyportal_client.cli.jobs:jobs",
    "explain": "anyportal_client.cli.explain:explain",
    "cancel": "anyportal_client.cli.jobs:cancel",
    "presets": "anyportal_client.cli.presets:presets",
    "store": "anyportal_client.cli.store:store",
    "login": "anyportal_client.cli.login:login",
    "logout": "anyportal_client.cli.login:logout",
    "discover": "anyportal_client.cli.discover:discover",
    "hosts": "anyportal_client.cli.hosts:hosts",
    "doctor": "anyportal_client.cli.doctor:doctor",
    "window": "anyportal_client.window.command:window",
}
_HIDDEN = ("window",)
"""Commands that programs call, not people."""


@dataclass(frozen=True)
class Command:
    """A command, not loaded yet; `home` is `module:function`."""

    name: str
    home: str
    summary: str

    def load(self) -> Callable[..., Any]:
        module, _, function = self.home.partition(":")
        loaded: Callable[..., Any] = getattr(import_module(module), function)
        return loaded

    def stand_in(self) -> Callable[..., Any]:
        """What stands for it in the list of commands."""
        return lambda: None


def commands() -> list[Command]:
    """All commands: the client's own, then those of other packages."""
    from importlib.metadata import entry_points

    found = [Command(name, home, _SUMMARIES[name]) for name, home in _OWN.items()]
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist is not None else "another package"
        found.append(Command(point.name, point.value, _SUMMARIES.get(point.name, f"From {package}.")))
    order = {name: place for place, name in enumerate(_SUMMARIES)}
    return sorted(found, key=lambda command: order.get(command.name, len(order)))


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives the exit code."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what gRPC has to say, errors.py says in words
    as_json, debug = "--json" in arguments, "--debug" in arguments
    try:
        code = _app(_called(arguments))(list(arguments) or ["--help"], standalone_mode=False)
    except BrokenPipeError:  # whoever read the output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as raised:
        return _fail(as_client_error(raised), raised, as_json, debug)
    return code if isinstance(code, int) else 0


def _fail(error: ClientError, raised: BaseException, as_json: bool, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(raised)
    report(error, as_json)
    return error.exit_code


def _called(arguments: Sequence[str]) -> str:
    """The name of the command that is called, or being completed in a shell."""
    if "_ANYPORTAL_COMPLETE" in os.environ:
        arguments = os.environ.get("COMP_WORDS", os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()[1:]
    return next((word for word in arguments if not word.startswith("-")), "")


def _app(called: str) -> typer.Typer:
    app = typer.Typer(
        name="anyportal", help="Give shots a new background, lit to belong there.", rich_markup_mode="rich"
    )
    app.callback()(_options)
    for command in commands():
        function = command.load() if command.name == called else command.stand_in()
        shown = None if command.name == called else command.summary
        app.command(command.name, help=shown, hidden=command.name in _HIDDEN)(function)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"anyportal {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version and end.", is_eager=True, callback=_show_version
    ),
) -> None:
    """What may be said without a command."""
