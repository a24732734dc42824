"""Keeps the store within its budget: evicts what nobody needs, least recently used first, and refuses new work where
that is not enough."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path
from typing import Protocol

from anyportal_core.errors import DiskFullError
from anyportal_daemon.storage.rooms import Room
from anyportal_daemon.storage.shares import Shares, Tally
from anyportal_daemon.storage.shelf import SEALED, Item, Shelf, Total

GRACE = 600.0
"""Seconds that something is kept for after its use, whoever needs it: a client that was told what the daemon has
creates its job from that."""

LOW = 0.9
"""Of the limit that eviction goes down to, so that it is not called for at every upload."""

SURPLUS = 0.01
"""Of the budget that is taken more of those who have too much than is needed, for the same reason."""

RECOUNT = 2.0
"""Seconds for which a count of the store is good enough, with what was asked for since added."""

GIB = 2**30


class Needs(Protocol):
    """What of the store jobs need."""

    def settled(self) -> AbstractContextManager[object]:
        """While this is open no job comes to need anything."""
        ...

    def live(self, sha256: str) -> bool:
        """Whether a queued or running job needs a blob, or has made it."""
        ...

    def blob(self, sha256: str) -> bool:
        """Whether a queued or running job, or a result that was not fetched, needs a blob."""
        ...

    def all_blobs(self) -> Container[str]:
        """All blobs that are needed, at the price of a few questions about one."""
        ...

    def stages_since(self) -> int | None:
        """Stage results used since then, in nanoseconds since 1970, are needed; None: none are."""
        ...


class Housekeeper(Protocol):
    """What those who fill the store ask of who keeps it."""

    def need(self, more: int = 0, user: str | None = None) -> None:
        """Have room for new work that will take ``more`` bytes.

        Args:
            user: who asks for it; None: it is the daemon's own.

        Raises:
            DiskFullError: what is needed leaves no room for it within the budget, or within the user's part of it.
        """
        ...

    def came(self, size: int, user: str) -> None:
        """So many bytes of results of a user's job are in the store.

        Raises:
            DiskFullError: the store is full, and it is this user who has more than their part of it.
        """
        ...

    def drop(self, stages: Collection[str]) -> set[str]:
        """No job refers to these stage results any more, by key: they, and parts of them, need not wait their turn.

        Returns:
            Those which are still there: a running job may have come across them, and not have said so yet.
        """
        ...


class Unlimited:
    """A store without a budget."""

    def need(self, more: int = 0, user: str | None = None) -> None:
        pass

    def came(self, size: int, user: str) -> None:
        pass

    def drop(self, stages: Collection[str]) -> set[str]:
        return set()


UNLIMITED = Unlimited()


class Keeper:
    """Safe to use from any thread.

    Args:
        root: a folder on the store's disk.
        budget: bytes that the store may come to; None: half of the disk.
        grace: seconds.
        clock: nanoseconds since 1970.
        shares: what each user may have; None: everything.
        gave_up: told of results, by their digests, that nobody had fetched and that had to make room for others.
    """

    def __init__(
        self,
        root: Path,
        shelves: Sequence[Shelf],
        needs: Needs,
        budget: int | None = None,
        grace: float = GRACE,
        clock: Callable[[], int] = time.time_ns,
        shares: Shares | None = None,
        gave_up: Callable[[Sequence[str]], None] = lambda names: None,
    ) -> None:
        self._root, self._shelves, self._needs, self._grace, self._clock = root, shelves, needs, grace, clock
        self._shares, self._gave_up = shares, gave_up
        self.limit(budget)
        self._lock = threading.Lock()
        self._counted, self._counted_at = 0, -inf
        """What the store takes, with all that was promised; and when it was counted last."""
        self._rooms: dict[Room, str | None] = {}

    def limit(self, budget: int | None, part: float | None = None) -> None:
        """Another budget, from the next look on, and (None: as before) another part of it that a user may have."""
        if part is not None and self._shares is not None:
            self._shares.part = part
        self.budget = shutil.disk_usage(self._root).total // 2 if budget is None else budget

    def used(self) -> int:
        """Bytes that the store takes."""
        return sum(shelf.total().size for shelf in self._shelves)

    def need(self, more: int = 0, user: str | None = None) -> None:
        with self._lock:
            self._have(more, user)

    def reserve(self, size: int, user: str | None = None) -> Room:
        """Room for bytes that come bit by bit: nobody else is given it until it is closed.

        Raises:
            DiskFullError: as ``need``.
        """
        with self._lock:
            self._have(size, user)
            room = Room(size, self._let_go)
            self._rooms[room] = user
        return room

    def _let_go(self, room: Room) -> None:
        with self._lock:
            self._rooms.pop(room, None)
            self._counted -= room.left

    def _have(self, more: int, user: str | None = None) -> None:
        if user is not None and self._shares is not None:
            self._stay_within(self._shares, user, more)
        if time.monotonic() - self._counted_at >= RECOUNT:
            self._count()
        if more <= self.budget and self._excess(more) > 0:
            self._count()  # jobs may have filled it since: too little room would be made
            if self._excess(more) > 0:
                self._make_room(more)
            if user is not None and self._shares is not None:
                self._take_surplus(self._shares, more)
        if self._counted + more > self.budget:
            raise _used_up(self.budget)
        self._counted += more
        if user is not None and self._shares is not None:
            self._shares.promise(user, more)

    def _stay_within(self, shares: Shares, user: str, more: int) -> None:
        """Have room in a user's part: what of theirs nobody needs, and nobody else has, goes for it."""

        if (over := self._over(shares, user, more)) <= 0:
            return
        part = int(shares.part * self.budget)
        if more <= part and shares.worth_a_look(user):
            self._take(self._own(shares, user), over + int((1 - LOW) * part))
            self._count()
            over = self._over(shares, user, more)
        if over > 0:
            raise shares.refusal(user, over, more, self.budget)

    def _over(self, shares: Shares, user: str, more: int) -> int:
        """Bytes by which a user would be above their part."""
        promised = sum(room.left for room, owner in self._rooms.items() if owner == user)
        return shares.excess(user, more, self.budget, promised)

    def _own(self, shares: Shares, user: str) -> list[tuple[Shelf, Item]]:
        """What a user has and nobody else, longest unused first: what they sent lately is left out, since a job of
        theirs is about to be created from it; of what their jobs made no job will be."""
        tally, before = shares.tally(self.budget), self._before(False)
        return [
            (shelf, item)
            for shelf, item in self._idle(self._before(True))
            if tally.is_of(user, item.name) and (item.used < before or tally.is_made(item.name))
        ]

    def came(self, size: int, user: str) -> None:
        with self._lock:
            self._counted += size
            if self._shares is None or (self._counted_at > -inf and self._excess(0) <= 0):
                return  # as a rule: to count is to look at everything
            self._count()
            if self._excess(0) > 0:
                self._make_room(0)
            if self._excess(0) > 0:
                if (over := self._over(self._shares, user, 0)) > 0:
                    raise self._shares.refusal(user, over, 0, self.budget)
                self._take_surplus(self._shares, 0)

    def _take_surplus(self, shares: Shares, more: int) -> None:
        """Somebody needs room, and what nobody needs was not enough: results of those who have more than their part go,
        fetched or not, longest unused first, down to that part."""
        room = self._excess(more)
        if room <= 0:
            return
        room += int(SURPLUS * self.budget)
        tally, gone = shares.tally(self.budget), []
        for shelf, item in self._idle(self._before(True)):
            if room <= 0:
                break
            if shelf.kind != "blob" or not tally.is_surplus(item.name):
                continue
            with self._needs.settled():
                wanted = self._needs.blob(item.name)
                if not self._needs.live(item.name) and shelf.evict(item):
                    room -= item.size
                    tally.gone(item.name, item.size)
                    gone += [item.name] * wanted
        self._count()
        if gone:
            self._gave_up(gone)

    def trim(self) -> None:
        """Evict where the store is over its budget, or its disk nearly full."""
        with self._lock:
            self._count()
            if self._excess(0) > 0:
                self._make_room(0)

    def prune(self, keep: int = 0, recent: bool = False) -> Total:
        """Evict what nobody needs until the store is down to ``keep`` bytes; gives what is freed.

        Args:
            recent: also what was used within the grace.
        """
        with self._lock:
            freed = self._evict(self.used() - keep, self._before(recent))
            self._count()
        return freed

    def drop(self, stages: Collection[str]) -> set[str]:
        left = set()
        for shelf in (shelf for shelf in self._shelves if shelf.kind == "stage"):
            latest = self._latest(shelf, self._before(True))
            for item in shelf.items():
                if (key := _key(item)) in stages and (item.used >= latest or not shelf.evict(item)):
                    left.add(key)
        return left

    def prunable(self) -> int:
        """Bytes that ``prune`` would free."""
        before, needed = self._before(False), self._needs.all_blobs()
        return sum(item.size for shelf in self._shelves for item in self._unused(shelf, before, needed))

    def _count(self) -> None:
        promised = self._promised()  # first: what comes meanwhile is counted twice, and not left out
        self._counted, self._counted_at = promised + self.used(), time.monotonic()

    def _promised(self) -> int:
        """Bytes that have not come yet."""
        return sum(room.left for room in self._rooms)

    def _excess(self, more: int) -> int:
        """Bytes by which the store would be too large: for its budget, or for the disk it shares with others."""
        disk = shutil.disk_usage(self._root)
        reserve = min(disk.total // 20, 10 * GIB)
        return max(self._counted + more - self.budget, self._promised() + more + reserve - disk.free)

    def _make_room(self, more: int) -> None:
        slack = int((1 - LOW) * min(self.budget, self._counted))
        self._evict(self._excess(more) + slack, self._before(False))
        self._count()

    def _before(self, recent: bool) -> int:
        """The time before which something must have been used last to be evicted."""
        return self._clock() - (0 if recent else int(self._grace * 1e9))

    def _evict(self, room: int, before: int) -> Total:
        """Free ``room`` bytes, as far as that goes, and of users who have more than their part first."""
        idle = list(self._idle(before)) if room > 0 else []
        if not idle or self._shares is None:
            return self._take(idle, room)
        tally = self._shares.tally(self.budget)
        freed = self._take(idle, room, tally)
        return freed + self._take(idle, room - freed.size)

    def _take(self, idle: Sequence[tuple[Shelf, Item]], room: int, tally: Tally | None = None) -> Total:
        """Evict what is not needed of these, the first first, until ``room`` bytes are free.

        Args:
            tally: to take only what goes first by it.
        """
        freed = Total()
        for shelf, item in idle:
            if freed.size >= room:
                break
            if tally is not None and not tally.goes_first(item.name):
                continue
            with self._needs.settled():
                if not self._needed(shelf, item) and shelf.evict(item):
                    freed += Total(1, item.size)
                    if tally is not None:
                        tally.gone(item.name, item.size)
        return freed

    def _idle(self, before: int) -> Iterator[tuple[Shelf, Item]]:
        """What was last used before a time and no running job has come across, longest ago first."""
        found = [(shelf, item) for shelf in self._shelves for item in self._unused(shelf, before)]
        yield from sorted(found, key=lambda each: each[1].used)

    def _unused(self, shelf: Shelf, before: int, needed: Container[str] = ()) -> Iterator[Item]:
        latest = self._latest(shelf, before)
        return (item for item in shelf.items(needed) if item.used < latest)

    def _latest(self, shelf: Shelf, before: int) -> int:
        """The same, with what running jobs may have come across."""
        since = self._needs.stages_since() if shelf.kind == "stage" else None
        return before if since is None else min(before, since)

    def _needed(self, shelf: Shelf, item: Item) -> bool:
        return shelf.kind == "blob" and self._needs.blob(item.name)


def _key(item: Item) -> str:
    """Of a stage result, or of a part of one, which is named by it and a number: KEY-3."""
    return item.name.removesuffix(SEALED).split("-")[0]


def _used_up(budget: int) -> DiskFullError:
    return DiskFullError(
        f"the daemon's store is full: of its {budget / GIB:.1f} GiB, jobs, results that were not fetched"
        " and open uploads leave too little",
        where="the daemon's store",
        hint="fetch results, delete jobs that are no longer wanted, or give the daemon a larger budget",
    )
