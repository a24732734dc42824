"""Frame numbers and sources of frames."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anyportal_core.errors import FrameRangeError

Image = NDArray[np.float32]

MOST_FRAMES = 1_000_000
"""From the first to the last of what is worked on at once: eleven hours. What is longer must not fill the memory."""

LARGEST_NUMBER = 2**62 - 1
"""That a frame can have, above zero or below: the numbers between two frames can be counted in 64 bits."""

_PART = re.compile(r"(-?[0-9]{1,19})(?:-(-?[0-9]{1,19}))?")


@dataclass(frozen=True)
class FrameSet:
    """A set of frame numbers in the plate's own numbering, such as ``1005,1009-1010`` (ends included)."""

    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.numbers:
            raise FrameRangeError("the frame range is empty", hint="give a range such as 1001-1100")
        if list(self.numbers) != sorted(set(self.numbers)):
            object.__setattr__(self, "numbers", tuple(sorted(set(self.numbers))))

    @classmethod
    def parse(cls, text: str) -> FrameSet:
        """Read ``A``, ``A-B`` and comma-joined lists of them.

        Raises:
            FrameRangeError: the text is malformed, a range runs backwards, or numbers or ranges are absurdly large.
        """
        numbers: list[int] = []
        for part in text.replace(" ", "").split(","):
            first, last = _ends(part, text)
            if last < first:
                raise FrameRangeError(f"the range {part} runs backwards", where=text, hint=f"write {last}-{first}")
            if last - first + len(numbers) > MOST_FRAMES:
                raise FrameRangeError(f"the range {part} is absurdly long", where=text)
            numbers.extend(range(first, last + 1))
        return cls(tuple(numbers))

    @classmethod
    def between(cls, first: int, last: int) -> FrameSet:
        """All frames from ``first`` to ``last``, both included."""
        return cls(tuple(range(first, last + 1)))

    @property
    def first(self) -> int:
        return self.numbers[0]

    @property
    def last(self) -> int:
        return self.numbers[-1]

    def runs(self) -> Iterator[tuple[int, int]]:
        """Maximal runs ``(first, last)`` of consecutive numbers."""
        start = previous = self.numbers[0]
        for number in self.numbers[1:]:
            if number != previous + 1:
                yield start, previous
                start = number
            previous = number
        yield start, previous

    @property
    def named(self) -> str:
        """``frame 7`` or ``frames 7-9``, for a sentence."""
        return f"frame{'s' * (len(self) > 1)} {self}"

    def __str__(self) -> str:
        return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in self.runs())

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __contains__(self, number: int) -> bool:
        place = bisect.bisect_left(self.numbers, number)
        return place < len(self.numbers) and self.numbers[place] == number


def _ends(part: str, text: str) -> tuple[int, int]:
    """The first and the last number of one part of a text. Raises FrameRangeError where it is none."""
    found = _PART.fullmatch(part)
    if not found:
        shown = part if len(part) <= 40 else f"{part[:40]}..."
        hint = "write ranges as 1001-1100 or 1005,1009-1010, in numbers of at most 62 bits"
        raise FrameRangeError(f"'{shown}' is no frame range", where=text[:200], hint=hint)
    first = int(found[1])
    last = first if found[2] is None else int(found[2])
    if max(abs(first), abs(last)) > LARGEST_NUMBER:
        hint = "give numbers of at most 62 bits"
        raise FrameRangeError(f"{part} is beyond all frame numbers", where=text[:200], hint=hint)
    return first, last


class FrameSource(Protocol):
    """A run of frames that can be read in pieces, at one fixed size.

    Reading forwards is cheap; going back reopens or seeks. Images are display-referred sRGB,
    float32, 0..1, shape ``(T, H, W, C)``. A source never holds the whole shot in memory.
    """

    @property
    def numbers(self) -> Sequence[int]:
        """The plate's frame number of each index."""
        ...

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Image:
        """Frames with index ``start <= i < stop``, shape ``(stop-start, H, W, C)``."""
        ...


class ArraySource:
    """Frames that already lie in memory, ``(T, H, W, C)`` float32: for tests and short clips."""

    def __init__(self, frames: Image, numbers: Iterable[int] | None = None) -> None:
        self._frames = np.ascontiguousarray(frames, dtype=np.float32)
        self.numbers: Sequence[int] = tuple(numbers) if numbers is not None else tuple(range(len(frames)))
        self.height, self.width = int(frames.shape[1]), int(frames.shape[2])

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, start: int, stop: int) -> Image:
        return self._frames[start:stop]


def chunks(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Split ``range(count)`` in runs ``(start, stop)`` of at most ``size``."""
    for start in range(0, count, size):
        yield start, min(start + size, count)
