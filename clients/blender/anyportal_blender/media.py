"""The files of a version, as a strip takes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anyportal_hostkit import frames, paths

from .errors import Refused


@dataclass(frozen=True)
class Media:
    """A movie, a still, or numbered pictures.

    Args:
        path: the file, or the pattern.
        first: number of the first frame, likewise `last`.
    """

    path: str
    first: int
    last: int

    @property
    def type(self) -> str:
        """The type of strip that shows it."""
        return "MOVIE" if os.path.splitext(self.path)[1].lower() in (".mp4", ".mov") else "IMAGE"

    @property
    def folder(self) -> str:
        return os.path.dirname(self.path)

    @property
    def names(self) -> list[str]:
        """The names of its pictures; of the one file of a movie."""
        if self.type == "MOVIE":
            return [os.path.basename(self.path)]
        return [os.path.basename(paths.file_of(self.path, number)) for number in range(self.first, self.last + 1)]

    @property
    def files(self) -> list[str]:
        return [os.path.join(self.folder, name) for name in self.names]


def media_of(folder: str, record: Mapping[str, Any]) -> Media:
    """The finished picture of a version.

    Args:
        folder: of the version; its files are looked for there first, since projects move.

    Raises:
        Refused: the version has no files, or they are gone.
    """
    path = record.get("files", {}).get("comp", "")
    if not path:
        raise Refused("this version has no pictures", folder, "it failed, was cancelled, or is not done yet")
    numbers = frames.parse(record["frames"])
    found = Media(os.path.join(folder, os.path.basename(path)), numbers[0], numbers[-1])
    missing = next((file for file in found.files if not os.path.isfile(file)), None)
    if missing is not None:
        raise Refused("the pictures of this version are gone", missing, "choose another version, or rerun")
    return found
