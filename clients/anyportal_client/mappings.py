"""Folders that the daemon reaches too: of what lies in them a path is sent, and no bytes.

They are listed in the client's configuration, `client.toml` in the user's configuration folder or the file that
$ANYPORTAL_CLIENT_CONFIG names, under the names that the daemon's configuration has for them:

    [mappings]
    footage = "/mnt/nas"
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from anyportal_client.clips import Clip
from anyportal_client.errors import UsageError
from anyportal_client.shot import ReadyShot

_ODD = re.compile(r"[\\:\x00\ud800-\udfff]")
"""What the daemon takes in no path."""


def read_mappings(pairs: Iterable[str] = ()) -> dict[str, Path]:
    """The folders of the configuration, and those given as `NAME=FOLDER`, which win.

    Raises:
        UsageError: a configuration that cannot be read, or no pair.
    """
    found = _configured(_file())
    for pair in pairs:
        name, equals, folder = pair.partition("=")
        if not equals or not name or not folder:
            raise UsageError(f"'{pair}' is no mapping", where="--map", hint="write NAME=FOLDER: --map footage=/mnt/nas")
        found[name] = Path(folder).absolute()
    return found


def _file() -> Path:
    named = os.environ.get("ANYPORTAL_CLIENT_CONFIG")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_config_dir("anyportal", appauthor=False)) / "client.toml"


def _configured(file: Path) -> dict[str, Path]:
    try:
        table = tomllib.loads(file.read_text("utf-8")).get("mappings", {})
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"the configuration cannot be read: {error}", where=str(file)) from error
    if not isinstance(table, dict) or not all(isinstance(folder, str) for folder in table.values()):
        raise UsageError("[mappings] is no table of folders", where=str(file), hint='write footage = "/mnt/nas"')
    return {name: Path(folder).expanduser() for name, folder in table.items()}


def shared(ready: ReadyShot, folders: Mapping[str, Path]) -> ReadyShot:
    """The shot, with those clips marked of which all files lie in folders that the daemon reaches."""
    if not folders:
        return ready

    def placed(clip: Clip) -> Clip:
        return replace(clip, shared=_place(clip, folders))

    def maybe(clip: Clip | None) -> Clip | None:
        return None if clip is None else placed(clip)

    return replace(
        ready,
        plate=placed(ready.plate),
        matte=maybe(ready.matte),
        mask=maybe(ready.mask),
        backdrop_clip=maybe(ready.backdrop_clip),
    )


def _place(clip: Clip, folders: Mapping[str, Path]) -> tuple[str, str] | None:
    """The mapping, and the path below it; None where a file lies elsewhere, links resolved, or has an odd name."""
    parent = clip.files[0].path.parent.resolve()
    for name, folder in sorted(folders.items(), key=lambda each: -len(each[1].parts)):  # the nearest first
        root = folder.resolve()
        if not parent.is_relative_to(root) or not _named_alike(clip):
            continue
        path = (parent.relative_to(root) / clip.pattern).as_posix()
        if not _ODD.search(path) and all(file.path.resolve().is_relative_to(root) for file in clip.files):
            return name, path
    return None


def _named_alike(clip: Clip) -> bool:
    """Whether the files are called on the disk what they are called on the wire."""
    if clip.kind != "sequence":
        return clip.files[0].path.name == clip.pattern
    return all(file.number is not None and clip.pattern % file.number == file.path.name for file in clip.files)
