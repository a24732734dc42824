"""Files that lie on a disk shared with the client: used where they are, once they have proved to be those meant."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from pathlib import Path

from anyportal_core.errors import Cancelled, MediaUnreadableError
from anyportal_daemon.database import file_errors

_PIECE = 4 << 20


class SharedFiles:
    """Checks shared files, and remembers their digests for as long as size and time of change stay the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], str] = {}

    def lay(self, source: Path, sha256: str, target: Path, cancel: threading.Event) -> None:
        """Make a shared file appear under a name.

        Raises:
            MediaUnreadableError: it is gone, or holds something else than what was submitted.
            Cancelled: while it was read.
        """
        try:
            found = self._digest(source, cancel)
        except OSError as error:
            raise MediaUnreadableError(f"cannot be read ({error.strerror})", where=str(target)) from error
        if found != sha256:
            raise MediaUnreadableError(
                "the shared file is not the one that was submitted: it has changed since",
                where=str(target),
                hint="submit the shot again",
            )
        with file_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.symlink_to(source)
            except OSError:  # Windows lets only some make links
                shutil.copyfile(source, target)

    def _digest(self, path: Path, cancel: threading.Event) -> str:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            stamp = path, status.st_size, status.st_mtime_ns
            if stamp not in self._known:
                hasher = hashlib.sha256()
                while piece := file.read(_PIECE):
                    if cancel.is_set():
                        raise Cancelled("cancelled")
                    hasher.update(piece)
                self._known[stamp] = hasher.hexdigest()
        return self._known[stamp]
