"""The timeline: tracks of clips, and what one sees of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import opentimelineio as otio

from anyportal_core.frames import Image
from tests.hosts.resolve.items import TimelineItem
from tests.hosts.resolve.objects import HostObject, number_of

if TYPE_CHECKING:
    from tests.hosts.resolve.app import Resolve

HOUR = 86400
"""Where timelines begin: 01:00:00:00 at 24 frames a second."""


class Track:
    def __init__(self, name: str) -> None:
        self.name = name
        self.items: list[TimelineItem] = []
        self.transitions: dict[int, tuple[int, int]] = {}
        self.enabled, self.locked = True, False


class Timeline(HostObject):
    def __init__(self, resolve: Resolve, name: str, rate: float = 24.0) -> None:
        super().__init__()
        self.resolve, self.name, self.rate = resolve, name, rate
        self.tracks = [Track("Video 1")]
        self.audio: list[TimelineItem] = []
        self.playhead = HOUR
        self.marks: dict[str, dict[str, int]] = {}
        self.exports = 0

    def place(self, item: TimelineItem, track: int = 1) -> TimelineItem:
        """Put a clip on a track, for tests."""
        while len(self.tracks) < track:
            self.tracks.append(Track(f"Video {len(self.tracks) + 1}"))
        self.tracks[track - 1].items.append(item)
        return item

    def top(self, frame: int) -> TimelineItem | None:
        """The clip that is seen at a frame."""
        for track in reversed(self.tracks):
            for item in track.items:
                if track.enabled and item.enabled and item.start <= frame < item.end:
                    return item
        return None

    def picture(self, frame: int) -> Image | None:
        item = self.top(frame)
        return item.picture(frame - item.start) if item and item.take else None

    def numbers(self, item: TimelineItem) -> list[int]:
        """What is seen where a clip lies: the numbers that the plate's frames carry."""
        pictures = [self.picture(frame) for frame in range(item.start, item.end)]
        return [number_of(picture) for picture in pictures if picture is not None]

    def GetName(self) -> str:
        return self.name

    def GetStartFrame(self) -> int:
        return HOUR

    def GetSetting(self, settingName: str) -> str:
        return f"{self.rate:g}" if settingName == "timelineFrameRate" else ""

    def GetCurrentVideoItem(self) -> TimelineItem | None:
        return self.top(self.playhead)

    def GetTrackCount(self, trackType: str) -> int:
        return len(self.tracks) if trackType == "video" else 1

    def GetTrackName(self, trackType: str, trackIndex: int) -> str:
        return self.tracks[trackIndex - 1].name

    def SetTrackName(self, trackType: str, trackIndex: int, name: str) -> bool:
        self.tracks[trackIndex - 1].name = name
        return True

    def AddTrack(self, trackType: str, newTrackOptions: Any = None) -> bool:
        """Where a place is said, there; an older Resolve (`lack("index")`) puts it on top."""
        index = None if "index" in self._lacks else (newTrackOptions or {}).get("index")
        self.tracks.insert(len(self.tracks) if index is None else index - 1, Track(f"Video {len(self.tracks) + 1}"))
        return True

    def GetIsTrackEnabled(self, trackType: str, trackIndex: int) -> bool:
        return self.tracks[trackIndex - 1].enabled

    def SetTrackEnable(self, trackType: str, trackIndex: int, Bool: bool) -> bool:
        self.tracks[trackIndex - 1].enabled = Bool
        return True

    def GetIsTrackLocked(self, trackType: str, trackIndex: int) -> bool:
        return self.tracks[trackIndex - 1].locked

    def GetItemListInTrack(self, trackType: str, index: int) -> list[TimelineItem]:
        return sorted(self.tracks[index - 1].items, key=lambda item: item.start)

    def DeleteClips(self, timelineItems: list[TimelineItem], Bool: bool = False) -> bool:
        """ "delete: `OpenPage("edit")` first | False from Fairlight"."""
        if self.resolve.page != "edit":
            return False
        for track in self.tracks:
            track.items = [item for item in track.items if item not in timelineItems]
        return True

    def GetMarkInOut(self) -> dict[str, dict[str, int]]:
        return {kind: dict(edge) for kind, edge in self.marks.items()}

    def SetMarkInOut(self, mark_in: int, mark_out: int, type: str = "all") -> bool:
        self.marks["video" if type == "all" else type] = {"in": mark_in, "out": mark_out}
        return True

    def ClearMarkInOut(self, type: str = "all") -> bool:
        self.marks = {}
        return True

    def Export(self, fileName: str, exportType: object, exportSubtype: object) -> bool:
        """ "full edit: the enum must come from the live handle; a string writes nothing, silently"."""
        if exportType is self.resolve.EXPORT_OTIO and exportSubtype is self.resolve.EXPORT_NONE:
            self.exports += 1
            otio.adapters.write_to_file(self._as_otio(), fileName)
        return True

    def _as_otio(self) -> otio.schema.Timeline:
        timeline = otio.schema.Timeline(self.name, global_start_time=self._time(HOUR))
        for track in self.tracks:
            row = otio.schema.Track(track.name, kind=otio.schema.TrackKind.Video)
            position = HOUR
            for item in sorted(track.items, key=lambda each: each.start):
                if item.start > position:
                    row.append(otio.schema.Gap(duration=self._time(item.start - position)))
                offsets = track.transitions.get(item.start)
                if offsets:
                    row.append(otio.schema.Transition("dissolve", "SMPTE_Dissolve", *map(self._time, offsets)))
                row.append(self._clip(item))
                position = item.end
            timeline.tracks.append(row)
        return timeline

    def _clip(self, item: TimelineItem) -> otio.schema.Clip:
        """ "A retime is `LinearTimeWarp.time_scalar` with source_range duration = the record span"; "Ramps: only in
        OTIO `TimeEffect` metadata"; source ranges are timecode-absolute, here from 01:00:00:00."""
        clip = otio.schema.Clip(item.name)
        media = item.original.media if item.original else None
        first = HOUR + (item.original.first if item.original else 0)
        clip.source_range = otio.opentime.TimeRange(self._time(first), self._time(item.duration))
        if media and media.path:
            available = otio.opentime.TimeRange(self._time(HOUR), self._time(media.frames))
            clip.media_reference = otio.schema.ExternalReference(media.path, available)
        if item.ramp:
            clip.effects.append(otio.schema.TimeEffect("Retime", "Retime", {"Resolve_OTIO": {"Type": "ramp"}}))
        elif item.speed != 1:
            clip.effects.append(otio.schema.LinearTimeWarp("", item.speed))
        return clip

    def _time(self, frames: int) -> otio.opentime.RationalTime:
        return otio.opentime.RationalTime(frames, self.rate)
