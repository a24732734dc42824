"""What takes room in the state directory, seen alike: blobs, partial uploads and stage results."""

from __future__ import annotations

from collections.abc import Container, Generator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

Kind = Literal["blob", "upload", "stage"]

SEALED = ".h5"
"""Ending of stage results that are finished, after their key; other files say nothing of themselves yet."""


class Item(NamedTuple):
    """Something that can be evicted as a whole. A tuple, since a store has many.

    Args:
        name: unique on its shelf; of a blob its SHA-256.
        size: bytes.
        used: when it was last used, in nanoseconds since 1970.
    """

    name: str
    size: int
    used: int


@dataclass(frozen=True)
class Total:
    """So many things, so many bytes."""

    count: int = 0
    size: int = 0

    def __add__(self, other: Total) -> Total:
        return Total(self.count + other.count, self.size + other.size)


class Shelf(Protocol):
    """One kind of what is stored. Safe to use from any thread."""

    kind: Kind

    def total(self) -> Total:
        """What is on it, at little cost."""
        ...

    def items(self, but: Container[str] = ()) -> list[Item]:
        """All that is on it, but for some names, in no order."""
        ...

    def evict(self, item: Item) -> bool:
        """Delete it, unless it was used since it was listed or is being used; says whether it is gone."""
        ...

    def verify(self, item: Item) -> Generator[int, None, bool]:
        """Hash it again, yielding bytes done since the last time; False: it was damaged and is removed."""
        ...

    def lost(self) -> list[Item]:
        """What should be there and is not; it is no longer expected afterwards."""
        ...
