"""Clips of a timeline: what they show, and what Resolve says that they show."""

from __future__ import annotations

from typing import Any, Literal

from anyportal_core.frames import Image
from tests.hosts.resolve.objects import HostObject
from tests.hosts.resolve.pool import MediaPoolItem

Saying = Literal["exclusive", "inclusive", "unknown", "shifted"]
"""How `GetSourceStart/EndFrame` answer. "off by one on some items; 0/0 on XML imports means unknown"."""


class Take:
    def __init__(self, media: MediaPoolItem, first: int, count: int) -> None:
        self.media, self.first, self.count = media, first, count


class TimelineItem(HostObject):
    """A clip.

    Args:
        media: None for titles and transitions.
        first: the lowest frame of the media shown.
        start: on the timeline, absolute.
        speed: negative runs backwards; 0 is a freeze of `first`.
        ramp: speeds by halves of the clip, which no call tells.
    """

    def __init__(
        self, media: MediaPoolItem | None, first: int, duration: int, start: int, *, rate: float = 24.0,
        speed: float = 1.0, ramp: tuple[float, float] | None = None, saying: Saying = "exclusive", name: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        self.name = name or (media.GetName() if media else "Title")
        self.start, self.duration, self.speed, self.ramp, self.saying = start, duration, speed, ramp, saying
        self.rate = rate
        self.original = Take(media, first, -1) if media else None
        self.takes: list[Take] = []
        self.selected = 0
        self.exclusive_takes = self.errs = self.deaf = False
        self.colour = ""
        self.flags: list[str] = []
        self.enabled, self.compositions = True, 0
        self.markers: dict[float, dict[str, Any]] = {}

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def take(self) -> Take | None:
        return self.takes[self.selected - 1] if self.takes else self.original

    @property
    def source(self) -> tuple[int, float]:
        """The lowest frame of the media shown, and media frames for each frame of the timeline."""
        take = self.take
        ratio = take.media.rate / self.rate if take and take.media.rate else 1.0  # each take plays at its own rate
        return (take.first if take else 0), ratio * abs(self.speed)

    def media_frame(self, offset: int) -> int:
        """The frame of the media at a frame of the clip."""
        first, step = self.source
        if self.ramp:
            half = self.duration // 2
            slow, fast = self.ramp
            return first + int(min(offset, half) * slow + max(0, offset - half) * fast)
        if self.speed < 0:
            take = self.take
            count = take.count if take and take.count >= 0 else round(self.duration * step)
            return first + count - 1 - int(offset * step + 1e-6)
        return first + int(offset * step + 1e-6)

    def picture(self, offset: int) -> Image:
        assert self.take is not None
        return self.take.media.picture(self.media_frame(offset))

    def GetName(self) -> str:
        return self.name

    def GetStart(self) -> int:
        return self.start

    def GetEnd(self) -> int:
        return self.end

    def GetDuration(self) -> int:
        return self.duration

    def GetLeftOffset(self) -> int:
        """ "`LeftOffset` exact at 100 % only"."""
        first, step = self.source
        return first if step == 1 and self.speed > 0 else int(first / (step or 2))

    def GetSourceStartFrame(self) -> int:
        return self._said()[0]

    def GetSourceEndFrame(self) -> int:
        return self._said()[1]

    def _said(self) -> tuple[int, int]:
        """ "file-relative"; "speed: no property; reversed means start > end"."""
        if self.saying == "unknown":
            return 0, 0
        first, step = self.source
        count = sum(self.ramp) * self.duration / 2 if self.ramp else self.duration * step
        last = first + round(count) - 1
        if self.speed == 0:
            return first, first
        if self.speed < 0:
            return last, first - (self.saying == "exclusive")
        return first + (self.saying == "shifted"), last + (self.saying != "inclusive")

    def GetMediaPoolItem(self) -> MediaPoolItem | None:
        """ "None for titles and transitions"."""
        return self.take.media if self.take else None

    def GetFusionCompCount(self) -> int:
        return self.compositions

    def GetClipEnabled(self) -> bool:
        return self.enabled

    def GetClipColor(self) -> str:
        return self.colour

    def SetClipColor(self, colorName: str) -> bool:
        self.colour = "" if self.deaf else colorName
        return True

    def GetFlagList(self) -> list[str]:
        return list(self.flags)

    def AddMarker(
        self, frameId: float, color: str, name: str, note: str, duration: float, customData: str = ""
    ) -> bool:
        """ "marker frames are relative"."""
        if self.deaf or frameId in self.markers or not 0 <= frameId < self.duration:
            return False
        said = {"color": color, "name": name, "note": note, "duration": duration, "customData": customData}
        self.markers[float(frameId)] = said
        return True

    def GetMarkers(self) -> dict[float, dict[str, Any]]:
        return dict(self.markers)

    def DeleteMarkerByCustomData(self, customData: str) -> bool:
        for frame, marker in self.markers.items():
            if marker["customData"] == customData:
                del self.markers[frame]
                return True
        return False

    def AddTake(self, mediaPoolItem: MediaPoolItem, startFrame: int = 0, endFrame: int = -1) -> bool:
        if self.deaf or self.original is None:
            return False
        if not self.takes:  # the clip becomes a take selector, its own media the first take
            self.takes, self.selected = [self.original], 1
        self.takes.append(Take(mediaPoolItem, startFrame, endFrame - startFrame + (not self.exclusive_takes)))
        return True

    def GetTakesCount(self) -> int:
        return len(self.takes)

    def GetTakeByIndex(self, idx: int) -> dict[str, Any] | None:
        if not 1 <= idx <= len(self.takes):
            return None
        take = self.takes[idx - 1]
        return {"mediaPoolItem": take.media, "startFrame": take.first, "endFrame": take.first + take.count}

    def GetSelectedTakeIndex(self) -> int:
        return self.selected

    def SelectTakeByIndex(self, idx: int) -> bool:
        """A take that is shorter or longer changes the clip's length."""
        if not 1 <= idx <= len(self.takes):
            return False
        if self.original is not None and self.original.count < 0:
            self.original.count = self.duration
        self.selected = idx
        take = self.takes[idx - 1]
        if take is self.original:
            self.duration = take.count
        elif take.media.properties["Type"] != "Still":
            self.duration = int(take.count / (self.source[1] or 1) + 1e-6)
        return True

    def DeleteTakeByIndex(self, idx: int) -> bool:
        if not 1 <= idx <= len(self.takes) or idx == self.selected:
            return False
        del self.takes[idx - 1]
        return True

    def FinalizeTake(self) -> bool:
        raise AssertionError('"`FinalizeTake()` destroys the alternatives: never call it"')
