"""Which frames of the media a clip shows: pure arithmetic on times, rates and retimes.

Hosts disagree about rates (23.976, 23.976023976, 23.976024627685547), write 20.000000000000004 for 20, and state
source ranges at the timeline's rate over media at another. All of that is settled here and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

_TOLERANCE = 0.01
_SPARE = 0.05
"""Ten frames at 24 are 10.01 of 23.976: as a handle that nobody sees yet, hosts call them ten."""

_MOST_FRAMES = 2**31
_LEAST_RATE = 0.001
_MOST_RATE = 1000.0


@dataclass(frozen=True)
class Times:
    """A range of time in frames of ``rate``; may be fractional, as hosts write it."""

    start: float
    duration: float
    rate: float


@dataclass(frozen=True)
class Extent:
    """What a medium has.

    Args:
        start: the medium's own number of its first frame; a movie counts from 0.
        origin: the time of that frame in frames of ``rate``: its timecode, where it has one.
        count: number of frames.
        rate: frames per second.
        missing: frames before the first that the timeline counts, too, although they are not there.
    """

    start: int
    origin: float
    count: int
    rate: float
    missing: int = 0


@dataclass(frozen=True)
class Span:
    """Frames of a medium, ends included, in its own numbers.

    Args:
        first: first frame that the clip shows.
        last: last frame that the clip shows.
        head: frames to process before ``first``.
        tail: frames to process after ``last``.
        speed: constant retime: 2 is double speed, negative runs backwards, 0 holds one frame.
        origin: the time, in the clip's own terms, of the medium's frame 0.
        outside: how many frames the clip asks for that the medium has not.
    """

    first: int
    last: int
    head: int
    tail: int
    speed: float
    origin: float
    outside: int = 0

    @property
    def frames(self) -> tuple[int, int]:
        """First and last frame to process, handles included."""
        return self.first - self.head, self.last + self.tail


def same_rate(one: float, other: float) -> bool:
    """Whether two rates are one rate written differently."""
    return abs(one - other) <= _TOLERANCE


def sensible(start: float, start_rate: float, duration: float, duration_rate: float) -> bool:
    """Whether a range as a timeline states it can be calculated with: finite, of a length and a rate that exist."""
    numbers = (start, start_rate, duration, duration_rate)
    rates = all(_LEAST_RATE <= rate <= _MOST_RATE for rate in (start_rate, duration_rate))
    return all(map(math.isfinite, numbers)) and rates and abs(start) < _MOST_FRAMES and 0 <= duration < _MOST_FRAMES


def rescale(value: float, rate: float, new_rate: float) -> float:
    """A time in frames of ``rate``, in frames of ``new_rate``."""
    return value if same_rate(rate, new_rate) else value * new_rate / rate


def snap_floor(value: float) -> int:
    """The frame that a fractional time falls on, where 19.996 is meant to be 20."""
    nearest = round(value)
    return nearest if abs(value - nearest) <= _TOLERANCE else math.floor(value)


def snap_ceil(value: float) -> int:
    """The number of frames that a fractional duration needs, where 20.004 is meant to be 20."""
    return -snap_floor(-value)


def exact_rate(rate: float) -> Fraction:
    """The rational rate a host's float stands for: 23.976 is 24000/1001."""
    whole = round(rate)
    if abs(rate - whole) <= 0.002:
        return Fraction(whole)
    ntsc = Fraction(math.ceil(rate) * 1000, 1001)
    return ntsc if same_rate(float(ntsc), rate) else Fraction(rate).limit_denominator(1001)


def find_span(
    source: Times,
    extent: Extent,
    speed: float = 1.0,
    handles: tuple[int, int] = (0, 0),
    dissolves: tuple[int, int] = (0, 0),
) -> Span | None:
    """The frames of a medium that a clip shows, and its handles as far as the medium has them.

    Args:
        source: the clip's source range.
        extent: what the medium has.
        speed: the product of the clip's constant retimes.
        handles: record frames wanted before and after what the clip shows.
        dissolves: record frames that the dissolves at its ends show beyond its range.

    Returns:
        None where the medium has not one frame of the range.
    """
    start = rescale(source.start, source.rate, extent.rate)
    length = rescale(source.duration, source.rate, extent.rate)
    origin = float(extent.missing) if _counts_from_zero(start, length, extent) else extent.origin
    step = abs(speed) * rescale(1, source.rate, extent.rate)
    first = snap_floor(start - origin)
    # A slow retime that starts between two frames can reach one further than its length says.
    reached = snap_floor(start - origin - first + abs(speed) * length - step) + 1
    stop = first + max(1, snap_ceil(abs(speed) * length), reached)
    # Rounding up may ask for one frame too many.
    rounded = stop - (start - origin + abs(speed) * length) > _TOLERANCE
    shown = max(first, 0), min(stop, extent.count)
    if shown[0] >= shown[1]:
        return None
    both = zip(handles, dissolves, strict=True)
    before, after = (_handle(*each, step) for each in (both if speed >= 0 else reversed(list(both))))
    return Span(
        first=extent.start + shown[0],
        last=extent.start + shown[1] - 1,
        head=min(before, shown[0]),
        tail=min(after, extent.count - shown[1]),
        speed=speed,
        origin=origin - extent.start,
        outside=max(0, -first) + max(0, stop - extent.count - rounded),
    )


def _handle(wanted: int, dissolve: int, step: float) -> int:
    """Frames of the medium for a handle: all that the dissolve shows, and what is wanted as hosts count it."""
    return max(snap_ceil(dissolve * step), math.ceil((wanted + dissolve) * step - _SPARE))


def _counts_from_zero(start: float, length: float, extent: Extent) -> bool:
    """Whether a source range is counted from the medium's first frame although the medium has a start of its own."""
    first, count = extent.origin - extent.missing, extent.count + extent.missing
    if start + length <= 0 or start >= min(first, count):
        return False
    numbered = extent.origin == extent.start  # older Hiero: 0-based source over media available from 997
    return numbered or (start + length <= first and start + length <= count)
