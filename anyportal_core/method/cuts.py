"""Where a clip goes over from one shot to another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from anyportal_core.frames import Image

SIZE: Final = (18, 32)
"""Of the pictures that are compared."""

BLANK: Final = 0.015
"""What deviates less within a picture shows nothing: black, white, the height of a flash."""

CLEAR: Final = 0.03
"""So much must pictures differ in the mean; noise and small motion stay below."""

SUDDEN: Final = 2.0
"""And so many times as much as each differs from its other neighbour: what moves fast does so for some frames."""

ALIKE: Final = 0.64
"""Likeness of two pictures, one shifted to fit, from which they show one place. In a shot it is above 0.68, but for the
harshest changes of light, even where the camera is thrown about; of any two shots that were tried below 0.6."""

FAR: Final = 0.15
"""Of the likeness where the pictures would overlap in nothing: of two small parts some always look alike."""

DETAIL: Final = 9
"""Pixels: what is smaller tells places apart where somebody stands before something light in both."""

REACH: Final = 1 / 3
"""Of the picture's size: farther does no camera move in a frame and still show anything."""

INTERRUPTED: Final = 8
"""Frames: after so many others, a picture like the one before goes on with its shot. A lightning, a passer-by."""


class _Seen(NamedTuple):
    at: int
    picture: Image


def find_cuts(pictures: Iterable[Image]) -> list[int]:
    """Indices of the first frames after cuts, of display-referred pictures ``(h, w, C)`` 0..1 of `SIZE`, or as small.

    Blank frames belong to what is before them. Dissolves are no cuts, and nor is what is back after a few frames.
    Memory: a few pictures.
    """
    seen = _not_blank(pictures)
    past, here = deque[_Seen](maxlen=INTERRUPTED + 1), deque(islice(seen, INTERRUPTED + 1))
    cuts = []
    while here:
        if past and _is_cut(past, here):
            cuts.append(here[0].at)
            past.clear()
        past.append(here.popleft())
        here.extend(islice(seen, 1))
    return cuts


def is_blank(picture: Image) -> bool:
    """Whether a picture ``(h, w, C)`` shows nothing."""
    return bool(picture.std(axis=(0, 1)).max() < BLANK)


def _not_blank(pictures: Iterable[Image]) -> Iterator[_Seen]:
    for index, picture in enumerate(pictures):
        if not is_blank(picture):
            yield _Seen(index, picture)


def _is_cut(past: deque[_Seen], here: deque[_Seen]) -> bool:
    """Whether the pictures that come begin another shot than those of the past are of."""
    step = _difference(past[-1], here[0])
    around = [_difference(*pair) for pair in (list(past)[-2:], list(here)[:2]) if len(pair) == 2]
    if step < max([CLEAR, *(SUDDEN * other for other in around)]):
        return False
    pairs = [(past[0], here[-1]), *((past[-1], later) for later in here), *((earlier, here[0]) for earlier in past)]
    return not any(_alike(earlier.picture, later.picture) for earlier, later in pairs)


def _difference(a: _Seen, b: _Seen) -> float:
    return float(np.abs(a.picture - b.picture).mean())


def _alike(a: Image, b: Image) -> bool:
    """Whether two pictures show one place, seen from elsewhere or in another light."""
    height, width = a.shape[:2]
    down, across = int(REACH * height), int(REACH * width)
    shifts = ((y, x) for y in range(-down, down + 1) for x in range(-across, across + 1))
    details = _detail(a), _detail(b)
    return any(_likeness((a, b), details, *shift) >= ALIKE for shift in sorted(shifts, key=_nearness))


def _nearness(shift: tuple[int, int]) -> int:
    return abs(shift[0]) + abs(shift[1])


def _likeness(pair: tuple[Image, Image], details: tuple[Image, Image], y: int, x: int) -> float:
    """How alike two pictures are in the whole and in their details, where one is shifted; less for a small overlap."""
    a, b = pair
    part = _part(a, y, x)
    whole = _correlation(part, _part(b, -y, -x))
    if whole < 2 * ALIKE - 1:
        return whole  # which the best of details would not make enough
    detail = _correlation(_part(details[0], y, x), _part(details[1], -y, -x))
    return (whole + detail) / 2 - FAR * (1 - part.size / a.size)


def _detail(picture: Image) -> Image:
    """What of a picture differs from its surroundings."""
    around = np.pad(picture, [(DETAIL // 2,) * 2, (DETAIL // 2,) * 2, (0, 0)], "reflect")
    for axis in (0, 1):
        around = sliding_window_view(around, DETAIL, axis).mean(-1)
    return np.asarray(picture - around, np.float32)


def _part(picture: Image, y: int, x: int) -> Image:
    """What of a picture that is moved by ``(-y, -x)`` still lies within its frame."""
    height, width = picture.shape[:2]
    return picture[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]


def _correlation(a: Image, b: Image) -> float:
    a, b = _centred(a), _centred(b)
    return float(np.vdot(a, b) / (np.sqrt(np.vdot(a, a) * np.vdot(b, b)) + 1e-9))


def _centred(picture: Image) -> NDArray[np.float32]:
    return np.asarray(picture - picture.mean(axis=(0, 1)), np.float32)
