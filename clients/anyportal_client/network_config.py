"""The client's configuration: a TOML file of the user's, every key of it known.

It is `client.toml` in the user's configuration folder, or the file that $ANYPORTAL_CLIENT_CONFIG names:

    daemon = "gpu-box"

    [mappings]
    footage = "/mnt/nas"

What the command line says wins over the environment, that over this file, and that over the daemon of this machine.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from anyportal_client.errors import UsageError


@dataclass(frozen=True)
class ClientConfig:
    """What the file says.

    Args:
        daemon: HOST[:PORT] of the daemon to use where none is named, or `any`.
        mappings: folders that the daemon reaches too, by the names that they have there.
    """

    daemon: str = ""
    mappings: Mapping[str, Path] = field(default_factory=dict)


def config_file() -> Path:
    """Where the configuration is, or would be. What is saved of daemons lies beside it."""
    named = os.environ.get("ANYPORTAL_CLIENT_CONFIG")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_config_dir("anyportal", appauthor=False)) / "client.toml"


def read_config() -> ClientConfig:
    """The configuration; an empty one where there is none.

    Raises:
        UsageError: it cannot be read, has a key that nobody knows (the nearest is offered), or a value of another kind.
    """
    file = config_file()
    table = _read(file)
    known = [each.name for each in fields(ClientConfig)]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise UsageError(f"the configuration has no key '{key}'", where=str(file), hint=hint)
    daemon = table.get("daemon", "")
    if not isinstance(daemon, str):
        raise UsageError("daemon is no address", where=str(file), hint='write daemon = "gpu-box"')
    return ClientConfig(daemon, _mappings(table.get("mappings", {}), file))


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"the configuration cannot be read: {error}", where=str(file)) from error


def _mappings(table: object, file: Path) -> dict[str, Path]:
    if not isinstance(table, dict) or not all(isinstance(folder, str) for folder in table.values()):
        raise UsageError("[mappings] is no table of folders", where=str(file), hint='write footage = "/mnt/nas"')
    return {name: Path(folder).expanduser() for name, folder in table.items()}
