"""`anyportal window`: a page for a host whose own windows a script cannot use."""

from __future__ import annotations

import json
import os
import sys
import threading
import webbrowser
from typing import Annotated, Any

import typer

from anyportal_client.cli.options import Debug, Json
from anyportal_client.events import Event
from anyportal_client.window.events import WindowClosed, WindowOpened
from anyportal_client.window.server import Server
from anyportal_client.window.state import State

_TICK = 0.5
_GRACE = 4.0
"""Seconds after a page said that it goes: it may only be loading itself again."""
_FORGOTTEN = 30 * 60.0
"""Seconds without a page asking: browsers put pages to sleep that nobody looks at."""


def window(
    host: Annotated[str, typer.Option("--for", metavar="HOST", help="The host that it belongs to, for its title.")],
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    as_json: Json = True,
    debug: Debug = False,
) -> None:
    """Serve the window of a host to a browser on this machine.

    Started by the host's script, which writes what is to be seen to standard input and reads what is wished from
    standard output, one JSON object a line (docs/events.md). Ends with standard input.
    """
    speaking = threading.Lock()

    def tell(event: Event) -> None:
        with speaking:
            print(json.dumps(event.as_json()), flush=True)

    state, ended = State(), threading.Event()
    server = Server(state, tell)
    try:
        tell(WindowOpened(host, server.address, server.url))
        if show:
            webbrowser.open(server.url)
        threading.Thread(target=_listen, args=(state, ended), daemon=True).start()
        tell(WindowClosed(_wait(server, ended)))
    finally:
        server.close()


def _wait(server: Server, ended: threading.Event) -> Any:
    """Until nobody looks any more; gives why."""
    gone = 0.0
    while not ended.wait(_TICK):
        gone = gone + _TICK if server.left.is_set() else 0.0
        if gone >= _GRACE:
            return "page closed"
        if server.state.idle_seconds() > _FORGOTTEN:
            return "page closed" if server.session.used else "nobody came"
    return "told to"


def _listen(state: State, ended: threading.Event) -> None:
    """Follow the script's lines; their end is the end of the window."""
    with os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                said = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(said, dict) and _follow(state, said):
                break
    ended.set()


def _follow(state: State, said: dict[str, Any]) -> bool:
    """Do as a line says; True where it says that it is over. What is not known is passed over."""
    verbs = {"state": state.replace, "clip": state.merge_clip, "change": state.merge}
    for verb, do in verbs.items():
        if isinstance(said.get(verb), dict):
            do(said[verb])
    return said.get("close") is True
