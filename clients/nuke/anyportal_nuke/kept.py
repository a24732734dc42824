"""Frames of the version before that a new version keeps, where only some are made again."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Iterable, Iterator, List

import anyportal_hostkit as hostkit

_ASIDE = ".kept"


class Kept(object):
    """What one version keeps of another, as links.

    Args:
        old: the other's files; empty where there is no other.
        pattern: its own.
    """

    def __init__(self, old: str, pattern: str) -> None:
        self.old = old
        self.pattern = pattern
        self.numbers: List[int] = []

    def add(self, number: int) -> None:
        """One frame more, if the other version has it."""
        source = hostkit.file_of(self.old, number) if self.old else ""
        if os.path.isfile(source):
            _link(source, hostkit.file_of(self.pattern, number))
            self.numbers.append(number)

    def add_all(self, but: Iterable[int]) -> None:
        """All frames of the other version but some."""
        for number in sorted(set(hostkit.paths.present(self.old)) - set(but)):
            self.add(number)

    def drop(self) -> None:
        """Take them away again."""
        for number in self.numbers:
            with contextlib.suppress(OSError):
                os.unlink(hostkit.file_of(self.pattern, number))

    def note(self, folder: str, made: Iterable[int]) -> None:
        """Write into the version's record which frames there are, and which of them were kept."""
        record = hostkit.record.read(folder)
        if record is not None:
            text = hostkit.frames.text_of(set(made) | set(self.numbers))
            hostkit.record.write(folder, dict(record, frames=text, kept=hostkit.frames.text_of(self.numbers)))


@contextlib.contextmanager
def set_aside(pattern: str, but: Iterable[int]) -> Iterator[List[int]]:
    """Have the frames of a version but some out of the way; gives their numbers, and puts them back at the end.

    A host that ends meanwhile leaves them where the next call finds them.
    """
    aside = os.path.join(os.path.dirname(pattern), _ASIDE, os.path.basename(pattern))
    os.makedirs(os.path.dirname(aside), exist_ok=True)
    for number in set(hostkit.paths.present(pattern)) - set(but) - set(hostkit.paths.present(aside)):
        os.replace(hostkit.file_of(pattern, number), hostkit.file_of(aside, number))
    numbers = list(hostkit.paths.present(aside))
    try:
        yield numbers
    finally:
        for number in numbers:
            os.replace(hostkit.file_of(aside, number), hostkit.file_of(pattern, number))
        os.rmdir(os.path.dirname(aside))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(source, target)
