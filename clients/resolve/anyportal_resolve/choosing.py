"""Which clips of the timeline: the one under the playhead, the marked ones, all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Tuple

from anyportal_resolve import tags
from anyportal_resolve.clips import Clip, rate_of
from anyportal_resolve.connection import can
from anyportal_resolve.exported import Edit, edits_of
from anyportal_resolve.refusal import Refused

if TYPE_CHECKING:
    from anyportal_resolve.connection import Desk
    from anyportal_resolve.host import Timeline, TimelineItem

SCOPES = ("current", "marked", "timeline")
OUR_TRACK = "AnyPortal"
MARK = "Orange"
"""The colour of clips, or of a flag on them, that marks them for processing where nothing else is said."""


class Seen(NamedTuple):
    """What was found.

    Args:
        clips: in the order of tracks from below, then of time.
        notes: what a person should know about how they were found.
    """

    clips: List[Clip]
    notes: List[str]


class _Found(NamedTuple):
    item: TimelineItem
    track: int


def look(desk: Desk, scope: str = "current", mark: str = MARK) -> Seen:
    """The clips to be processed.

    * `current`: the clip under the playhead; where our result lies over it, the clip that the result belongs to.
    * `marked`: the clips that have the colour `mark`, or a flag of it; where none has, the clips between the in and
      out points of the timeline.
    * `timeline`: all.

    Our own results, disabled clips and clips on disabled tracks are left out; clips on locked tracks are refused.

    Raises:
        Refused: there are none.
    """
    timeline = desk.timeline
    notes: List[str] = []
    everything = list(_all(timeline))
    if scope == "current":
        chosen = [_current(timeline, everything)]
    else:
        usable = [found for found in everything if _counts(timeline, found)]
        chosen = usable if scope == "timeline" else _marked(timeline, usable, mark, notes)
    if not chosen:
        raise Refused("There is no clip on the timeline's enabled video tracks", "Enable a track")
    rate = rate_of(timeline)
    edits = edits_of(desk.resolve, timeline, rate)
    if edits is None:
        notes.append("The timeline could not be exported: speed ramps are not told from constant speeds")
    return Seen([_read(timeline, found, rate, edits or {}) for found in chosen], notes)


def find_item(timeline: Timeline, item_id: str) -> Optional[Tuple[TimelineItem, int]]:
    """A clip by its id, and its track now: tracks that were put in have moved others up."""
    return next(((found.item, found.track) for found in _all(timeline) if found.item.GetUniqueId() == item_id), None)


def items_in(timeline: Timeline, track: int) -> List[TimelineItem]:
    """The items of a video track."""
    return list(timeline.GetItemListInTrack("video", track) or [])


def _all(timeline: Timeline) -> Iterator[_Found]:
    for track in range(1, timeline.GetTrackCount("video") + 1):
        for item in items_in(timeline, track):
            yield _Found(item, track)


def _read(timeline: Timeline, found: _Found, rate: float, edits: Dict[Tuple[int, int], Edit]) -> Clip:
    clip = Clip(found.item, found.track, rate, edits.get((found.track, int(found.item.GetStart()))))
    if not clip.refused and timeline.GetIsTrackLocked("video", found.track):
        clip.refused, clip.hint = "Its track is locked", "Unlock the track, then look again"
    return clip


def _current(timeline: Timeline, everything: List[_Found]) -> _Found:
    item = timeline.GetCurrentVideoItem()
    if item is None:
        raise Refused("There is no video clip under the playhead", "Put the playhead on one")
    plate = (tags.tag_of(item) or {}).get("of")
    wanted = item if plate is None else _below(item, plate, everything)
    found = next((found for found in everything if wanted and found.item.GetUniqueId() == wanted.GetUniqueId()), None)
    if found is None:
        raise Refused("The clip that this result belongs to is no longer on the timeline", "Choose another clip")
    return found


def _below(result: TimelineItem, plate: str, everything: List[_Found]) -> Optional[TimelineItem]:
    """The clip of a result; of one that was pasted elsewhere the clip that it lies on there."""
    start, end = result.GetStart(), result.GetEnd()
    under = [
        found.item
        for found in everything
        if found.item.GetStart() < end and start < found.item.GetEnd() and "of" not in (tags.tag_of(found.item) or {})
    ]
    own = [item for item in under if item.GetUniqueId() == plate]
    chosen = own or under
    return chosen[-1] if chosen else None


def _counts(timeline: Timeline, found: _Found) -> bool:
    if not timeline.GetIsTrackEnabled("video", found.track) or "of" in (tags.tag_of(found.item) or {}):
        return False
    return not can(found.item, "GetClipEnabled") or bool(found.item.GetClipEnabled())


def _marked(timeline: Timeline, usable: List[_Found], mark: str, notes: List[str]) -> List[_Found]:
    chosen = [
        found for found in usable if found.item.GetClipColor() == mark or mark in (found.item.GetFlagList() or [])
    ]
    if chosen:
        return chosen
    edge = _marks(timeline)
    if edge is None:
        raise Refused(
            "No clip is marked",
            "Give clips the colour {}, or a flag of it, or set in and out points on the timeline".format(mark),
        )
    notes.append("No clip is {}: these lie between the timeline's in and out points".format(mark))
    chosen = [found for found in usable if found.item.GetStart() <= edge[1] and found.item.GetEnd() > edge[0]]
    if not chosen:
        raise Refused("No clip lies between the in and out points", "Move them, or mark clips with a colour")
    return chosen


def _marks(timeline: Timeline) -> Optional[Tuple[int, int]]:
    """In and out points, absolute, both included."""
    marks = timeline.GetMarkInOut() if can(timeline, "GetMarkInOut") else None
    video = (marks or {}).get("video") or {}
    if "in" not in video or "out" not in video:
        return None
    first, last = int(video["in"]), int(video["out"])
    # They count from the timeline's first frame by the documentation's example; absolute ones are no smaller than that.
    start = timeline.GetStartFrame()
    shift = 0 if first >= start else start
    return first + shift, last + shift
