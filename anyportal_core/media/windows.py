"""Windows of EXR files: where a picture lies, and how far it goes beyond what is shown.

A picture is all that any of its frames has: the display window, and around it whatever of their data windows lies
outside (overscan). Frames lie over each other by their display windows, wherever a file puts its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from anyportal_core.frames import Image

Window = tuple[int, int, int, int]
"""A rectangle of an EXR: x, y, width, height."""

Margins = tuple[int, int, int, int]
"""How far a picture goes beyond the display window: left, above, right, below; each 0 or more."""

Box = tuple[slice, slice]
"""Rows and columns of a picture."""

NO_MARGINS: Margins = (0, 0, 0, 0)
NOTHING: Box = (slice(0, 0), slice(0, 0))


def margins_of(windows: Iterable[tuple[Window, Window]]) -> Margins:
    """Those that hold the data of all frames, by the display and data window of each."""
    left, above, right, below = NO_MARGINS
    for display, data in windows:
        left = max(left, display[0] - data[0])
        above = max(above, display[1] - data[1])
        right = max(right, data[0] + data[2] - display[0] - display[2])
        below = max(below, data[1] + data[3] - display[1] - display[3])
    return left, above, right, below


def place_in(picture: Margins, display: Window, data: Window) -> tuple[int, int]:
    """Row and column of a picture at which a frame's data begin; negative or beyond it where they do so outside."""
    return data[1] - display[1] + picture[1], data[0] - display[0] + picture[0]


def extent_of(picture: Margins, size: tuple[int, int], windows: tuple[Window, Window]) -> Box | None:
    """Where a frame has pixels, in a picture of ``size`` (width, height); None: everywhere."""
    top, left = place_in(picture, *windows)
    return _within(top, left, windows[1][3], windows[1][2], size[1], size[0])


def shrunk(box: Box, from_size: tuple[int, int], to_size: tuple[int, int]) -> Box:
    """A box of a picture ``(height, width)`` in the same picture at another size: whole pixels inside it alone."""
    rows, columns = (
        slice(math.ceil(each.start * to / of), max(math.floor(each.stop * to / of), 0))
        for each, of, to in zip(box, from_size, to_size, strict=True)
    )
    return rows, columns


def placed(pixels: Image, top: int, left: int, height: int, width: int) -> tuple[Image, Box | None]:
    """Pixels ``(h, w, ...)`` in a picture ``(height, width, ...)``, cut off at its edges, 0 around them.

    Returns:
        The picture, and where in it there are pixels; None where they fill it (it is ``pixels`` itself where they fit).
    """
    rows, columns = pixels.shape[:2]
    if (top, left, rows, columns) == (0, 0, height, width):
        return pixels, None
    box = _within(top, left, rows, columns, height, width)
    y, x = (slice(0, height), slice(0, width)) if box is None else box
    picture = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
    picture[y, x] = pixels[y.start - top : y.stop - top, x.start - left : x.stop - left]
    return picture, box


def _within(top: int, left: int, rows: int, columns: int, height: int, width: int) -> Box | None:
    """The part of a rectangle that lies in a picture; None where that is all of the picture."""
    y, x = min(max(top, 0), height), min(max(left, 0), width)
    below, right = max(min(top + rows, height), y), max(min(left + columns, width), x)
    return None if (y, x, below, right) == (0, 0, height, width) else (slice(y, below), slice(x, right))
