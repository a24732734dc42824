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

_PART = re.compile(r"(-?\d+)(?:-(-?\d+))?")


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
            FrameRangeError: the text is malformed, or a range runs backwards.
        """
        numbers: list[int] = []
        for part in text.replace(" ", "").split(","):
            found = _PART.fullmatch(part)
            if not found:
                raise FrameRangeError(
                    f"'{part}' is no frame range",
                    where=text,
                    hint="write ranges as 1001-1100 or 1005,1009-1010",
                )
            first = int(found[1])
            last = int(found[2]) if found[2] is not None else first
            if last < first:
                raise FrameRangeError(f"the range {part} runs backwards", where=text, hint=f"write {last}-{first}")
            if last - first + len(numbers) > 1_000_000:  # eleven hours; a longer text must not fill the memory
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

    def __str__(self) -> str:
        return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in self.runs())

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __contains__(self, number: int) -> bool:
        place = bisect.bisect_left(self.numbers, number)
        return place < len(self.numbers) and self.numbers[place] == number


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
