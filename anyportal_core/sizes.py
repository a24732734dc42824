"""What sizes models take, and how a picture of any size lies in one: scaled as a whole, never stretched."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from fractions import Fraction
from typing import Final

ODDEST: Final = 8
"""How oblong pixels may be: files that say more are damaged, and their pixels taken for squares."""


@dataclass(frozen=True)
class Limits:
    """The sizes that a model takes.

    Args:
        multiple: both sides are multiples of it.
        least: neither side is less.
        most_pixels: what it was made for; 0 where it does not matter.
        fixed: the one size ``(h, w)``, where there is no other.
        shrink: how far a picture may be made smaller to fit the next lower multiples, rather than filled up to the
            next higher ones; 1 is not at all.
    """

    multiple: int = 1
    least: int = 1
    most_pixels: int = 0
    fixed: tuple[int, int] | None = None
    shrink: float = 1.0


ANY_SIZE: Final = Limits()


@dataclass(frozen=True)
class Fit:
    """A picture in what a model sees.

    Args:
        height, width: of the picture, scaled as a whole to within half a pixel.
        rows, columns: of what the model sees. The picture's reflection fills what is around it.
        top, left: where the picture begins: it lies in the middle.
    """

    height: int
    width: int
    rows: int
    columns: int
    top: int
    left: int

    @property
    def size(self) -> tuple[int, int]:
        """Of the picture in it."""
        return self.height, self.width

    @property
    def seen(self) -> tuple[int, int]:
        """Of what the model sees."""
        return self.rows, self.columns

    def enlarged(self, times: int) -> Fit:
        """The same, everything so many times as large."""
        return Fit(*(times * number for number in astuple(self)))


def fit(height: int, width: int, limits: Limits) -> Fit:
    """How a picture of a size is shown to a model. It is enlarged only where the model takes one size alone."""
    if limits.fixed is not None:
        return _within(height, width, limits.fixed, math.inf)
    sizes = itertools.product(_sides(height, limits), _sides(width, limits))
    for rows, columns in sorted(sizes, key=math.prod):
        if min(rows / height, columns / width) >= limits.shrink:
            return _within(height, width, (rows, columns), 1.0)
    raise AssertionError("the next higher multiples hold the picture")


def work_size(
    width: int, height: int, long_side: int, pixel_aspect: Fraction = Fraction(1), limits: Iterable[Limits] = ()
) -> tuple[int, int]:
    """The size ``(h, w)`` to work at, in square pixels: of the picture's shape to within half a pixel.

    Args:
        long_side: at most. A smaller picture keeps its size.
        pixel_aspect: width of the picture's own pixels over their height.
        limits: of the models that will see it: none is given more pixels than it was made for.
    """
    across, down = _square(width, height, pixel_aspect)
    most = min((each.most_pixels for each in limits if each.most_pixels), default=math.inf)
    scale = min(1.0, long_side / max(across, down), math.sqrt(most / (across * down)))
    return max(1, round(down * scale)), max(1, round(across * scale))


def shown_aspect(width: int, height: int, pixel_aspect: Fraction) -> float:
    """Width over height of a picture as it is shown."""
    across, down = _square(width, height, pixel_aspect)
    return across / down


def _square(width: int, height: int, pixel_aspect: Fraction) -> tuple[float, float]:
    """A picture's width and height once its pixels are squares, none of them lost."""
    aspect = float(pixel_aspect)
    if not 1 / ODDEST <= aspect <= ODDEST:
        return width, height
    return (width * aspect, height) if aspect >= 1 else (width, height / aspect)


def _sides(side: int, limits: Limits) -> tuple[int, int]:
    """The next lower and the next higher side that a model takes."""
    multiple = limits.multiple
    least = -(-limits.least // multiple) * multiple
    return max(side // multiple * multiple, least), max(-(-side // multiple) * multiple, least)


def _within(height: int, width: int, size: tuple[int, int], largest: float) -> Fit:
    rows, columns = size
    scale = min(largest, rows / height, columns / width)
    inner = min(rows, max(1, round(height * scale))), min(columns, max(1, round(width * scale)))
    return Fit(*inner, rows, columns, (rows - inner[0]) // 2, (columns - inner[1]) // 2)
