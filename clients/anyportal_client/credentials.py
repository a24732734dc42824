"""What is kept of the daemons that were logged in to: where they are, who signed their certificates, and the tokens.

The list lies in `hosts.json` beside the client's configuration, readable by its user alone. A token lies in the
platform's keyring, where the package `keyring` and a real one behind it are there, else in the same file.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from anyportal_client.errors import DaemonError, UsageError
from anyportal_client.network_config import config_file
from anyportal_client.storage import local_disk

SERVICE = "anyportal"
"""The name under which tokens stand in a keyring."""


@dataclass(frozen=True)
class SavedHost:
    """A daemon that was logged in to.

    Args:
        address: HOST:PORT, as it was named at the login.
        authority: the pinned certificate of who signs its own, as PEM; empty for a daemon on loopback.
        user: who the token is for, where the daemon said so.
        token: where it is not in the keyring.
        certificate, key: paths of this client's own, where the daemon wants them.
        keyring: the token is in the keyring.
    """

    address: str
    authority: str = ""
    user: str = ""
    token: str = ""
    certificate: str = ""
    key: str = ""
    keyring: bool = False

    def __repr__(self) -> str:
        return f"SavedHost({self.address!r})"  # a token belongs into no log

    def secret(self) -> str:
        """The token, wherever it is kept.

        Raises:
            DaemonError: the keyring does not give it.
        """
        if not self.keyring:
            return self.token
        ring = _keyring()
        token = _asked(lambda: ring.get_password(SERVICE, self.address)) if ring is not None else None
        if not token:
            hint = f"log in again: anyportal login {self.address}"
            raise DaemonError("the keyring does not give the token", code="TOKEN", where=self.address, hint=hint)
        return str(token)


def hosts_file() -> Path:
    """Where the list lies, or would."""
    return config_file().with_name("hosts.json")


def saved_hosts() -> dict[str, SavedHost]:
    """All that were logged in to, by address.

    Raises:
        UsageError: the list cannot be read, or others can read it too.
    """
    path = hosts_file()
    try:
        said = json.loads(path.read_text("utf-8"))
        found = {address: SavedHost(address=address, **values) for address, values in said.items()}
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        hint = f"delete {path} and log in again"
        raise UsageError(f"the list of daemons cannot be read: {error}", where=str(path), hint=hint) from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        hint = f"chmod 600 {path}; and if somebody may have read it, have its tokens revoked"
        raise UsageError("others can read the tokens in this file", where=str(path), hint=hint)
    return found


def find_saved(address: str, port: int) -> SavedHost | None:
    """The daemon of that address. Without a port it is the one at the usual port, else the only one of that host.

    Raises:
        UsageError: as `saved_hosts`.
    """
    hosts = saved_hosts()
    if address in hosts:
        return hosts[address]
    if f"{address}:{port}" in hosts:
        return hosts[f"{address}:{port}"]
    same = [host for known, host in hosts.items() if known.rpartition(":")[0] == address]
    return same[0] if len(same) == 1 else None


def save(host: SavedHost, token: str) -> SavedHost:
    """Keep a daemon and its token; gives it as it is kept.

    Raises:
        StorageError: the file cannot be written.
    """
    ring = _keyring()
    in_ring = ring is not None and bool(_asked(lambda: _put(ring, host.address, token)))
    kept = replace(host, keyring=in_ring, token="" if in_ring else token)
    _write(saved_hosts() | {host.address: kept})
    return kept


def forget(address: str) -> None:
    """Take a daemon off the list, and its token out of the keyring.

    Raises:
        StorageError: the file cannot be written.
    """
    hosts = saved_hosts()
    gone = hosts.pop(address)
    ring = _keyring() if gone.keyring else None
    if ring is not None:
        _asked(lambda: ring.delete_password(SERVICE, address))
    _write(hosts)


def _write(hosts: Mapping[str, SavedHost]) -> None:
    path = hosts_file()
    aside = path.with_name(f"{path.name}.part")
    said = {address: {key: value for key, value in asdict(host).items() if value} for address, host in hosts.items()}
    for values in said.values():
        del values["address"]
    with local_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(said, file, indent=2)
        aside.replace(path)


def _keyring() -> Any:
    """The platform's keyring; None where there is none that deserves the name."""
    try:
        found = import_module("keyring").get_keyring()
        return found if import_module("keyring.core").recommended(found) else None
    except Exception:  # whatever a backend does when it is asked: then it is none
        return None


def _put(ring: Any, address: str, token: str) -> bool:
    ring.set_password(SERVICE, address, token)
    return bool(ring.get_password(SERVICE, address) == token)  # one that forgets is none


def _asked(question: Any) -> Any:
    """What a keyring answers; None where it is locked, or does not."""
    try:
        return question()
    except Exception:  # each backend has its own
        return None
