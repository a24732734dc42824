"""What lies around a clip and counts for it: what is disabled or trimmed, and the requests of tracks and timeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.requests import METADATA, Source, on_item, on_marker

_OUTER = -2
"""A track of the timeline and the stack of its tracks: EDLs give those ranges that trim nothing."""


@dataclass(frozen=True)
class Placed:
    """A clip, and what it lies in.

    Args:
        parents: from the nearest to the outermost.
        root: the timeline, where there is one.
    """

    clip: Any
    parents: tuple[Any, ...] = ()
    root: Any = None

    @property
    def track(self) -> str:
        """The name of the nearest track."""
        return next((parent.name for parent in self.parents if isinstance(parent, otio.schema.Track)), "")

    @property
    def left_out(self) -> str:
        """Why nothing is done with the clip, in words; empty where something may be."""
        if not self.clip.enabled:
            return "disabled"
        off = next((parent for parent in self.parents if not parent.enabled), None)
        if off is not None:
            return "on a disabled track" if isinstance(off, otio.schema.Track) else "in a disabled sequence"
        return "not seen in the nested sequences around" if self._hidden() else ""

    def _hidden(self) -> bool:
        """Whether the nested sequences around it are trimmed so that they show nothing of the clip."""
        try:
            return self._seen() is None
        except (otio.exceptions.OTIOError, ValueError):  # a length nobody can tell: then it is taken for seen
            return False

    def _seen(self) -> Any:
        """What is seen of the clip, in the time of the outermost nested sequence; None where that is nothing."""
        item, seen = self.clip, _with_dissolves(self.clip, self.clip.trimmed_range())
        for parent in self.parents[:_OUTER]:
            # Not by `range_of_child` of the clip itself: that passes over the trims between.
            seen = _moved(seen, parent.range_of_child(item).start_time - item.trimmed_range().start_time)
            if parent.source_range is not None:
                seen = _common(seen, _with_dissolves(parent, parent.source_range))
            if seen is None:
                return None
            item = parent
        return seen

    def requests(self) -> list[Source]:
        """The requests of what lies around the clip, weakest first.

        Raises:
            RequestProblem: there is something under ``anyportal``, but no table.
        """
        found = on_item(self.root, "timeline") if self.root is not None else []
        for parent in self.parents[::-1]:
            found += on_item(parent, _called(parent))
            for marker in parent.markers:
                if METADATA in marker.metadata and self._meets(marker, parent):
                    found += on_marker(marker)
        return found

    def _meets(self, marker: Any, parent: Any) -> bool:
        """Whether a marker of a track or sequence lies on the clip; its range counts in the time of that parent."""
        try:
            own = self.clip.transformed_time_range(self.clip.trimmed_range(), parent)
            start = marker.marked_range.start_time
            stop = start + marker.marked_range.duration
            return bool(own.contains(start) or (start < own.start_time < stop))
        except (otio.exceptions.OTIOError, ValueError):
            return False


def _with_dissolves(item: Any, given: Any) -> Any:
    """A range of an item with what the dissolves at its ends show beyond."""
    track = item.parent()
    if not isinstance(track, otio.schema.Track):
        return given
    before, after = (offset or otio.opentime.RationalTime(0, 24) for offset in track.handles_of_child(item))
    return otio.opentime.TimeRange(given.start_time - before, given.duration + before + after)


def _moved(given: Any, offset: Any) -> Any:
    return otio.opentime.TimeRange(given.start_time + offset, given.duration)


def _common(one: Any, other: Any) -> Any:
    start = max(one.start_time, other.start_time)
    stop = min(one.end_time_exclusive(), other.end_time_exclusive())
    return otio.opentime.TimeRange(start, stop - start) if start < stop else None


def _called(parent: Any) -> str:
    kind = "track" if isinstance(parent, otio.schema.Track) else "sequence"
    return f"{kind} {parent.name}".strip()


def clips_of(root: Any) -> list[Any]:
    """All clips of whatever was read, in the order of the cut."""
    return [root] if isinstance(root, otio.schema.Clip) else list(root.find_clips())


def timelines_of(root: Any) -> list[Any]:
    """The timelines in whatever was read, however deep a collection has them."""
    if isinstance(root, otio.schema.SerializableCollection):
        return [timeline for child in root for timeline in timelines_of(child)]
    return [root] if isinstance(root, otio.schema.Timeline) else []


def placed_clips(root: Any) -> Iterator[Placed]:
    """The video clips of whatever OTIO read, in the order of the cut."""
    if isinstance(root, otio.schema.SerializableCollection):
        for child in root:
            if isinstance(child, otio.schema.Clip) or hasattr(child, "find_clips"):
                yield from placed_clips(child)
        return
    if isinstance(root, otio.schema.Clip):
        yield Placed(root)
        return
    timeline = root if isinstance(root, otio.schema.Timeline) else None
    for clip in root.find_clips():
        parents = tuple(_parents(clip))
        tracks = [parent for parent in parents if isinstance(parent, otio.schema.Track)]
        if all(track.kind == "Video" for track in tracks):
            yield Placed(clip, parents, timeline)


def _parents(clip: Any) -> Iterator[Any]:
    parent = clip.parent()
    while parent is not None:
        yield parent
        parent = parent.parent()
