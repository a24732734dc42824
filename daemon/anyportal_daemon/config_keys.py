"""Keys of the configuration: what each is for, what it takes, and the one reader that checks a file against them.

A section is a frozen dataclass whose fields are made with ``key`` (or ``section``, for a table below it). The
reference page (``docs/config.md``) is drawn from the same fields.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from anyportal_core.errors import AnyPortalError, unknown_name
from anyportal_daemon.errors import ConfigError

_KEY, _SECTION = "key", "section"
_UNITS = {"": 1, "b": 1} | {
    f"{letter}{end}": base**power for power, letter in enumerate("kmgt", 1) for end, base in (("ib", 1024), ("b", 1000))
}
_SIZE = re.compile(rf"(\d{{1,20}}(?:\.\d{{1,20}})?)\s*({'|'.join(_UNITS)})", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """What a key takes.

    Args:
        what: for people: "a whole number above 0".
        example: as it stands in a file.
        read: from what TOML gives to the value.

    ``read`` raises ValueError where a value is not of this kind; a text in it says more than ``what``.
    """

    what: str
    example: str
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class Key:
    """What a field of a section is in the file.

    Args:
        kind: what it takes.
        help: what it is for, for the reference page.
        unset: what holds where it is left out, if that is not a value that can be written.
        reloads: whether a running daemon takes a new value at ``SIGHUP``.
    """

    kind: Kind
    help: str
    unset: str = ""
    reloads: bool = False


@dataclass(frozen=True)
class Section:
    """A table below."""

    type: type[Any]
    help: str


def key(kind: Kind, help: str, default: Any = MISSING, unset: str = "", reloads: bool = False) -> Any:
    """A field of a section: see ``Key``. Without a default whoever makes the section has to give one."""
    metadata = {_KEY: Key(kind, help, unset, reloads)}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def section(type: type[Any], help: str) -> Any:
    """A field that is a table of its own; left out, all of its keys are at their defaults."""
    return field(default_factory=type, metadata={_SECTION: Section(type, help)})


def key_of(field: Field[Any]) -> Key | None:
    found: Key | None = field.metadata.get(_KEY)
    return found


def section_of(field: Field[Any]) -> Section | None:
    found: Section | None = field.metadata.get(_SECTION)
    return found


def read(type: type[Any], table: object, file: str, name: str = "") -> dict[str, Any]:
    """The values that a table gives for a section, tables below it made.

    Args:
        type: the section.
        file: for errors.
        name: of the table; empty: the whole file.

    Raises:
        ConfigError: an unknown key (the nearest is offered), or a value that its key does not take.
    """
    if not isinstance(table, dict):
        raise ConfigError("is not a table", where=_place(file, name), hint=f"write [{name}] above its keys")
    known = {each.name: each for each in fields(type)}
    values: dict[str, Any] = {}
    for given, value in table.items():
        path = f"{name}.{given}" if name else given
        if given not in known:
            error = unknown_name("key", given[:80], known, where=_place(file, path))
            raise ConfigError(error.message, where=error.where, hint=error.hint)
        below = section_of(known[given])
        if below is not None:
            values[given] = below.type(**read(below.type, value, file, path))
        else:
            values[given] = _value(known[given], value, _place(file, path))
    return values


def _value(field: Field[Any], value: object, where: str) -> Any:
    described = key_of(field)
    assert described is not None, f"{field.name} is neither a key nor a section"
    kind = described.kind
    try:
        return kind.read(value)
    except AnyPortalError as error:
        raise type(error)(error.message, where=where, hint=error.hint) from None
    except ValueError as error:
        said = str(error) or f"is not {kind.what}"
        raise ConfigError(said, where=where, hint=f"write {field.name} = {kind.example}, or leave it out") from None


def _place(file: str, path: str) -> str:
    return f"{file}: {path}" if path else file


# The kinds.


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    return value


def _path(value: object) -> Path:
    path = Path(_text(value))
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"there is no home folder for {path.parts[0]}") from None


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _size(value: object) -> int:
    """Bytes: a number, or a text with a unit."""
    found = _SIZE.fullmatch(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    size = int(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if not 0 < size < 2**63:
        raise ValueError
    return size


def _folders(value: object) -> dict[str, Path]:
    if not isinstance(value, dict):
        raise ValueError
    roots: dict[str, Path] = {}
    for name, root in value.items():
        if not isinstance(root, str) or not Path(root).is_absolute() or "\0" in root:
            raise ValueError(f"{name} is not an absolute path")
        if not Path(root).is_dir():
            raise ValueError(f"{name}: there is no folder {root}: mount or create it first")
        roots[name] = Path(root).resolve()
    return roots


def whole(example: int, least: int = 1, most: int = 2**53) -> Kind:
    """A whole number within limits."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    limits = f"of {least} or more" if most == 2**53 else f"from {least} to {most}"
    return Kind(f"a whole number {limits}", str(example), read)


def number(example: float, above: float = 0, most: float = 2**53) -> Kind:
    """A finite number within limits."""

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError
        if not above < value <= most:
            raise ValueError
        return value

    limits = f"above {above:g}" if most == 2**53 else f"above {above:g}, at most {most:g}"
    return Kind(f"a number {limits}", f"{example:g}", read)


def choice(*names: str) -> Kind:
    """One of a few words."""

    def read(value: object) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return Kind(f"one of {', '.join(names)}", f'"{names[0]}"', read)


def texts(example: str) -> Kind:
    """A list of texts."""

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValueError
        return tuple(_text(each) for each in value)

    return Kind("a list of texts", f'["{example}"]', read)


def text(example: str) -> Kind:
    """Any text but an empty one."""
    return Kind("a text", f'"{example}"', _text)


def path(example: str) -> Kind:
    """A path; ``~`` is the user's home."""
    return Kind("a path", f'"{example}"', _path)


SWITCH = Kind("true or false", "true", _switch)
SIZE = Kind("bytes, or a text with a unit (KB, MB, GB, TB, KiB, MiB, GiB, TiB)", '"200 GiB"', _size)
FOLDERS = Kind("names and absolute paths of folders that are there", '{ footage = "/mnt/footage" }', _folders)
