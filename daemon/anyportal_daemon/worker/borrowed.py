"""Files that lie on a disk shared with the client: used where they are, as long as they stay those that were checked.

Nobody can keep others from writing to them, so what was made of them counts only once they have proved unchanged:
each stage result before it is kept, each file of the result before it is told of, and the job at its end. The stamp of
a file does not change with a folder above it, so folders are held open as long as the job runs.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from anyportal_core.cache import StageCache
from anyportal_core.errors import Cancelled, MediaChangedError, MediaUnreadableError
from anyportal_daemon.database import file_errors
from anyportal_daemon.storage.pinned import PinnedFolder
from anyportal_daemon.storage.shared import joined

_PIECE = 4 << 20

SETTLED = 0.02
"""Seconds after which a further change to a file has another time: as a rule kernels count time in steps of 4 ms."""


class Stamp(NamedTuple):
    """What changes with a file: renaming another into its place changes the inode, writing to it the times.

    The time of change (``ctime``) is the one nobody can set back.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class SharedFiles:
    """Remembers the digests of shared files for as long as their stamps stay the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, Stamp], str] = {}

    def digest(self, folder: PinnedFolder, path: Path, stamp: Stamp, cancel: threading.Event) -> str:
        """SHA-256 of a file in its folder; OSError where it cannot be read, Cancelled while it is."""
        if (path, stamp) not in self._known:
            hasher = hashlib.sha256()
            with folder.open(path.name) as file:
                while piece := file.read(_PIECE):
                    if cancel.is_set():
                        raise Cancelled("cancelled")
                    hasher.update(piece)
            if _stamp(folder, path.name) != stamp:
                raise _changed(path.name)
            self._known[path, stamp] = hasher.hexdigest()
        return self._known[path, stamp]


class Loan:
    """The shared files that one job uses. A context: until it is left, what was laid can be opened by this process."""

    def __init__(self, files: SharedFiles, cancel: threading.Event) -> None:
        self._files, self._cancel = files, cancel
        self._folders: dict[Path, PinnedFolder] = {}
        self._stamps: dict[Path, tuple[Stamp, str]] = {}
        """What each file was when it was laid, and its name for people."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._folders:
            self._folders.popitem()[1].close()

    def lay(self, source: Path, sha256: str, target: Path) -> None:
        """Make a shared file appear under a name.

        Args:
            source: without links, so that what it leads to was looked at.
            sha256: what it has to hold; empty: whatever it holds now.

        Raises:
            MediaUnreadableError: it is gone.
            MediaChangedError: it holds something else than what was submitted.
            Cancelled: while it was read.
        """
        name = f"{target.parent.name}/{target.name}"
        try:
            if source.resolve() != source:
                raise _changed(name)
            folder = self._folder(source.parent)
            stamp = _settled(folder, source.name, name)
            if sha256 and self._files.digest(folder, source, stamp, self._cancel) != sha256:
                raise _changed(name)
        except OSError as error:
            raise MediaUnreadableError(f"cannot be read ({error.strerror})", where=str(target)) from error
        self._stamps[source] = stamp, name
        with file_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.symlink_to(folder.link(source.name))
            except OSError:  # Windows lets only some make links
                shutil.copyfile(source, target)

    def prove(self, files: Mapping[str, Path], content: str, role: str) -> None:
        """Make sure that files that were laid hold together what was submitted.

        Args:
            files: by name, as ``digest_files`` was given them.
            content: what that gave.

        Raises:
            MediaUnreadableError, MediaChangedError, Cancelled: as ``lay``.
        """
        try:
            digests = {
                name: self._files.digest(self._folder(file.parent), file, self._stamps[file][0], self._cancel)
                for name, file in files.items()
            }
        except OSError as error:
            raise MediaUnreadableError(f"cannot be read ({error.strerror})", where=role) from error
        if joined(digests) != content:
            raise _changed(role)

    def check(self) -> None:
        """Make sure that all of them are still what they were: what was read of them since is then good.

        Raises:
            MediaChangedError: one is not.
        """
        for source, (stamp, name) in self._stamps.items():
            try:
                same = _stamp(self._folders[source.parent], source.name) == stamp
            except OSError:
                same = False
            if not same:
                raise _changed(name)

    def _folder(self, path: Path) -> PinnedFolder:
        """Opened once, however many of its files are used."""
        if path not in self._folders:
            self._folders[path] = PinnedFolder(path)
        return self._folders[path]


class LoanedCache:
    """A stage cache that keeps nothing that was made while a shared file changed. See ``StageCache``."""

    def __init__(self, cache: StageCache, loan: Loan) -> None:
        self._cache, self._loan = cache, loan

    def find(self, key: str, damaged: Callable[[], None] = lambda: None) -> Path | None:
        return self._cache.find(key, damaged)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        with self._cache.writing(key) as aside:
            yield aside
            self._loan.check()

    def drop(self, key: str) -> None:
        self._cache.drop(key)


def _settled(folder: PinnedFolder, file: str, name: str) -> Stamp:
    """A file's stamp, after a moment where it has just changed: another change would have the same time."""
    with folder.open(file):  # some network shares say what a file is, and not what it was, only to who opens it
        stamp = _stamp(folder, file)
    if abs(time.time() - stamp.changed / 1e9) < SETTLED:
        time.sleep(2 * SETTLED)
        if _stamp(folder, file) != stamp:
            raise _changed(name)
    return stamp


def _stamp(folder: PinnedFolder, file: str) -> Stamp:
    status = folder.status(file)
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _changed(name: str) -> MediaChangedError:
    return MediaChangedError(
        "the shared file is not the one that was submitted: it has changed since",
        where=name,
        hint="submit the shot again when nobody writes to it any more",
    )
