"""The takes of a shot: what lies between the cuts in it. What is carried through time ends where a take does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from anyportal_core.frames import FrameSource, Image
from anyportal_core.roles import Array, RoleContext, StoredFrames

_PARTS = 1 << 20
"""More than a take has parts."""


@dataclass(frozen=True)
class Take:
    """A run of a shot's frames, ``start <= index < stop``; of a shot without cuts all of its ``count``.

    A plug-in is given its take's frames, and never sees that there are others.
    """

    number: int
    start: int
    stop: int
    count: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def whole(self) -> bool:
        return len(self) == self.count

    def frames(self, source: FrameSource) -> FrameSource:
        """The take's own; a single picture is of all takes."""
        return source if self.whole or len(source) == 1 else _Frames(source, self)

    def stored(self, result: StoredFrames) -> StoredFrames:
        """The take's own of an earlier stage's result."""
        return result if self.whole else _Stored(result, self)

    def context(self, context: RoleContext) -> RoleContext:
        """What tells of the take as of a part of the shot, and keeps its parts apart from other takes'."""
        if self.whole:
            return context
        share, before = len(self) / self.count, self.start / self.count
        return replace(
            context,
            progress=lambda done: context.progress(before + share * min(done, 1.0)),
            part=lambda number, make: context.part(self.number * _PARTS + number, make),
        )


def takes_between(cuts: Sequence[int], count: int) -> tuple[Take, ...]:
    """The takes of ``count`` frames, from the first frames after cuts."""
    ends = [0, *cuts, count]
    return tuple(Take(number, start, ends[number + 1], count) for number, start in enumerate(ends[:-1]))


class _Frames:
    def __init__(self, source: FrameSource, take: Take) -> None:
        self._source, self._start, self._count = source, take.start, len(take)
        self.numbers = source.numbers[take.start : take.stop]
        self.height, self.width = source.height, source.width

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> Image:
        return self._source.read(self._start + start, self._start + min(stop, self._count))


class _Stored:
    def __init__(self, result: StoredFrames, take: Take) -> None:
        self._result, self._start = result, take.start
        self.names, self.count = result.names, len(take)

    def read(self, name: str, start: int, stop: int) -> Array:
        return self._result.read(name, self._start + start, self._start + min(stop, self.count))
