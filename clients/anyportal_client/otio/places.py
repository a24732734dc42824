"""Where media are looked for: path prefixes that differ from machine to machine, folders to search for what is lost.

A cut comes from another machine more often than not: ``P:/show/plates`` there is ``/mnt/show/plates`` here. And an EDL
may name no file at all, only a reel or a clip.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from anyportal_client.errors import UsageError
from anyportal_client.patterns import counter_of
from anyportal_client.request import IMAGE_ENDINGS, MOVIE_ENDINGS

_NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?P<after>\.\w+)")
_MOST_FILES = 500_000


def read_path_map(pairs: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The prefixes of ``OLD=NEW``; the last ``=`` divides, since an old path may hold one.

    Raises:
        UsageError: no pair.
    """
    found = []
    for pair in pairs:
        old, equals, new = pair.rpartition("=")
        if not equals or not old.strip() or not new.strip():
            raise UsageError(
                f"'{pair}' is no pair of paths", where="--path-map", hint=r"write OLD=NEW: --path-map P:\show=/mnt/show"
            )
        found.append((_even(old), Path(new).absolute().as_posix()))
    return tuple(sorted(found, key=lambda each: -len(each[0])))  # the longest prefix knows best


def _even(path: str) -> str:
    return path.replace("\\", "/").rstrip("/") or "/"


@dataclass(frozen=True)
class Places:
    """How paths of a timeline become paths of this machine.

    Args:
        base: the timeline's folder; relative paths start there.
        moved: prefixes as the timeline has them, and what they are here.
        search: folders to look through for media that are not where the timeline says.
    """

    base: Path
    moved: tuple[tuple[str, str], ...] = ()
    search: tuple[Path, ...] = field(default=())

    def here(self, path: Path) -> Path:
        """The path with its prefix exchanged. Large and small letters are alike after a drive or server."""
        text = path.as_posix()
        for old, new in self.moved:
            windows = old.startswith("//") or old[1:2] == ":"
            given, prefix = (text.lower(), old.lower()) if windows else (text, old)
            if given == prefix or given.startswith(prefix.rstrip("/") + "/"):
                return Path(new + "/" + text[len(old) :].lstrip("/"))
        return path

    def find(self, path: Path) -> Path | None:
        """A file, or the pattern of a sequence, of the same name in the folders to search; None where there is none.

        Of several the one is taken whose folders are called most like those asked for, then the first by name.
        """
        counter = counter_of(path.name)
        name = path.name.lower()
        if counter is not None:
            name = f"{path.name[: counter.start()]}*{path.name[counter.end() :]}".lower()
        return _nearest(path, self._index.get(name, ()))

    def find_named(self, title: str) -> Path | None:
        """Media called like a clip or reel: with the ending of a movie or picture, or a sequence that begins so."""
        return _nearest(Path(title), self._titles.get(title.strip().lower(), ()))

    @cached_property
    def _index(self) -> dict[str, list[Path]]:
        """All files of the folders, sequences as patterns, by lower-case name; ``*`` stands for a sequence's number."""
        found: dict[str, dict[Path, None]] = {}
        for path in _media_below(self.search):
            found.setdefault(path.name.lower(), {})[path] = None
            parts = _NUMBERED.fullmatch(path.name)
            if parts and path.suffix.lower() in IMAGE_ENDINGS:
                digits = parts["number"]
                width = f"0{len(digits)}" if len(digits) > 1 else ""
                pattern = path.with_name(f"{parts['before']}%{width}d{parts['after']}")
                found.setdefault(f"{parts['before']}*{parts['after']}".lower(), {})[pattern] = None
        return {name: list(paths) for name, paths in found.items()}

    @cached_property
    def _titles(self) -> dict[str, list[Path]]:
        found: dict[str, dict[Path, None]] = {}
        for paths in self._index.values():
            for path in paths:
                counter = counter_of(path.name)
                single = counter is None and not (path.suffix.lower() in IMAGE_ENDINGS and _numbered(path))
                if counter is not None:
                    found.setdefault(path.name[: counter.start()].rstrip("._- ").lower(), {})[path] = None
                elif single:
                    found.setdefault(path.stem.lower(), {})[path] = None
                    found.setdefault(path.name.lower(), {})[path] = None
        return {name: list(paths) for name, paths in found.items()}


def _numbered(path: Path) -> bool:
    return _NUMBERED.fullmatch(path.name) is not None


def _media_below(folders: Iterable[Path]) -> Iterator[Path]:
    count = 0
    for folder in folders:
        for place, below, names in os.walk(folder):
            below.sort()
            for name in sorted(names):
                if os.path.splitext(name)[1].lower() in IMAGE_ENDINGS | MOVIE_ENDINGS:  # noqa: PTH122  (a hot loop)
                    count += 1
                    if count > _MOST_FILES:
                        return
                    yield Path(place, name)


def _nearest(asked: Path, found: Iterable[Path]) -> Path | None:
    """The path that shares the most folders with the one asked for, counted from the end."""
    wanted = [part.lower() for part in PurePosixPath(asked.as_posix()).parts[::-1][1:]]

    def shared(path: Path) -> int:
        theirs = [part.lower() for part in path.parts[::-1][1:]]
        count = 0
        while count < min(len(wanted), len(theirs)) and wanted[count] == theirs[count]:
            count += 1
        return count

    return max(sorted(found), key=shared, default=None)
