"""What a stage says to the user: it belongs to its result, so that who is given that again hears it again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Note:
    """Something that a plug-in said.

    Args:
        warning: the user should look at something, or do something.
    """

    text: str
    warning: bool = False


class Tell(Protocol):
    """Who is told."""

    def __call__(self, text: str, warning: bool = False) -> None: ...


class Notes:
    """Hears what is said, tells each thing once, and keeps it.

    Args:
        tell: where it goes on to, at once.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.kept: list[Note] = []

    def __call__(self, text: str, warning: bool = False) -> None:
        note = Note(text, warning)
        if note not in self.kept:
            self.kept.append(note)
            self._tell(text, warning)

    def again(self, notes: Iterable[Note]) -> None:
        """Say what was said before."""
        for note in notes:
            self(note.text, note.warning)


def written(notes: Iterable[Note]) -> str:
    """Notes as one line, for a file."""
    return json.dumps([[note.text, note.warning] for note in notes])


def read(line: str) -> list[Note]:
    """The notes of such a line."""
    return [Note(str(text), bool(warning)) for text, warning in json.loads(line)]
