"""Folders that the daemon reaches too: of what lies in them a path is sent, and no bytes.

They are listed in the client's configuration (network_config.py), under the names that the daemon's configuration has
for them:

    [mappings]
    footage = "/mnt/nas"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from anyportal_client.clips import Clip
from anyportal_client.errors import UsageError
from anyportal_client.network_config import read_config
from anyportal_client.shot import ReadyShot

_ODD = re.compile(r"[\\:\x00\ud800-\udfff]")
"""What the daemon takes in no path."""


def read_mappings(pairs: Iterable[str] = ()) -> dict[str, Path]:
    """The folders of the configuration, and those given as `NAME=FOLDER`, which win.

    Raises:
        UsageError: a configuration that cannot be read, or no pair.
    """
    found = dict(read_config().mappings)
    for pair in pairs:
        name, equals, folder = pair.partition("=")
        if not equals or not name or not folder:
            raise UsageError(f"'{pair}' is no mapping", where="--map", hint="write NAME=FOLDER: --map footage=/mnt/nas")
        found[name] = Path(folder).absolute()
    return found


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
