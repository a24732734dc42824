"""A clip of the timeline, and what has to be done to process it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

from anyportal_resolve import tags
from anyportal_resolve.exported import Edit
from anyportal_resolve.media import Media, is_result, path_of, read_media
from anyportal_resolve.restoring import take_selected
from anyportal_resolve.source import Shown, shown_frames

if TYPE_CHECKING:
    from anyportal_resolve.host import MediaPoolItem, Timeline, TimelineItem

RELINK = "Relink the media in the media pool, then look again"


class Place(NamedTuple):
    """Where a clip lies: its track from 1, and its frames on the timeline, absolute, the last one excluded."""

    track: int
    start: int
    end: int


class Clip(object):
    """A clip, read once.

    Args:
        item: Resolve's object.
        track: number of its video track.
        rate: of the timeline.
        edit: the clip in the exported timeline, where there is one.

    Attributes:
        refused, hint: why it cannot be processed, and what to do; empty where it can.
        bake: why Resolve must render it first; empty where its media can be processed as they are.
        retime: what cannot be placed on a track of its own at the right speed, where it is not rendered first.
        plate: the media pool's media that it shows without our results; None for what has none.
    """

    def __init__(self, item: TimelineItem, track: int, rate: float, edit: Optional[Edit] = None) -> None:
        self.item = item
        self.id = str(item.GetUniqueId())
        self.name = str(item.GetName())
        self.place = Place(track, int(item.GetStart()), int(item.GetEnd()))
        self.duration = int(item.GetDuration())
        self.tag: Optional[Dict[str, Any]] = tags.own_tag(item)
        self.rate = rate
        self.edit = edit
        self.refused = self.hint = self.bake = self.retime = ""
        self.notes: List[str] = []
        self.plate: Optional[MediaPoolItem] = None
        self.media: Optional[Media] = None
        self.shown: Optional[Shown] = None
        with take_selected(item, plate_take(item)):  # else a result would be the plate of the next
            self._read()

    @property
    def version(self) -> str:
        """The version of the newest result; empty where there is none."""
        return str((self.tag or {}).get("version", ""))

    def bake_for(self, placement: str) -> str:
        """Why it must be rendered first for a result that is placed so."""
        return self.bake or (self.retime if placement == "track" else "")

    def placed_as(self, placement: str) -> str:
        """How the result is placed: what is rendered with its speed would run at it twice as a take."""
        return "track" if self.bake and self.bake == self.retime else placement

    def span(self, handles: int) -> Tuple[int, int]:
        """First and last frame to process, counted from the media's first."""
        assert self.shown is not None and self.media is not None
        edit = self.edit or Edit()
        return self.shown.span((max(handles, edit.head), max(handles, edit.tail)), self.media.total)

    def _read(self) -> None:
        media = self.plate = self.item.GetMediaPoolItem()
        if media is None:
            self._refuse("This is a title, a generator or a transition: it has no media", "")
            return
        self.media = read_media(media)
        if "adjustment" in self.media.made_up:
            self._refuse("This is an adjustment clip: it has no picture of its own", "")
            return
        if self.media.made_up:
            self.bake = "it is a {}".format(self.media.made_up)
            return
        if self.media.offline:
            self._refuse("The media are offline: {}".format(path_of(media)), RELINK)
            return
        if self.media.still:
            return
        self.shown = shown_frames(self.item, self.media.rate, self.rate, self.edit)
        self.notes += self.shown.notes
        self._read_speed(self.shown, self.media)
        if int(self.item.GetFusionCompCount() or 0):
            self.notes.append("its Fusion composition stays on the clip and is not in the plate")

    def _read_speed(self, shown: Shown, media: Media) -> None:
        if self.edit is not None and self.edit.ramp:
            self.bake = self.retime = "its speed changes"
        elif shown.speed == 0:
            self.bake = self.retime = "it is a freeze frame"
        elif _beyond(shown, media) > 1:
            self.bake = self.retime = "Resolve says that it shows more than its media have"
        elif _beyond(shown, media) > 0:  # begun in the middle of a frame: a result in whole frames would be too short
            self.bake = "it shows its media to the very end"
            self.retime = self.bake if shown.retimed else ""
        elif shown.retimed and not shown.divides(self.duration):
            self.bake = self.retime = "at {:.0%} no take has {} frames".format(shown.speed, self.duration)
        elif shown.retimed:
            self.retime = "it runs at {:.0%}".format(shown.speed)
            self.notes.append("runs at {:.0%}: the result is a take at the media's own timing".format(shown.speed))

    def _refuse(self, why: str, hint: str) -> None:
        self.refused, self.hint = why, hint


def _beyond(shown: Shown, media: Media) -> int:
    """How many frames more than its media have a clip needs."""
    return shown.first + shown.sure - media.total if media.total else 0


def plate_take(item: TimelineItem) -> int:
    """The take that shows the plate, where one of our results is selected; 0 where nothing has to be changed."""
    selected = int(item.GetSelectedTakeIndex() or 0)
    if not selected or not is_result(path_of(item.GetMediaPoolItem())):
        return 0
    for index in range(1, int(item.GetTakesCount()) + 1):
        take = item.GetTakeByIndex(index) or {}
        if not is_result(path_of(take.get("mediaPoolItem"))):
            return index
    return 0


def rate_of(timeline: Timeline) -> float:
    """Frames a second."""
    text = str(timeline.GetSetting("timelineFrameRate") or "").split()
    try:
        rate = float(text[0])
    except (IndexError, ValueError):
        return 0.0
    # 23.976 is what everybody writes.
    return next((exact for exact in (24000 / 1001, 30000 / 1001, 60000 / 1001) if abs(exact - rate) < 0.01), rate)


def timecode(frame: int, rate: float) -> str:
    """A frame of the timeline for a person; without drop-frame."""
    whole = max(1, round(rate)) if rate else 24
    seconds, frames = divmod(max(0, frame), whole)
    return "{:02d}:{:02d}:{:02d}:{:02d}".format(seconds // 3600, seconds // 60 % 60, seconds % 60, frames)
