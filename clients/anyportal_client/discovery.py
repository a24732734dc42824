"""Where the daemon is, and the token it wants."""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from anyportal_client.credentials import SavedHost, find_saved
from anyportal_client.errors import DaemonError, UsageError
from anyportal_client.network_config import read_config

DEFAULT_PORT = 29571
START_HINT = "start one: anyportal serve"

ANY = "any"
"""In place of an address: the daemon that will be done first."""

LOCAL = "local"
"""In place of an address: the daemon of this machine, whatever else the environment and the configuration name."""


@dataclass(frozen=True)
class Tls:
    """How a daemon is known to be the right one, and how this client shows that it is.

    Args:
        authority: the certificate, as PEM, of who must have signed the daemon's.
        certificate, key: this client's own, for a daemon that wants one.
        pinned: the authority was kept at a login; another one later is an alarm.
    """

    authority: str
    certificate: Path | None = None
    key: Path | None = None
    pinned: bool = False


@dataclass(frozen=True)
class Endpoint:
    """An address and what to show there.

    Args:
        origin: who named it, for messages: `--daemon`, `ANYPORTAL_DAEMON`, `configuration`, or a daemon.json's path.
        pid: of the daemon, where its daemon.json was asked for the address.
        file: the daemon.json that said the address, the token or both, and says them anew when it is restarted.
        token_of_file: the token is that of the file, not one that a user was given.
        tls: without it the daemon is called in clear text, which is for this machine alone.
        lan: where the daemon of this machine serves others, where its daemon.json says so.
    """

    address: str
    token: str = ""
    origin: str = ""
    pid: int | None = None
    file: Path | None = None
    token_of_file: bool = False
    tls: Tls | None = None
    lan: str = ""


def state_directory(given: Path | None = None) -> Path:
    """Where the daemon of this user keeps its state: as given, $ANYPORTAL_STATE, or the system's usual place."""
    if given is not None:
        return given
    named = os.environ.get("ANYPORTAL_STATE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_state_dir("anyportal", appauthor=False))


def named_address(address: str | None = None) -> tuple[str, str]:
    """The address that somebody named, as written, and who: as given, $ANYPORTAL_DAEMON, or the configuration.

    Both are empty where nobody did, or it is the one of this machine that is named.

    Raises:
        UsageError: a configuration that cannot be read.
    """
    named, origin = address or "", "--daemon"
    if not named:
        named, origin = os.environ.get("ANYPORTAL_DAEMON", ""), "ANYPORTAL_DAEMON"
    if not named:
        named, origin = read_config().daemon, "configuration"
    return (named, origin) if named and named != LOCAL else ("", "")


def find_endpoint(
    address: str | None = None, token: str | None = None, state_dir: Path | None = None
) -> Endpoint | None:
    """The daemon to talk to: as given, or of $ANYPORTAL_DAEMON, the configuration, or daemon.json; else None.

    What was kept of it at a login is used with it.

    Raises:
        UsageError: an address that is none, or a configuration that cannot be read.
        DaemonError: a daemon.json that cannot be read.
    """
    token = token or os.environ.get("ANYPORTAL_TOKEN") or ""
    address, origin = named_address(address)
    if not address or address == ANY:
        found = read_daemon_file(state_directory(state_dir))
        return found if found is None or not token else replace(found, token=token, token_of_file=False)
    saved = find_saved(address, DEFAULT_PORT)
    address = saved.address if saved is not None else complete(address)
    own = _local(address, state_dir)
    if own is not None and not token:
        return Endpoint(address, own.token, origin, file=own.file, token_of_file=True)
    if saved is not None:
        return endpoint_of(saved, token, origin)
    return Endpoint(address, token, origin)


def endpoint_of(saved: SavedHost, token: str = "", origin: str = "") -> Endpoint:
    """A daemon that was logged in to, with another token where one is given."""
    own = Path(saved.certificate) if saved.certificate else None
    tls = Tls(saved.authority, own, Path(saved.key) if saved.key else None, True) if saved.authority else None
    return Endpoint(saved.address, token or saved.secret(), origin, tls=tls)


def renewed(before: Endpoint) -> Endpoint | None:
    """Where a daemon is by now that was there before, for who has lost it; None while it is surely away.

    A daemon makes a new token at each start, and the client reads it again, rather than that the daemon kept one. Its
    address may be a new one, so that the file must be read in any case, and by the same right as at first: it lies in
    the state directory, and only the daemon's user can read or write it. A token that ends with its process can be
    left behind in a copy of the state directory or in the environment of some process, and opens nothing there. Nor is
    anything lost where another user's program takes the port of a daemon that has died and waits for the clients to
    come back: what they show is worth nothing any more. A token that a user was given lives longer; so whoever waits
    does not call anybody while the process that the file names is gone.
    """
    if before.file is None:
        return before
    try:
        found = read_daemon_file(before.file.parent)
    except DaemonError:  # for now it cannot be read: whoever waits may see it mended
        return None
    asked_for_address = before.pid is not None
    if found is None or (asked_for_address and process_gone(found.pid)):
        return None
    return replace(
        before,
        address=found.address,
        token=found.token if before.token_of_file else before.token,
        pid=found.pid if asked_for_address else None,
    )


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
        address, token, lan = str(said["address"]), str(said["token"]), str(said.get("lan", ""))
        return Endpoint(address, token, str(path), int(said["pid"]), path, True, lan=lan)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise DaemonError(
            "the daemon's file belongs to somebody else", where=str(path), hint="set ANYPORTAL_STATE to your own"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise DaemonError(
            f"the daemon's file cannot be read: {error}", where=str(path), hint=f"delete it and {START_HINT}"
        ) from error


def _local(address: str, state_dir: Path | None) -> Endpoint | None:
    """The daemon of this machine where the address named is its own."""
    try:
        local = read_daemon_file(state_directory(state_dir))
    except DaemonError:
        return None
    same = local is not None and _loopback(local.address) == _loopback(address)
    return local if same else None


def _loopback(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"loopback:{port}" if host in ("127.0.0.1", "localhost", "[::1]") else address


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of HOST:PORT, brackets taken off."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(address: str) -> bool:
    """Whether what is sent to HOST:PORT stays on this machine."""
    host, _ = host_and_port(address)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
