"""Folders that daemon and clients share: a path below a configured root instead of bytes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from anyportal_core.errors import (
    MediaChangedError,
    MediaNotFoundError,
    MediaUnreadableError,
    ShotError,
    unknown_name,
)
from anyportal_daemon.storage.checkpoints import checkpoint
from anyportal_daemon.storage.files import hash_stream
from anyportal_daemon.storage.pinned import PinnedFolder

_MAX_PATH, _MAX_NAME = 3000, 255
_NUMBER = re.compile(r"%0?\d*d|#+|@+")


class SharedFolders:
    """Path mappings: name to root. Nothing outside a root is reached, by ``..`` or by links.

    Args:
        closed: nothing in this folder is reached either, whatever is mapped: the daemon's own, with everybody's blobs.
    """

    def __init__(self, roots: Mapping[str, Path], closed: Path | None = None) -> None:
        self._roots = roots
        self._closed = closed.resolve() if closed else None

    def find(self, mapping: str, path: str, field: str) -> tuple[Path, dict[str, Path]]:
        """The path on this machine, as written (a sequence keeps its notation), and the files it stands for.

        They are given by name, links resolved: who resolved them again might find that they lead elsewhere by now.

        Raises:
            UnknownNameError: no such mapping.
            ShotError: the path, or a file it stands for, leads out of the root.
            MediaNotFoundError: there is no such file.
        """
        with _reaching(mapping, path, field):
            root, whole = self._below(mapping, path, field)
            files = _files(whole) if self._is_open(whole.resolve(), root) else [whole]
            if not files:
                raise MediaNotFoundError(f"there is no {path} in '{mapping}'", where=f"{field}.path")
            found: dict[str, Path] = {}
            for file in files:
                checkpoint()
                real = found[file.name] = file.resolve()
                if not self._is_open(real, root):
                    raise ShotError(f"'{file.name}' is a link out of '{mapping}'", where=f"{field}.path")
            return whole, found

    def file(self, mapping: str, path: str, size: int, field: str) -> Path:
        """One file that a client has seen, links resolved.

        Raises:
            UnknownNameError, ShotError, MediaNotFoundError: as ``find``.
            MediaUnreadableError: it has another size.
        """
        with _reaching(mapping, path, field):
            root, whole = self._below(mapping, path, field)
            if not whole.is_file():
                hint = "check that the mapping is the same folder on both sides"
                raise MediaNotFoundError(f"there is no {path} in '{mapping}'", where=field, hint=hint)
            real = whole.resolve()
            if not self._is_open(real, root):
                raise ShotError(f"'{whole.name}' is a link out of '{mapping}'", where=f"{field}.path")
            found = real.stat().st_size
            if found != size:
                raise MediaUnreadableError(
                    f"{path} in '{mapping}' has {found} bytes here, not {size}",
                    where=field,
                    hint="check that the mapping is the same folder on both sides, and that the file is whole",
                )
            return real

    def _is_open(self, real: Path, root: Path) -> bool:
        return real.is_relative_to(root) and not (self._closed and real.is_relative_to(self._closed))

    def _below(self, mapping: str, path: str, field: str) -> tuple[Path, Path]:
        """The root of a mapping, and a path below it as written."""
        root = self._roots.get(mapping)
        if root is None:
            raise unknown_name("path mapping", mapping, self._roots, where=f"{field}.mapping")
        relative = PurePosixPath(path)
        if len(path.encode()) > _MAX_PATH or any(len(part.encode()) > _MAX_NAME for part in relative.parts):
            hint = f"give a path of at most {_MAX_PATH} bytes, with names of at most {_MAX_NAME}"
            raise ShotError("a path that no disk has", where=f"{field}.path", hint=hint)
        if relative.is_absolute() or ".." in relative.parts or re.search(r"[\\:\x00]", path) or not path:
            raise ShotError(
                f"'{path}' is not below the root of '{mapping}'",
                where=f"{field}.path",
                hint="give a relative path with forward slashes, without '..'",
            )
        whole = root / relative
        if not self._is_open(whole.parent.resolve(), root):  # of what is elsewhere not even the names are read
            raise ShotError(f"'{path}' leads by a link out of '{mapping}'", where=f"{field}.path")
        return root, whole

    def names(self) -> list[str]:
        """Of the mappings."""
        return sorted(self._roots)


@contextmanager
def _reaching(mapping: str, path: str, field: str) -> Iterator[None]:
    """A name that no file can have, a ring of links, a folder that is closed to the daemon: nothing is there."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        said = getattr(error, "strerror", None) or "its links lead in a ring"
        raise MediaNotFoundError(
            f"{path[:200]} in '{mapping}' cannot be reached: {said}", where=f"{field}.path"
        ) from None


def digest_files(files: Mapping[str, Path], field: str) -> str:
    """What identifies the content of shared files, by name.

    Each is read from its folder held open, and no link is followed: what was found is what is read, or it is an error.

    Raises:
        MediaUnreadableError: one cannot be read, or has become a link.
        MediaChangedError: one was written to meanwhile.
    """
    digests: dict[str, str] = {}
    with ExitStack() as held:
        folders: dict[Path, PinnedFolder] = {}
        for name, file in files.items():
            checkpoint()
            try:
                if file.parent not in folders:
                    folders[file.parent] = held.enter_context(closing(PinnedFolder(file.parent)))
                digests[name] = _digest(folders[file.parent], file.name, field)
            except OSError as error:
                hint = "submit the shot again when nobody changes its files"
                message = f"'{name}' cannot be read ({error.strerror or error})"
                raise MediaUnreadableError(message, where=field, hint=hint) from error
    return joined(digests)


def joined(digests: Mapping[str, str]) -> str:
    """What identifies files by their digests: one file's own, else one over names and digests."""
    if len(digests) == 1:
        return next(iter(digests.values()))
    lines = "".join(f"{name} {digest}\n" for name, digest in digests.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _digest(folder: PinnedFolder, name: str, field: str) -> str:
    with folder.open(name) as file:
        before = _written(file)
        found = hash_stream(file)
        after = _written(file)
    if before != after:
        hint = "submit the shot again when nobody writes to it any more"
        raise MediaChangedError(f"'{name}' was written to while it was read", where=field, hint=hint)
    return found


def _written(file: BinaryIO) -> tuple[int, int, int]:
    """What changes when a file is written to."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _files(whole: Path) -> list[Path]:
    """The file itself, or all that a folder holds or a sequence's notation stands for."""
    if whole.is_file():
        return [whole]
    if whole.is_dir():
        return sorted(file for file in whole.iterdir() if file.is_file())
    before, *rest = _NUMBER.split(whole.name)
    if not rest or not whole.parent.is_dir():
        return []
    name = re.compile(r"-?\d+".join(re.escape(part) for part in (before, *rest)))
    return sorted(file for file in whole.parent.iterdir() if name.fullmatch(file.name) and file.is_file())
