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
    def hidden(self) -> bool:
        """Whether the nested sequence around it is trimmed so that it shows nothing of the clip."""
        try:
            # Not `trimmed_range_of_child`: it compares the range of a grandchild with that of its parent.
            return any(
                parent.source_range is not None and _apart(parent.source_range, parent.range_of_child(self.clip))
                for parent in self.parents[:_OUTER]
            )
        except (otio.exceptions.OTIOError, ValueError):  # a length nobody can tell: then it is taken for seen
            return False

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


def _apart(one: Any, other: Any) -> bool:
    return bool(one.end_time_exclusive() <= other.start_time or other.end_time_exclusive() <= one.start_time)


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
    """The enabled video clips of whatever OTIO read, in the order of the cut."""
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
        if clip.enabled and all(p.enabled for p in parents) and all(t.kind == "Video" for t in tracks):
            yield Placed(clip, parents, timeline)


def _parents(clip: Any) -> Iterator[Any]:
    parent = clip.parent()
    while parent is not None:
        yield parent
        parent = parent.parent()
