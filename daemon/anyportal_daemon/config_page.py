"""The configuration written out: its reference page, and what is in force as TOML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

import tomli_w

from anyportal_daemon.config import Config
from anyportal_daemon.config_keys import Key, key_of, section_of

_HEAD = """\
# The daemon's configuration

A TOML file: the one after `anyportal serve --config`, else the one that `$ANYPORTAL_DAEMON_CONFIG` names, else
`daemon.toml` in the user's configuration folder (`~/.config/anyportal` on Linux), else `/etc/anyportal/daemon.toml`.
Every key may be left out. A key that is unknown, or a value that a key does not take, keeps the daemon from starting;
the error names the file, the key and the nearest known one. `anyportal config check [FILE]` says the same without
starting anything, `anyportal config show [FILE]` prints what would be in force.

Keys marked *yes* under "reload" change in a running daemon by `SIGHUP` (`systemctl reload anyportal`): no job and no
connection is dropped. A file that is wrong changes nothing, and the log says why; what needs a new start to change is
named there, too.

This page is written by `anyportal config keys`.
"""


def page() -> str:
    """Markdown: every key, what it takes, its default, whether it reloads."""
    return "\n".join([_HEAD, *_tables(Config, "")])


def _tables(section: type[Any], name: str) -> Iterator[str]:
    keys = [(each, found) for each in fields(section) if (found := key_of(each))]
    if keys:
        yield "| key | takes | default | reload | |"
        yield "|---|---|---|---|---|"
        yield from (_row(*each) for each in keys)
        yield ""
    for each in fields(section):
        below = section_of(each)
        if below is not None:
            path = f"{name}.{each.name}" if name else each.name
            yield f"## `[{path}]`\n\n{below.help}\n"
            yield from _tables(below.type, path)


def _row(field: Field[Any], key: Key) -> str:
    default = key.unset or f"`{_default(field)}`"
    takes = f"{key.kind.what}: `{key.kind.example}`"
    return f"| `{field.name}` | {takes} | {default} | {'yes' if key.reloads else 'no'} | {key.help} |"


def _default(field: Field[Any]) -> str:
    assert field.default is not MISSING, f"say what holds where {field.name} is left out"
    return tomli_w.dumps({"x": _plain(field.default)}).removeprefix("x = ").strip()


def written(config: Config) -> str:
    """What is in force, as a file that gives the same."""
    return tomli_w.dumps(_table(config))


def _table(section: Any) -> dict[str, Any]:
    values = {each.name: getattr(section, each.name) for each in fields(section)}
    below = {each.name for each in fields(section) if section_of(each)}
    return {
        name: _table(value) if name in below else _plain(value)
        for name, value in values.items()
        if value is not None and value != {} and value != ()
    }


def _plain(value: Any) -> Any:
    """A value as TOML has it."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if isinstance(value, bool | int | float | str) else str(value)


def changed(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, bool]]:
    """The keys whose values differ, and whether a running daemon takes the new ones."""
    for each in fields(old):
        path = f"{name}.{each.name}" if name else each.name
        before, after, key = getattr(old, each.name), getattr(new, each.name), key_of(each)
        if section_of(each):
            yield from changed(before, after, path)
        elif before != after:
            yield path, key is not None and key.reloads
