"""Everything in the store hashed again; what is damaged is removed, so that it is computed or asked for again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from anyportal_daemon.storage.blobs import BlobStore
from anyportal_daemon.storage.shelf import Item, Kind, Shelf

Recovery = Literal["computed", "sent", "run"]


@dataclass(frozen=True)
class Damage:
    """Something that was not what it had been.

    Args:
        gone: there was nothing left of it.
        recovery: how it comes back: computed when a job needs it, sent again, or by running a job again.
        jobs: ids of those that need it or have made it.
    """

    kind: Kind
    name: str
    size: int
    gone: bool
    recovery: Recovery
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """How far verifying is: bytes, things, and the damage found in this step."""

    done: int
    total: int
    checked: int
    damage: tuple[Damage, ...] = ()


class Verifier:
    """Looks at everything once for each call.

    Args:
        jobs: the ids of the jobs that claim a blob.
        spoilt: called with the digest of every blob that was damaged, or gone.
    """

    def __init__(
        self,
        store: BlobStore,
        shelves: Sequence[Shelf],
        jobs: Callable[[str], Sequence[str]],
        spoilt: Callable[[str], None] = lambda sha256: None,
    ) -> None:
        self._store, self._shelves, self._jobs, self._spoilt = store, shelves, jobs, spoilt

    def verify(self) -> Iterator[Step]:
        """Steps of a few megabytes. Raises StorageError where the disk refuses."""
        lost = tuple(self._lost())
        found = [(shelf, item) for shelf in self._shelves for item in shelf.items() if shelf.kind != "upload"]
        total, done, checked = sum(item.size for _, item in found), 0, 0
        yield Step(0, total, 0, lost)
        for shelf, item in found:
            known = self._damage(shelf.kind, item, False)  # what is known of it goes with it
            steps, whole = shelf.verify(item), done + item.size
            healthy = True
            while True:
                try:
                    done = min(done + next(steps), whole)
                except StopIteration as end:
                    healthy = end.value
                    break
                yield Step(done, total, checked)
            done, checked = whole, checked + 1
            yield Step(done, total, checked, () if healthy else (self._told(known),))

    def _lost(self) -> Iterator[Damage]:
        """What somebody has, and is not there."""
        for shelf in self._shelves:
            for item in shelf.lost():
                yield self._told(self._damage(shelf.kind, item, True))

    def _told(self, damage: Damage) -> Damage:
        if damage.kind == "blob":
            self._spoilt(damage.name)
        return damage

    def _damage(self, kind: Kind, item: Item, gone: bool) -> Damage:
        if kind == "stage":
            return Damage(kind, item.name, item.size, gone, "computed")
        recovery: Recovery = "run" if self._store.maker(item.name) is not None else "sent"
        return Damage(kind, item.name, item.size, gone, recovery, tuple(self._jobs(item.name)))
