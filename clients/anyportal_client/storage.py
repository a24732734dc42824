"""The local disk: its refusals as errors for people."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anyportal_client.errors import StorageError, UsageError


@contextmanager
def local_disk(path: Path) -> Iterator[None]:
    """Turn the disk's refusals into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                "the disk is full",
                code="DISK_FULL",
                where=str(path),
                hint="free space, then run it again: the files that are whole are kept",
            ) from error
        raise StorageError(
            f"cannot be written: {error.strerror or error}", where=str(path), hint="check the folder's rights"
        ) from error


@contextmanager
def made_folder(path: Path) -> Iterator[Path]:
    """A folder for results, made where it is missing. What was made is taken away again where an error leaves it empty.

    So that a call that came to nothing does not use up the name of a version.

    Raises:
        UsageError: it is a file.
        StorageError: it cannot be made or written to.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        yield ready_folder(path)
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def ready_folder(path: Path) -> Path:
    """A folder for results, made where it is missing.

    Raises:
        UsageError: it is a file.
        StorageError: it cannot be made or written to.
    """
    if path.is_file():
        raise UsageError("the place for the results is a file", where=str(path), hint="name a folder, new or not")
    probe = path / ".anyportal.part"
    with local_disk(path):
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    return path
