"""Resolve itself, its projects, and a render queue that renders."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.hosts.resolve.items import TimelineItem
from tests.hosts.resolve.objects import HostObject
from tests.hosts.resolve.pool import MediaPool, MediaPoolItem
from tests.hosts.resolve.timeline import Timeline

SIZE = (96, 64)
CODECS = {"ProRes4444": ("prores_ks", "yuv444p10le"), "H264": ("libx264", "yuv420p")}


class Project(HostObject):
    """A project with a queue of render jobs.

    "trimmed render: settings lie over hidden state": what a preset holds beside the settings is in `hidden`, cannot be
    read, and wins over what is set afterwards. It begins as after somebody's delivery of sound alone.
    """

    def __init__(self, resolve: Resolve) -> None:
        super().__init__()
        self.resolve = resolve
        self.pool = MediaPool(self)
        self.timelines = [Timeline(resolve, "Cut 3")]
        self.current: Timeline = self.timelines[0]
        self.settings: dict[str, str] = {}
        self.hidden = {"picture": False}
        self.deliver: dict[str, Any] = {"TargetDir": "/somewhere", "CustomName": "master"}
        self.shape, self.mode = ("mov", "H264"), 0
        self.presets: dict[str, Any] = {
            "Audio Only": ({"picture": False}, {}),
            "H.264 Master": ({"picture": True}, {}),
        }
        self.jobs: dict[str, dict[str, Any]] = {}
        self.rendering: Iterator[float] | None = None
        self.lie = ""

    def GetName(self) -> str:
        return "Beach Film"

    def GetMediaPool(self) -> MediaPool:
        return self.pool

    def GetCurrentTimeline(self) -> Timeline | None:
        return self.current

    def SetCurrentTimeline(self, timeline: Timeline) -> bool:
        self.current = timeline
        return True

    def GetSetting(self, settingName: str) -> str:
        return self.settings.get(settingName, "")

    def GetRenderFormats(self) -> dict[str, str]:
        return {"QuickTime": "mov", "MP4": "mp4"}

    def GetRenderCodecs(self, renderFormat: str) -> dict[str, str]:
        return {"Apple ProRes 4444": "ProRes4444", "H.264": "H264"} if renderFormat == "mov" else {"H.264": "H264"}

    def GetCurrentRenderFormatAndCodec(self) -> dict[str, str]:
        return dict(zip(("format", "codec"), self.shape, strict=True))

    def SetCurrentRenderFormatAndCodec(self, format: str, codec: str) -> bool:
        self.shape = (format, codec)
        return True

    def GetCurrentRenderMode(self) -> int:
        return self.mode

    def SetCurrentRenderMode(self, renderMode: int) -> bool:
        self.mode = renderMode
        return True

    def GetRenderPresetList(self) -> list[str]:
        return list(self.presets)

    def LoadRenderPreset(self, presetName: str) -> bool:
        if presetName not in self.presets:
            return False
        self.hidden, settings = copy.deepcopy(self.presets[presetName])
        self.deliver = settings or self.deliver
        return True

    def SaveAsNewRenderPreset(self, presetName: str) -> bool:
        if presetName in self.presets:
            return False
        self.presets[presetName] = copy.deepcopy((self.hidden, self.deliver))
        return True

    def DeleteRenderPreset(self, presetName: str) -> bool:
        return self.presets.pop(presetName, None) is not None

    def SetRenderSettings(self, settings: dict[str, Any]) -> bool:
        self.deliver.update(settings)
        if "MarkIn" in settings:  # a render leaves its own in and out points on the timeline
            self.current.marks = {"video": {"in": settings["MarkIn"], "out": settings["MarkOut"]}}
        return True

    def AddRenderJob(self) -> str:
        job = f"job-{len(self.jobs) + 1}"
        kept = {"shape": self.shape, "mode": self.mode, "hidden": dict(self.hidden), "lie": self.lie, "done": 0.0}
        self.jobs[job] = {**self.deliver, **kept}
        return job

    def DeleteRenderJob(self, jobId: str) -> bool:
        return self.jobs.pop(jobId, None) is not None

    def StartRendering(self, jobIds: list[str], isInteractiveMode: bool = False) -> bool:
        job = self.jobs[jobIds[0]]
        # Mode 0 writes a file for each clip, mode 1 one file; what is rendered is whichever timeline is current.
        files = [job] if job["mode"] == 1 else [job | {"CustomName": f"{job['CustomName']}{n}"} for n in (1, 2)]
        renders = itertools.chain.from_iterable(_render(self.current, file) for file in files)
        self.rendering = renders if job["lie"] != "nothing" else iter(())
        return True

    def StopRendering(self) -> None:
        self.rendering = None

    def IsRenderingInProgress(self) -> bool:
        """Each look is a moment in which a few frames are rendered."""
        if self.rendering is not None and next(self.rendering, None) is None:
            self.rendering = None
        return self.rendering is not None

    def GetRenderJobStatus(self, jobId: str) -> dict[str, Any]:
        job = self.jobs[jobId]
        status = {"JobStatus": "Rendering" if self.rendering else "Complete", "CompletionPercentage": job["done"]}
        return status | ({"Error": "disk full"} if job["lie"] == "error" else {})


def _render(timeline: Timeline, job: dict[str, Any]) -> Iterator[float]:
    codec, pixels = CODECS[job["shape"][1]]
    path = Path(job["TargetDir"]) / f"{job['CustomName']}.{job['shape'][0]}"
    first, last = job["MarkIn"], job["MarkOut"] - (job["lie"] == "short")
    with av.open(str(path), "w") as container:
        if not job["hidden"]["picture"]:  # whatever ExportVideo says
            sound = container.add_stream("pcm_s16le", rate=48000)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="mono")
            silence.rate = 48000
            container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
            return
        stream: Any = container.add_stream(codec, rate=Fraction(timeline.rate).limit_denominator(1001))
        stream.pix_fmt = pixels
        stream.width, stream.height = SIZE
        for place, frame in enumerate(range(first, last + 1)):
            picture = timeline.picture(frame)
            shown = np.zeros((SIZE[1], SIZE[0], 3), np.float32) if picture is None else picture
            container.mux(stream.encode(av.VideoFrame.from_ndarray((shown * 255).astype(np.uint8), format="rgb24")))
            job["done"] = 100 * (place + 1) / (last - first + 1)
            if place % 8 == 7:
                yield job["done"]
        container.mux(stream.encode(None))


class ProjectManager(HostObject):
    def __init__(self, resolve: Resolve) -> None:
        super().__init__()
        self.resolve = resolve
        self.project: Project | None = Project(resolve)
        self.wedged = False
        self.saves = 0

    def GetCurrentDatabase(self) -> dict[str, str] | None:
        """ "is it alive: `GetCurrentDatabase()` is not None | other calls may answer while it is wedged"."""
        return None if self.wedged else {"DbType": "Disk", "DbName": "Local"}

    def GetCurrentProject(self) -> Project | None:
        return self.project

    def SaveProject(self) -> bool:
        """ "errored appends vanish on save: save, then re-read"."""
        self.saves += 1
        assert self.project is not None
        for track in self.project.current.tracks:
            track.items = [item for item in track.items if not item.errs]
        return True


class Resolve(HostObject):
    def __init__(self, studio: bool = True, version: tuple[int, int] = (20, 1)) -> None:
        super().__init__()
        self.EXPORT_OTIO, self.EXPORT_NONE = object(), object()
        self.studio, self.version, self.page = studio, version, "color"
        self.pages: list[str] = []
        self.manager = ProjectManager(self)

    @property
    def project(self) -> Project:
        assert self.manager.project is not None
        return self.manager.project

    @property
    def timeline(self) -> Timeline:
        return self.project.current

    def clip(
        self, media: MediaPoolItem | None, first: int, duration: int, at: int = 0, track: int = 1, **how: Any
    ) -> TimelineItem:
        """A clip on the timeline, `at` frames after its beginning."""
        start = self.timeline.GetStartFrame() + at
        return self.timeline.place(TimelineItem(media, first, duration, start, rate=self.timeline.rate, **how), track)

    def GetProjectManager(self) -> ProjectManager:
        return self.manager

    def GetProductName(self) -> str:
        return "DaVinci Resolve Studio" if self.studio else "DaVinci Resolve"

    def GetVersion(self) -> list[Any]:
        return [*self.version, 0, 49, ""]

    def GetVersionString(self) -> str:
        return "{}.{}.0.49".format(*self.version)

    def GetCurrentPage(self) -> str:
        return self.page

    def OpenPage(self, pageName: str) -> bool:
        self.page = pageName
        self.pages.append(pageName)
        return True
