"""Windows of EXR files: where a picture lies, and how far it goes beyond what is shown.

A picture is all that any of its frames has: the display window, and around it whatever of their data windows lies
outside (overscan). Frames lie over each other by their display windows, wherever a file puts its own.
"""

from __future__ import annotations

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


def placed(pixels: Image, top: int, left: int, height: int, width: int) -> tuple[Image, Box | None]:
    """Pixels ``(h, w, ...)`` in a picture ``(height, width, ...)``, cut off at its edges, 0 around them.

    Returns:
        The picture, and where in it there are pixels; None where they fill it (it is ``pixels`` itself where they fit).
    """
    rows, columns = pixels.shape[:2]
    if (top, left, rows, columns) == (0, 0, height, width):
        return pixels, None
    y, x = max(top, 0), max(left, 0)
    box = slice(y, max(min(top + rows, height), y)), slice(x, max(min(left + columns, width), x))
    picture = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
    picture[box] = pixels[y - top : box[0].stop - top, x - left : box[1].stop - left]
    filled = (box[0].start, box[0].stop, box[1].start, box[1].stop) == (0, height, 0, width)
    return picture, None if filled else box
