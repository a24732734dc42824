"""Where the daemon is, and the token it wants."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from anyportal_client.errors import DaemonError, UsageError

DEFAULT_PORT = 29571
START_HINT = "start one: anyportal serve"


@dataclass(frozen=True)
class Endpoint:
    """An address and what to show there.

    Args:
        origin: who named it, for messages: `--daemon`, `ANYPORTAL_DAEMON`, or the path of a daemon.json.
        pid: of the daemon, where a daemon.json says it.
    """

    address: str
    token: str = ""
    origin: str = ""
    pid: int | None = None


def state_directory(given: Path | None = None) -> Path:
    """Where the daemon of this user keeps its state: as given, $ANYPORTAL_STATE, or the system's usual place."""
    if given is not None:
        return given
    named = os.environ.get("ANYPORTAL_STATE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_state_dir("anyportal", appauthor=False))


def find_endpoint(
    address: str | None = None, token: str | None = None, state_dir: Path | None = None
) -> Endpoint | None:
    """The daemon to talk to: as given, $ANYPORTAL_DAEMON, or daemon.json; None where nothing names one.

    Raises:
        UsageError: an address that is none.
        DaemonError: a daemon.json that cannot be read.
    """
    token = token or os.environ.get("ANYPORTAL_TOKEN") or ""
    origin = "--daemon"
    if not address:
        address, origin = os.environ.get("ANYPORTAL_DAEMON", ""), "ANYPORTAL_DAEMON"
    if not address:
        found = read_daemon_file(state_directory(state_dir))
        return found if found is None or not token else Endpoint(found.address, token, found.origin, found.pid)
    address = complete(address)
    return Endpoint(address, token or _token_of(address, state_dir), origin)


def complete(address: str) -> str:
    """`HOST:PORT`, with the usual port where none is named.

    Raises:
        UsageError: no host, or no port between 1 and 65535.
    """
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):  # a bare host, or [::1]
        host, port = address, str(DEFAULT_PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(
            "this is no address", where=address, hint=f"write it as HOST:PORT, such as 127.0.0.1:{DEFAULT_PORT}"
        )
    return f"{host}:{port}"


def read_daemon_file(folder: Path) -> Endpoint | None:
    """What daemon.json in a state directory says; None where there is none.

    Raises:
        DaemonError: it cannot be read.
    """
    path = folder / "daemon.json"
    try:
        said = json.loads(path.read_text("utf-8"))
        return Endpoint(str(said["address"]), str(said["token"]), str(path), int(said["pid"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise DaemonError(
            "the daemon's file belongs to somebody else", where=str(path), hint="set ANYPORTAL_STATE to your own"
        ) from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DaemonError(
            f"the daemon's file cannot be read: {error}", where=str(path), hint=f"delete it and {START_HINT}"
        ) from error


def _token_of(address: str, state_dir: Path | None) -> str:
    """The token of the local daemon where the address named is its own."""
    try:
        local = read_daemon_file(state_directory(state_dir))
    except DaemonError:
        return ""
    same = local is not None and _loopback(local.address) == _loopback(address)
    return local.token if local is not None and same else ""


def _loopback(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"loopback:{port}" if host in ("127.0.0.1", "localhost", "[::1]") else address


def process_gone(pid: int | None) -> bool:
    """Whether a process has surely ended; False where that cannot be told."""
    if pid is None or os.name != "posix":  # on Windows os.kill ends what it asks about
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
