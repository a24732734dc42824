"""Which frames of its media a clip of the timeline shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, List, NamedTuple, Optional, Tuple

from anyportal_resolve.connection import can

if TYPE_CHECKING:
    from anyportal_resolve.exported import Edit
    from anyportal_resolve.host import TimelineItem

_SAME_RATE = 0.01


class Shown(NamedTuple):
    """The frames that a clip shows, counted from the first of its media.

    Args:
        first: the lowest.
        most: how many, so that none is missed where Resolve leaves one in doubt.
        sure: how many are shown for certain.
        step: media frames for each frame of the timeline: speed and rates together. 0 for a freeze.
        speed: 1 is normal, negative runs backwards.
        notes: what a person should know.
    """

    first: int
    most: int
    sure: int
    step: float
    speed: float
    notes: Tuple[str, ...] = ()

    @property
    def retimed(self) -> bool:
        """Whether it runs at another speed than its own."""
        return abs(self.speed - 1) > 1e-3

    def divides(self, duration: int) -> bool:
        """Whether some whole number of media frames makes a clip of this length, however Resolve rounds."""
        return math.floor((duration - 1) * self.step + 1e-6) + 1 < (duration + 1) * self.step - 1e-6

    def span(self, handles: Tuple[int, int], total: int) -> Tuple[int, int]:
        """First and last frame with handles on both sides, in frames of the timeline, as far as the media go."""
        before, after = (math.ceil(frames * self.step) for frames in handles)
        if self.speed < 0:
            before, after = after, before
        end = self.first + self.most - 1 + after
        return max(0, self.first - before), max(self.first, min(end, total - 1) if total else end)


def shown_frames(item: TimelineItem, media_rate: float, rate: float, edit: Optional[Edit] = None) -> Shown:
    """Which frames an item shows.

    Resolve's end frame is one too high on some items, its start one off on others; 0 and 0 mean that it does not know;
    start after end means that the clip runs backwards. What the exported timeline says of the clip, where there is
    one, is exact.

    Args:
        media_rate: of the media; 0 where it is not known.
        rate: of the timeline.
        edit: the clip in the exported timeline.
    """
    duration = int(item.GetDuration())
    notes: List[str] = []
    ratio = _ratio(media_rate, rate)
    if ratio != 1:
        notes.append("{:g} fps on a timeline of {:g}: {}".format(media_rate, rate, "played at its own rate"))
    plain = duration * ratio
    if not can(item, "GetSourceStartFrame"):  # before Resolve 19.0.2
        return _from_offset(item, plain, ratio, notes, "")
    start, end = int(item.GetSourceStartFrame()), int(item.GetSourceEndFrame())
    if start == 0 and end == 0:
        if edit is not None and edit.first is not None:
            return _exact(edit.first, plain, edit.speed, ratio, notes)
        return _from_offset(item, plain, ratio, notes, "" if duration == 1 else "taken for normal speed")
    span, sign = abs(end - start), -1 if start > end else 1
    if edit is not None and edit.speed and abs(edit.speed) != 1:
        sure = _whole_frames(plain * abs(edit.speed))
        first = start if edit.speed > 0 else start - sure + 1
        return Shown(max(0, first), sure, sure, ratio * abs(edit.speed), edit.speed, tuple(notes))
    if span == 0 and duration > 1:
        return Shown(start, 1, 1, 0.0, 0.0, tuple(notes))
    if abs(span - plain) <= 1 or (edit is not None and not edit.ramp and abs(edit.speed) == 1):
        sure = _whole_frames(plain)
        first = _start(item, start, ratio) if sign > 0 else start - sure + 1
        return Shown(max(0, first), sure, sure, ratio, float(sign), tuple(notes))
    # A retime. Whether the end is shown is not said: one frame more than needed is a handle.
    count = span + 1
    first = start if sign > 0 else start - span
    return Shown(max(0, first), count, span, span / duration, sign * span / plain, tuple(notes))


def _start(item: TimelineItem, start: int, ratio: float) -> int:
    """The first frame at normal speed: the offset is exact there, so it settles a difference of one."""
    offset = int(item.GetLeftOffset())
    return offset if ratio == 1 and abs(offset - start) == 1 else start


def _from_offset(item: TimelineItem, plain: float, ratio: float, notes: List[str], doubt: str) -> Shown:
    """At normal speed, which nothing contradicts."""
    if doubt:
        notes.append("Resolve does not say which frames of the media it shows: " + doubt)
    count = _whole_frames(plain)
    return Shown(int(item.GetLeftOffset()), count, count, ratio, 1.0, tuple(notes))


def _exact(first: int, plain: float, speed: float, ratio: float, notes: List[str]) -> Shown:
    count = max(1, _whole_frames(plain * abs(speed)))
    return Shown(first, count, count, ratio * abs(speed), speed, tuple(notes))


def _ratio(media_rate: float, rate: float) -> float:
    if media_rate <= 0 or rate <= 0 or abs(media_rate - rate) < _SAME_RATE:
        return 1.0
    return media_rate / rate


def _whole_frames(frames: float) -> int:
    """So many that all are there; what arithmetic left over is none."""
    return math.ceil(frames - 0.01)
