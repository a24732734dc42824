"""Numbers and folders of versions: which is free, who has it, and what becomes of one that was never finished."""

from __future__ import annotations

import contextlib
import json
import platform
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from anyportal_client.locks import try_lock
from anyportal_client.otio.outcomes import version_name
from anyportal_client.otio.records import RECORD
from anyportal_client.otio.requests import VERSION_KEY
from anyportal_client.storage import local_disk

_FOLDER = re.compile(r"v(\d+)")
_MARK = ".running"


@dataclass
class Claim:
    """A version that is being made. Its mark is locked until it ends: a process that dies leaves it unlocked.

    Args:
        job: that an earlier run, which died, began for just this; empty where there is none.
    """

    version: int
    folder: Path
    job: str = ""
    mark: IO[str] | None = None

    def note(self, wish: str, job: str) -> None:
        """Write down which job this is, for whoever finds the folder should this process die."""
        if self.mark is not None:
            with contextlib.suppress(OSError):
                self.mark.seek(0)
                self.mark.truncate()
                self.mark.write(json.dumps({"wish": wish, "job": job, "host": platform.node()}))
                self.mark.flush()

    def finish(self) -> None:
        """The version is whole."""
        self._let_go()
        with contextlib.suppress(OSError):
            (self.folder / _MARK).unlink(missing_ok=True)

    def drop(self) -> None:
        """Take away a version that did not become one, and the shot's folder where it is the only one."""
        self._let_go()
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def _let_go(self) -> None:
        if self.mark is not None:
            self.mark.close()
            self.mark = None


def next_version(clips: Iterable[Any], folder: Path) -> int:
    """The first version that neither a clip's references nor the shot's folder has used."""
    keys = [VERSION_KEY.fullmatch(key) for clip in clips for key in clip.media_references()]
    names = [_FOLDER.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    return 1 + max((int(found[1]) for found in (*keys, *names) if found), default=0)


def claim_version(clips: Iterable[Any], folder: Path, wish: str = "") -> Claim:
    """The first version that nothing has used, and its folder, made: another batch at this moment takes the next.

    What a run that died left behind is gone on with where it was for the same, else taken away.

    Args:
        clips: that will have the result.
        folder: of the shot.
        wish: a digest of what is wanted.

    Raises:
        StorageError: it cannot be made.
    """
    clips = list(clips)
    left = _left_behind(folder, wish)
    if left is not None:
        return left
    while True:
        version = next_version(clips, folder)
        place = folder / version_name(version)
        with local_disk(place):
            try:
                place.mkdir(parents=True)
            except FileExistsError:
                continue
            mark = (place / _MARK).open("a+", encoding="utf-8")
        try_lock(mark)
        claim = Claim(version, place, mark=mark)
        claim.note(wish, "")
        return claim


def _left_behind(folder: Path, wish: str) -> Claim | None:
    """The folder of a run that died, if it was for the same; others that nobody works in are taken away."""
    found: Claim | None = None
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        number = _FOLDER.fullmatch(place.name)
        if number is None or not (place / _MARK).is_file() or (place / RECORD).is_file():
            continue
        with contextlib.suppress(OSError):
            mark = (place / _MARK).open("a+", encoding="utf-8")
            if not try_lock(mark):
                mark.close()
                continue
            said = _read(mark)
            if said.get("host", platform.node()) != platform.node():  # a share need not carry locks between machines
                mark.close()
            elif found is None and wish and said.get("wish") == wish:
                found = Claim(int(number[1]), place, str(said.get("job", "")), mark)
            else:
                mark.close()
                shutil.rmtree(place, ignore_errors=True)
    return found


def _read(mark: IO[str]) -> dict[str, Any]:
    mark.seek(0)
    try:
        said = json.loads(mark.read())
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
