"""Each user's part of the store: nobody fills all of it, and who has more than their part gives things up first."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from anyportal_core.errors import DiskFullError
from anyportal_daemon.security.users import OWNER
from anyportal_daemon.storage.shelf import Kind, Total

PART = 0.5

RECOUNT = 2.0
"""Seconds for which a count of what a user has is good enough, with what was asked for since added."""

GIB = 2**30


class Possession(NamedTuple):
    """A blob or an upload that a user has.

    Args:
        name: on its shelf.
        made: a job of the user's has made it.
    """

    user: str
    name: str
    size: int
    made: bool = False


class Possessors(Protocol):
    """What of the store belongs to somebody. Stage results are everybody's."""

    def holdings(self, user: str) -> Mapping[Kind, Total]:
        """What a user has."""
        ...

    def possessed(self) -> Iterable[Possession]:
        """All that somebody has; what several have once for each."""
        ...


class Shares:
    """Not safe to use from several threads: the keeper's lock is held.

    Args:
        part: of the budget that a user may have. The daemon's owner may have all of it.
    """

    def __init__(self, store: Possessors, part: float = PART) -> None:
        self.part = part
        self._store = store
        self._counted: dict[str, tuple[float, int]] = {}
        """By user: when it was counted last, and what, with all that was promised since."""
        self._in_vain: dict[str, float] = {}
        """By user: when nothing of theirs could go that would have been enough."""

    def excess(self, user: str, more: int, budget: int, promised: int) -> int:
        """Bytes by which a user would have more than their part with ``more``; counted anew only where it matters.

        Args:
            promised: to the user's open uploads, of what has not come yet.
        """
        if user == OWNER:
            return 0
        limit = int(self.part * budget)
        at, held = self._counted.get(user, (0.0, 0))
        if held + more > limit or not at or time.monotonic() - at >= RECOUNT:
            held = sum(total.size for total in self._store.holdings(user).values()) + promised
            at = time.monotonic()
        self._counted[user] = at, held
        return held + more - limit

    def promise(self, user: str, more: int) -> None:
        """It was given to the user: until the next count it is theirs."""
        if user in self._counted:
            at, held = self._counted[user]
            self._counted[user] = at, held + more

    def worth_a_look(self, user: str) -> bool:
        """Whether something of the user's may go: whoever is refused and asks again has nobody wait for it."""
        return time.monotonic() - self._in_vain.get(user, -RECOUNT) >= RECOUNT

    def tally(self, budget: int) -> Tally:
        """For one round of eviction."""
        return Tally(self._store.possessed(), int(self.part * budget))

    def refusal(self, user: str, excess: int, more: int, budget: int) -> DiskFullError:
        """What a user is told who would have too much."""
        if self.worth_a_look(user):
            self._in_vain[user] = time.monotonic()
        limit = int(self.part * budget)
        have = max(limit + excess - more, 0)
        asked = f", and this would be {more / GIB:.2f} GiB more" if more else ""
        return DiskFullError(
            f"your part of the daemon's store is full: you have {have / GIB:.2f} GiB of at most {limit / GIB:.2f} GiB"
            f" ({self.part:.0%} of {budget / GIB:.2f} GiB){asked}",
            where="your part of the daemon's store",
            hint="fetch results and delete jobs that are no longer wanted, then run this again; footage that no job"
            " needs goes by itself after ten minutes; an admin can raise user_share or the budget",
        )


class Tally:
    """Who has what, kept up to date while things are evicted."""

    def __init__(self, possessed: Iterable[Possession], limit: int) -> None:
        self._limit = limit
        self._owners: dict[str, list[str]] = {}
        self._held: Counter[str] = Counter()
        self._made: set[tuple[str, str]] = set()
        for each in possessed:
            if each.made:
                self._made.add((each.user, each.name))
            self._owners.setdefault(each.name, []).append(each.user)
            self._held[each.user] += each.size

    def goes_first(self, name: str) -> bool:
        """Whether all who have it have more than their part, while there are others in the store."""
        owners = self._owners.get(name, ())
        return bool(owners) and len(self._held) > 1 and all(self._held[user] > self._limit for user in owners)

    def is_of(self, user: str, name: str) -> bool:
        """Whether the user, and nobody else, has it."""
        return self._owners.get(name) == [user]

    def is_made(self, name: str) -> bool:
        """Whether it is a result for all who have it, and nobody has sent it."""
        owners = self._owners.get(name, ())
        return bool(owners) and all((user, name) in self._made for user in owners)

    def is_surplus(self, name: str) -> bool:
        """Whether it is a result of users who all have more than their part."""
        owners = self._owners.get(name, ())
        return self.is_made(name) and all(user != OWNER and self._held[user] > self._limit for user in owners)

    def gone(self, name: str, size: int) -> None:
        for user in self._owners.pop(name, ()):
            self._held[user] -= size
