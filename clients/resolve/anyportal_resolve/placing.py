"""Put a result where the clip is: as a take of it, or as a clip on a track directly above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Optional, Tuple

from anyportal_resolve import restoring
from anyportal_resolve.choosing import OUR_TRACK, find_item, items_in
from anyportal_resolve.media import path_of
from anyportal_resolve.refusal import Refused

if TYPE_CHECKING:
    from anyportal_resolve.clips import Place
    from anyportal_resolve.connection import Desk
    from anyportal_resolve.host import MediaPoolItem, Timeline, TimelineItem

IN_BIN = "The result is in the bin AnyPortal"


class Part(NamedTuple):
    """The part of a result that the clip shows, counted from the result's first frame.

    Args:
        first: the lowest frame.
        sure: how many are shown for certain.
        most: how many there may be.
        backwards: the clip runs backwards, so that a frame in doubt is at the low end.
    """

    first: int
    sure: int
    most: int
    backwards: bool = False

    def edges(self) -> Iterator[Tuple[int, int]]:
        """First and last frame of a take, the likeliest first: whether the last is shown is said nowhere."""
        high = self.first + self.most - 1
        for more in (0, 1, -1, 2):
            length = self.sure + more
            if length <= 0:
                continue
            if not self.backwards or (more > 0 and self.most == self.sure):
                low = high - self.sure + 1 if self.backwards else self.first
                yield low, low + length - 1
            else:
                yield high - length + 1, high


class Placed(NamedTuple):
    """Where a result is.

    Args:
        item: the clip of the timeline that shows it.
        take: the number of the take; 0 for a clip of its own.
        edge: the item's first frame on the timeline, and the one after its last.
        words: for a person.
    """

    item: TimelineItem
    take: int
    edge: Tuple[int, int]
    words: str

    @classmethod
    def of(cls, item: TimelineItem, take: int, words: str) -> Placed:
        """An item as it lies now."""
        return cls(item, take, (int(item.GetStart()), int(item.GetEnd())), words)


def add_take(item: TimelineItem, media: MediaPoolItem, part: Part) -> Placed:
    """A result as the selected take; the others stay, nothing is finalized.

    Raises:
        Refused: Resolve did not do it; the clip shows what it showed before.
    """
    there = _take_of(item, path_of(media))
    before, duration = int(item.GetSelectedTakeIndex() or 0), int(item.GetDuration())
    if there:
        item.SelectTakeByIndex(there)
        return Placed.of(item, there, "take {}".format(there))
    for first, last in part.edges():
        if first < 0 or not item.AddTake(media, first, last):
            continue
        number = int(item.GetTakesCount())
        item.SelectTakeByIndex(number)
        if int(item.GetSelectedTakeIndex() or 0) == number and int(item.GetDuration()) == duration:
            return Placed.of(item, number, "take {}".format(number))
        item.SelectTakeByIndex(before or 1)
        item.DeleteTakeByIndex(number)
    raise Refused("Resolve would not add the result as a take of the same length", IN_BIN)


def put_above(desk: Desk, media: MediaPoolItem, place: Place, part: Part) -> Placed:
    """A result on a track directly above, with the clip's in and out.

    Raises:
        Refused: Resolve did not do it.
    """
    timeline, duration = desk.timeline, place.end - place.start
    with restoring.current_timeline(desk.project, timeline), restoring.page(desk.resolve, "edit"):
        track = _track_above(timeline, place)
        # Of media at another rate Resolve makes a clip that is a frame short. Where one more is too many, so it stays.
        for more, stays in ((0, False), (1, False), (2, False), (0, True)):
            item = _append(desk, media, track, place, part, more)
            short = duration - int(item.GetDuration())
            if short == 0 or (stays and short == 1):
                return Placed.of(item, 0, _where(track, place) + (", a frame short" if short else ""))
            if not timeline.DeleteClips([item], False):
                raise Refused("The clip on track V{} is {} frames short".format(track, short), "Trim it by hand")
    raise Refused("Resolve makes a clip of another length of the result", IN_BIN + "; place it by hand")


def _append(desk: Desk, media: MediaPoolItem, track: int, place: Place, part: Part, more: int) -> TimelineItem:
    clip = {
        "mediaPoolItem": media,
        "startFrame": part.first,
        "endFrame": part.first + part.sure + more,  # not included
        "trackIndex": track,
        "recordFrame": place.start,  # absolute, as Resolve gives it
        "mediaType": 1,  # no sound
    }
    desk.project.GetMediaPool().AppendToTimeline([clip])
    # What it answers is no proof: where clips would overlap it drops one without a word.
    item = _item_at(desk.timeline, track, place.start, path_of(media))
    if item is None:
        raise Refused("Resolve dropped the clip on track V{} without a word".format(track), IN_BIN)
    return item


def _item_at(timeline: Timeline, track: int, start: int, path: str) -> Optional[TimelineItem]:
    for item in items_in(timeline, track):
        if int(item.GetStart()) == start and path_of(item.GetMediaPoolItem()) == path:
            return item
    return None


def _take_of(item: TimelineItem, path: str) -> int:
    """The number of the take that shows a file; 0 for none."""
    for number in range(1, int(item.GetTakesCount() or 0) + 1):
        if path_of((item.GetTakeByIndex(number) or {}).get("mediaPoolItem")) == path:
            return number
    return 0


def _track_above(timeline: Timeline, place: Place) -> int:
    """A track of ours with room, directly above where that can be had: the one that is there, or a new one."""
    above = place.track + 1
    ours = above <= timeline.GetTrackCount("video") and timeline.GetTrackName("video", above) == OUR_TRACK
    if ours and _has_room(timeline, above, place) and not timeline.GetIsTrackLocked("video", above):
        return above
    before = _shape(timeline)
    timeline.AddTrack("video", {"index": above})
    after = _shape(timeline)
    fits = [index for index in range(len(after)) if after[:index] + after[index + 1 :] == before]
    if len(after) != len(before) + 1 or not fits:
        raise Refused("Resolve would not add a video track", IN_BIN)
    # An older Resolve knows no place for a new track: it is the topmost one.
    track = above if above - 1 in fits else fits[-1] + 1
    timeline.SetTrackName("video", track, OUR_TRACK)
    return track


def _has_room(timeline: Timeline, track: int, place: Place) -> bool:
    return all(item.GetEnd() <= place.start or item.GetStart() >= place.end for item in items_in(timeline, track))


def _shape(timeline: Timeline) -> List[List[str]]:
    """The ids of the clips on each video track."""
    tracks = range(1, timeline.GetTrackCount("video") + 1)
    return [[item.GetUniqueId() for item in items_in(timeline, track)] for track in tracks]


def _where(track: int, place: Place) -> str:
    if track == place.track + 1:
        return "track V{}".format(track)
    return "track V{}, over all others: this Resolve puts no track in between".format(track)


def lost(desk: Desk, placed: Placed, path: str) -> str:
    """What a saved project no longer has of a result; empty where all is there.

    Appends that went wrong inside Resolve are shown until the project is saved, and gone then.
    """
    found = find_item(desk.timeline, placed.item.GetUniqueId())
    if found is None:
        return "the clip with the result is gone from the timeline"
    item = found[0]
    if placed.take:
        take = (item.GetTakeByIndex(placed.take) or {}).get("mediaPoolItem")
        if path_of(take) != path:
            return "take {} is gone".format(placed.take)
        if int(item.GetSelectedTakeIndex() or 0) != placed.take:
            return "take {} is there, but no longer selected".format(placed.take)
    elif path_of(item.GetMediaPoolItem()) != path:
        return "the clip on the track above shows something else"
    if (int(item.GetStart()), int(item.GetEnd())) != placed.edge:
        return "the result no longer has the clip's in and out"
    return ""
