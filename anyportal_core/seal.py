"""A stage result says by itself whether it is whole: a digest of its bytes is its last line.

A key names what a result was made from, not its bytes, so a byte that a disk has changed would go unseen without it.
HDF5 knows where its own data end and passes over what follows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PREFIX = b"\nanyportal-sha256 "
_LENGTH = len(_PREFIX) + 64 + 1
STEP = 1024 * 1024
"""Bytes hashed at a time."""


def seal(path: Path) -> None:
    """Append the digest of a finished file, and have all of it on disk."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # leaves the file at its end
        file.write(_PREFIX + digest.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())  # a name must not survive a power cut that its bytes do not


def sound(path: Path) -> bool:
    """Whether a file is sealed and still what it was then.

    Raises:
        OSError: it cannot be read, or is not there.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END) - _LENGTH
        if size < 0:
            return False
        file.seek(size)
        line = file.read()
        hasher = hashlib.sha256()
        for data in _start(file, size):
            hasher.update(data)
        return line == _PREFIX + hasher.hexdigest().encode() + b"\n"


def _start(file: BinaryIO, size: int) -> Iterator[bytes]:
    file.seek(0)
    while size > 0 and (data := file.read(min(size, STEP))):
        yield data
        size -= len(data)
