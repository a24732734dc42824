"""Files that one process at a time may hold; the system lets go of them when it ends, however it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from anyportal_client.errors import StorageError
from anyportal_client.storage import local_disk

_PAUSE = 0.05


def try_lock(stream: IO[Any]) -> bool:
    """Lock a file until it is closed; False where another process holds it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def locked(path: Path, patience: float = 60.0) -> Iterator[None]:
    """Hold a lock file, made where it is missing; it stays, since to remove it would take it from who waits for it.

    Raises:
        StorageError: it cannot be made, or another process holds it for longer than ``patience`` seconds.
    """
    until = time.monotonic() + patience
    with local_disk(path):
        stream = path.open("ab")
    with stream:
        while not try_lock(stream):
            if time.monotonic() > until:
                raise StorageError(
                    "another process is writing here, for longer than that takes",
                    where=str(path.parent),
                    hint="run it again when the other one has ended",
                )
            time.sleep(_PAUSE)
        yield
