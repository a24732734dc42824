"""Ends a daemon of this machine without haste: ``anyportal drain``.

A signal, and no rpc: whoever may signal the process is its user or root, which is exactly who may end it. An rpc would
put the end of the daemon on the network, behind one more right to give and to guard, and gain nothing that a login on
the machine does not give already.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from anyportal_daemon.errors import NoDaemonError
from anyportal_daemon.security.announcement import FILE
from anyportal_daemon.state import StateDirectory

LOOK = 0.2
"""Seconds between two looks at whether it has ended."""

START_HINT = "start one: anyportal serve; or give its state directory with --state"


@dataclass(frozen=True)
class Running:
    """A daemon of this machine, as its ``daemon.json`` tells of it."""

    address: str
    token: str
    pid: int


def running(state: Path) -> Running:
    """The daemon that has a state directory.

    Raises:
        NoDaemonError: none has, or its file cannot be read.
    """
    try:
        said = json.loads((state / FILE).read_text("utf-8"))
        if StateDirectory(state).held():
            return Running(str(said["address"]), str(said["token"]), int(said["pid"]))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        hint = "do it as the daemon's own user, or as root"
        raise NoDaemonError(f"the daemon's file cannot be read: {error}", where=str(state), hint=hint) from None
    raise NoDaemonError("no daemon uses this state directory", where=str(state), hint=START_HINT)


def drain(state: Path, within: float | None) -> bool:
    """Have a daemon take no more jobs and end when those that run are done; returns when it has.

    Args:
        within: seconds after which what still runs is put back into the queue, to go on when the daemon is back; None:
            however long it takes.

    Returns:
        Whether what ran has ended by itself.

    Raises:
        NoDaemonError: none runs, or it is another user's.
    """
    pid = running(state).pid
    _send(pid, "SIGUSR1", state)
    if _ended(state, within):
        return True
    _send(pid, "SIGTERM", state)
    _ended(state, None)
    return False


def _ended(state: Path, within: float | None) -> bool:
    begun, directory = time.monotonic(), StateDirectory(state)
    while directory.held():
        if within is not None and time.monotonic() - begun >= within:
            return False
        time.sleep(LOOK)
    return True


def _send(pid: int, name: str, state: Path) -> None:
    number = getattr(signal, name, None)
    if number is None or os.name == "nt":
        hint = "stop it: what runs goes on at the next start"
        raise NoDaemonError("a daemon on Windows cannot be drained", where=str(state), hint=hint)
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has just ended
    except PermissionError:
        hint = "drain it as its own user, or as root"
        raise NoDaemonError("the daemon is another user's", where=str(state), hint=hint) from None
