"""The bytes of the blob store as files: ``ab/cdef...``, whole or not there at all. It knows no users."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from anyportal_daemon.database import file_errors
from anyportal_daemon.errors import BlobCorruptError, BlobsMissingError
from anyportal_daemon.storage.blobs import CHUNK, BlobId
from anyportal_daemon.storage.checkpoints import checkpoint


class BlobFiles:
    """A folder of blobs. The server and the worker child may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256[2:]

    def holds(self, blob: BlobId) -> bool:
        try:
            return self.path(blob.sha256).stat().st_size == blob.size
        except FileNotFoundError:
            return False

    def move_in(self, source: Path, sha256: str) -> None:
        """Make a finished file the blob; it was checked to have that digest."""
        target = self.path(sha256)
        with file_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _seal(source)
            source.replace(target)
            _sync_folder(target.parent)

    def used(self, sha256: str) -> int:
        """When it was used last, in nanoseconds since 1970; 0: it is not there."""
        try:
            return self.path(sha256).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def touch(self, blob: BlobId) -> bool:
        """Count this as a use, where the blob is there; says whether it is."""
        try:
            os.utime(self.path(blob.sha256))
        except FileNotFoundError:
            return False
        except OSError:  # a store that can only be read still has its blobs
            pass
        return self.holds(blob)

    def keep(self, path: Path) -> BlobId:
        """Take in a file that stays where it is, too; from now on it must not be written to.

        Bytes that are there already are replaced: nobody knows whether they are still good, and these are.
        """
        with file_errors(path):
            blob = BlobId(hash_file(path), path.stat().st_size)
            if not (self.touch(blob) and path.samefile(self.path(blob.sha256))):
                aside = self.root / f"{os.getpid()}-{uuid4().hex}.part"
                aside.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path, aside)
                self.move_in(aside, blob.sha256)
        return blob

    def link(self, sha256: str, target: Path) -> None:
        """Make a blob appear under a name, for reading, once its bytes have been checked.

        Raises:
            BlobsMissingError: it is not there.
            BlobCorruptError: its bytes were damaged; they are deleted, so that they are asked for again.
        """
        source, where = self.path(sha256), f"{target.parent.name}/{target.name}"
        hint = "submit it again: what is missing is uploaded"
        with file_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                link_or_copy(source, target)
                os.utime(source)
            except FileNotFoundError:
                message = "a file of the job is no longer in the daemon's store"
                raise BlobsMissingError(message, where=where, hint=hint) from None
            if hash_file(target) != sha256:
                self.delete(sha256)
                raise BlobCorruptError("the daemon's copy of a file was damaged", where=where, hint=hint)

    def entries(self) -> dict[str, os.DirEntry[str]]:
        """Every blob by its digest: to ask all of them is faster than one after the other."""
        folders = filter(os.DirEntry.is_dir, _entries(self.root))
        return {folder.name + entry.name: entry for folder in folders for entry in _entries(folder.path)}

    def names(self) -> list[str]:
        """The digests of all blobs."""
        return [path.parent.name + path.name for path in self.root.glob("??/*")]

    def delete(self, sha256: str) -> None:
        path = self.path(sha256)
        with file_errors(path):
            path.unlink(missing_ok=True)


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing where there is none."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link, which costs nothing; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_stream(file: BinaryIO) -> str:
    """SHA-256 of the rest of an open file."""
    hasher = hashlib.sha256()
    while data := file.read(4 * CHUNK):
        checkpoint()
        hasher.update(data)
    return hasher.hexdigest()


def hash_start(path: Path, size: int) -> hashlib._Hash:
    """SHA-256 over a file's first ``size`` bytes, to go on with."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (data := file.read(min(size, CHUNK))):
            checkpoint()
            hasher.update(data)
            size -= len(data)
    return hasher


def _seal(path: Path) -> None:
    """Bytes on disk, for its user alone, and read-only: whoever links the blob cannot change it by mistake."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if os.name != "nt":  # Windows deletes no read-only file, and the links in a job's folder must go
        path.chmod(0o400)


def _sync_folder(folder: Path) -> None:
    """A rename survives a power cut once its folder is on disk. Windows has no such call, and needs none."""
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
