"""The daemon's configuration: a TOML file, overridden by the command line."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from anyportal_core.errors import UnknownNameError, unknown_name
from anyportal_daemon.errors import AddressError, ConfigError
from anyportal_daemon.jobs.scheduler import Rules
from anyportal_daemon.worker.limits import Limits, devices_of

Numbers = TypeVar("Numbers", Rules, Limits)

DEFAULT_LISTEN = "127.0.0.1:29571"
"""Below the ephemeral range, so that no outgoing connection sits on it by chance."""

_UNITS = {"": 1, "b": 1} | {
    f"{letter}{end}": base**power for power, letter in enumerate("kmgt", 1) for end, base in (("ib", 1024), ("b", 1000))
}
_SIZE = re.compile(rf"(\d{{1,20}}(?:\.\d{{1,20}})?)\s*({'|'.join(_UNITS)})", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """A loopback host and a port; port 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT``.

        Raises:
            AddressError: malformed, or not on loopback.
        """
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise AddressError(
                f"'{text}' is no address", where="listen", hint=f"write HOST:PORT, such as {DEFAULT_LISTEN}"
            )
        host = "127.0.0.1" if host == "localhost" else host
        if not _is_loopback(host):
            raise AddressError(
                f"'{host}' is not a loopback address: other machines could reach it, and this version has "
                "neither TLS nor users to keep strangers out",
                where="listen",
                hint=f"listen on {DEFAULT_LISTEN}, and reach it from elsewhere through an SSH tunnel",
            )
        return cls(host, int(port))

    def with_port(self, port: int) -> Address:
        return Address(self.host, port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Config:
    """Everything that can be configured.

    Args:
        listen: where to serve.
        state: the directory of the journal, the blobs, the stage results and ``daemon.json``.
        models: the root of the model weights; None: $ANYPORTAL_MODELS, or the user's data folder.
        mappings: folders that daemon and clients share: name to root. Files are read only inside the root.
        budget: bytes that blobs, uploads and stage results may come to; None: half of the disk.
        jobs: how many a user may have, and who goes first.
        worker: what a worker may take, how long it may be silent, and the devices that have one.
    """

    listen: Address
    state: Path
    models: Path | None = None
    mappings: Mapping[str, Path] = field(default_factory=dict)
    budget: int | None = None
    jobs: Rules = field(default_factory=Rules)
    worker: Limits = field(default_factory=Limits)


def load(file: Path | None, listen: str | None = None, state: Path | None = None) -> Config:
    """The configuration of a TOML file, if any; ``listen`` and ``state`` override it.

    Raises:
        ConfigError: unreadable, an unknown key (the nearest is offered), or a value of the wrong kind.
        AddressError: an address that will not be served.
    """
    table = _read(file) if file else {}
    try:
        for key in table:
            if key not in Config.__dataclass_fields__:
                raise unknown_name("key", key, Config.__dataclass_fields__, where=str(file))
    except UnknownNameError as error:
        raise ConfigError(error.message, where=error.where, hint=error.hint) from None
    models = _text(table, "models", file)
    return Config(
        listen=Address.parse(listen or _text(table, "listen", file) or DEFAULT_LISTEN),
        state=(state or Path(_text(table, "state", file) or default_state())).expanduser().absolute(),
        models=Path(models).expanduser() if models else None,
        mappings=_mappings(table.get("mappings", {}), file),
        budget=_size(table, "budget", file),
        jobs=_numbers(table, "jobs", Rules, file),
        worker=_worker(table, file),
    )


def default_state() -> str:
    return os.environ.get("ANYPORTAL_STATE") or platformdirs.user_state_dir("anyportal")


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=str(file), hint="check the path after --config"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is no TOML: {error}", where=str(file)) from None


def _text(table: Mapping[str, object], key: str, file: Path | None) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{key} is not a text", where=str(file), hint=f'write {key} = "..."')
    return value


def _numbers(table: Mapping[str, object], name: str, kind: type[Numbers], file: Path | None) -> Numbers:
    """A section whose every key is a number above 0."""
    section = table.get(name, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{name} is not a table", where=str(file), hint=f"write [{name}]")
    known = {each.name: "int" in str(each.type) for each in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in section.items():
        where = f"{file}: {name}.{key}"
        if key not in known:
            error = unknown_name("key", key, known, where=where)
            raise ConfigError(error.message, where=where, hint=error.hint)
        whole = known[key]
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not 0 < value < 2**53:
            what = "a whole number above 0" if whole else "a number above 0"
            raise ConfigError(f"is not {what}", where=where, hint=f"write {key} = 8, or leave it out")
        values[key] = value
    return kind(**values)


def _worker(table: Mapping[str, object], file: Path | None) -> Limits:
    """The section of workers: numbers, and the devices."""
    section = table.get("worker", {})
    if not isinstance(section, dict) or "devices" not in section:
        return _numbers(table, "worker", Limits, file)
    numbers = {key: value for key, value in section.items() if key != "devices"}
    try:
        devices = devices_of(section["devices"])
    except ValueError:
        what = 'is neither "auto" nor a list of devices such as "cpu" and "cuda:0"'
        hint = 'write devices = ["cuda:0", "cuda:1"], or leave it out'
        raise ConfigError(what, where=f"{file}: worker.devices", hint=hint) from None
    return replace(_numbers({"worker": numbers}, "worker", Limits, file), devices=devices)


def _size(table: Mapping[str, object], key: str, file: Path | None) -> int | None:
    """Bytes: a number, or a text with a unit."""
    value = table.get(key)
    if value is None:
        return None
    found = _SIZE.fullmatch(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    size = int(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if not 0 < size < 2**63:
        raise ConfigError(f"{key} is no size", where=str(file), hint=f'write {key} = "200 GiB", or bytes above 0')
    return size


def _mappings(table: object, file: Path | None) -> dict[str, Path]:
    if not isinstance(table, dict):
        raise ConfigError("mappings is not a table", where=str(file), hint="write [mappings]")
    roots: dict[str, Path] = {}
    for name, root in table.items():
        where = f"{file}: mappings.{name}"
        if not isinstance(root, str) or not Path(root).is_absolute():
            raise ConfigError("is not an absolute path", where=where, hint=f'write {name} = "/mnt/footage"')
        if not Path(root).is_dir():
            raise ConfigError(f"there is no folder {root}", where=where, hint="mount or create it first")
        roots[name] = Path(root).resolve()
    return roots
