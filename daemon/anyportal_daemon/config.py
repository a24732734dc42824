"""The daemon's configuration: a TOML file, overridden by the command line."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from anyportal_daemon.config_keys import FOLDERS, SIZE, SWITCH, Kind, key, number, path, read, section
from anyportal_daemon.errors import AddressError, ConfigError
from anyportal_daemon.jobs.scheduler import Rules
from anyportal_daemon.security.limits import CallLimits
from anyportal_daemon.security.tls.keys import TlsKeys
from anyportal_daemon.storage.shares import PART
from anyportal_daemon.worker.limits import Limits

DEFAULT_LISTEN = "127.0.0.1:29571"
"""Below the ephemeral range, so that no outgoing connection sits on it by chance."""

VARIABLE = "ANYPORTAL_DAEMON_CONFIG"
"""Names another file than those of ``default_file``; empty: none."""

SYSTEM_FILE = Path("/etc/anyportal/daemon.toml")


_NO_HOST = re.compile(r"[\s\[\]/\\@]")
"""What neither names nor addresses have."""


@dataclass(frozen=True)
class Address:
    """A host and a port; port 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT``.

        Raises:
            AddressError: malformed.
        """
        host, _, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        if not host or _NO_HOST.search(host) or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
            raise AddressError(
                f"'{text}' is no address", where="listen", hint=f"write HOST:PORT, such as {DEFAULT_LISTEN}"
            )
        host = "127.0.0.1" if host == "localhost" else host
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it. A name is asked nobody about: it may be another address tomorrow."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def with_port(self, port: int) -> Address:
        return Address(self.host, port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: object) -> Address:
    if not isinstance(value, str):
        raise ValueError
    return Address.parse(value)


ADDRESS = Kind("HOST:PORT", f'"{DEFAULT_LISTEN}"', _address)


@dataclass(frozen=True)
class Config:
    """Everything that can be configured: the keys of the file, and its tables."""

    listen: Address = key(
        ADDRESS,
        "Where to serve; port 0 takes a free one. For other machines it needs TLS and a user. `--listen` overrides it.",
        unset=f'`"{DEFAULT_LISTEN}"`',
    )
    state: Path = key(
        path("/var/lib/anyportal"),
        "The directory of jobs, blobs and stage results. `--state` overrides it.",
        unset="`$ANYPORTAL_STATE`, else the system's usual place",
    )
    models: Path | None = key(
        path("/srv/models"),
        "The folder of the model weights.",
        None,
        unset="`$ANYPORTAL_MODELS`, else the user's data folder",
    )
    mappings: Mapping[str, Path] = key(
        FOLDERS,
        "Folders that daemon and clients share. Files are read only inside of them, links resolved.",
        {},
        unset="none",
    )
    budget: int | None = key(
        SIZE, "Bytes that blobs, uploads and stage results may come to.", None, unset="half of the disk", reloads=True
    )
    user_share: float = key(
        number(0.5, most=1),
        "Part of the budget that the footage, uploads and results of one user may come to, before they send and run no"
        " more and others have the first right to the room. The daemon's owner may have all of it.",
        PART,
        reloads=True,
    )
    announce: bool = key(
        SWITCH,
        "Whether a daemon that other machines reach makes itself known on the network, for `anyportal discover`.",
        True,
    )
    jobs: Rules = section(Rules, "How many jobs a user may have, and who goes first.")
    tls: TlsKeys = section(TlsKeys, "What other machines are served with; `docs/security.md`.")
    limits: CallLimits = section(CallLimits, "What callers may take of the daemon's time.")
    worker: Limits = section(Limits, "What a worker process may take, and how long it may be silent.")


def load(file: Path | None, listen: str | None = None, state: Path | None = None) -> Config:
    """The configuration of a TOML file, if any; ``listen`` and ``state`` override it.

    Raises:
        ConfigError: unreadable, an unknown key (the nearest is offered), or a value of the wrong kind.
        AddressError: an address that will not be served.
    """
    values = read(Config, _parsed(file), str(file)) if file else {}
    if listen is not None:
        values["listen"] = Address.parse(listen)
    if state is not None:
        values["state"] = state.expanduser().absolute()
    values.setdefault("listen", Address.parse(DEFAULT_LISTEN))
    values.setdefault("state", Path(default_state()).expanduser().absolute())
    return Config(**values)


def default_state() -> str:
    return os.environ.get("ANYPORTAL_STATE") or platformdirs.user_state_dir("anyportal")


def default_file() -> Path | None:
    """The file that is read where none is named: the user's own, else the system's; None: neither is there."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    own = Path(platformdirs.user_config_dir("anyportal", appauthor=False)) / "daemon.toml"
    return next((file for file in (own, SYSTEM_FILE) if file.is_file()), None)


def _parsed(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        hint = "check the path after --config"
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(file), hint=hint) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is no TOML: {error}", where=str(file)) from None
