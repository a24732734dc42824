"""Everything that is done to a host's folders goes through here: told step by step, and with `--dry-run` only told."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from anyportal_client.storage import local_disk

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)


class Hands:
    """Does things to files and keeps account.

    Args:
        dry_run: say what would be done, and do nothing.

    Attributes:
        steps: what was done, or would be, each in words.
    """

    def __init__(self, dry_run: bool = False) -> None:
        self.steps: list[str] = []
        self._idle = dry_run

    def link(self, place: Path, target: Path) -> bool:
        """Make a link, in place of an older one; False where this system does not let us, and nothing is done.

        Raises:
            StorageError: the folder cannot be written.
        """
        aside = place.with_name(f".{place.name}.{os.getpid()}.part")
        if not self._idle:
            with local_disk(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                if not _linked(aside, target):
                    return False
                aside.replace(place)
        self.steps.append(f"link {place} to {target}")
        return True

    def write(self, place: Path, content: bytes, told: bool = True) -> None:
        """Write a file, whole or not at all. A link is followed; the rights stay.

        Args:
            told: whether it is a step of its own.

        Raises:
            StorageError: it cannot be written.
        """
        if told:
            self.steps.append(f"write {place}")
        if self._idle:
            return
        real = place.resolve()
        aside = real.with_name(f".{real.name}.{os.getpid()}.part")
        with local_disk(place):
            real.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.write_bytes(content)
                if real.exists():
                    aside.chmod(real.stat().st_mode)
                aside.replace(real)
            finally:
                aside.unlink(missing_ok=True)

    def remove(self, place: Path, told: bool = True) -> None:
        """Take a file or a link away.

        Args:
            told: whether it is a step of its own.

        Raises:
            StorageError: it cannot be removed.
        """
        if told:
            self.steps.append(f"remove {place}")
        if not self._idle:
            with local_disk(place):
                place.unlink(missing_ok=True)

    def remove_emptied(self, folders: Iterable[Path]) -> None:
        """Take away folders that nothing is left in, with what Python has put there; the inner ones first."""
        if self._idle:
            return
        for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
            with suppress(OSError):
                for compiled in (folder / "__pycache__").glob("*.pyc"):
                    compiled.unlink()
            for emptied in (folder / "__pycache__", folder):
                with suppress(OSError):
                    emptied.rmdir()


def _linked(place: Path, target: Path) -> bool:
    try:
        place.unlink(missing_ok=True)
        place.symlink_to(target, target_is_directory=target.is_dir())
    except OSError as error:
        # Windows without the right to link, or a file system that has no links.
        if getattr(error, "winerror", None) or error.errno in _NO_LINKS:
            return False
        raise
    return True
