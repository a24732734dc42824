"""The media pool: bins, and media that are real files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from anyportal_core.frames import Image
from tests.hosts.resolve.objects import HostObject, picture_of

if TYPE_CHECKING:
    from tests.hosts.resolve.app import Project
    from tests.hosts.resolve.items import TimelineItem

STILLS = (".png", ".jpg", ".jpeg", ".tif", ".exr")


class MediaPoolItem(HostObject):
    """Media. Of a file, or made up: `parts` are media and their first frames, shown one after the other, 8 each."""

    def __init__(
        self, path: str = "", start: int = 0, last: int | None = None, kind: str = "", **properties: str
    ) -> None:
        super().__init__()
        self.path, self.start = path, start
        self.parts: list[tuple[MediaPoolItem, int]] = []
        self.frames, self.rate = _probe(path, start, last) if path else (0, 0.0)
        self.stubborn = False
        sequence = "%" in Path(path).name and not Path(path).is_file()
        shown = re.sub(r"%0(\d)d", lambda m: f"[{start:0{m[1]}d}-{last or 0:0{m[1]}d}]", path) if sequence else path
        kind = kind or ("Still" if path.endswith(STILLS) and not sequence else "Video")
        self.properties = {"File Path": shown, "Type": kind, "Frames": str(self.frames), "FPS": f"{self.rate:g}"}
        self.properties |= properties

    def GetName(self) -> str:
        return Path(self.properties["File Path"]).name or "Compound Clip 1"

    def GetClipProperty(self, propertyName: str) -> Any:
        return self.properties.get(propertyName, "")

    def SetClipProperty(self, propertyName: str, propertyValue: Any) -> bool:
        # "colour: copy 'IDT' or 'Input Color Space' ...: verify by reading back": it says yes whatever it does.
        if not self.stubborn:
            self.properties[propertyName] = propertyValue
        return True

    def picture(self, frame: int) -> Image:
        if self.parts:
            part, first = self.parts[frame // 8]
            return part.picture(first + frame % 8)
        return picture_of(self.path, 0 if self.properties["Type"] == "Still" else frame, self.start)


class Folder(HostObject):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.folders: list[Folder] = []
        self.clips: list[MediaPoolItem] = []

    def GetName(self) -> str:
        return self.name

    def GetSubFolderList(self) -> list[Folder]:
        return list(self.folders)

    def GetClipList(self) -> list[MediaPoolItem]:
        return list(self.clips)

    def tree(self) -> dict[str, Any]:
        """The names of what lies in it."""
        return {folder.name: folder.tree() for folder in self.folders} | {clip.GetName(): None for clip in self.clips}


class MediaPool(HostObject):
    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project
        self.root = self.current = Folder("Master")
        self.refuses = self.drops = self.errs = False

    def GetRootFolder(self) -> Folder:
        return self.root

    def GetCurrentFolder(self) -> Folder:
        return self.current

    def SetCurrentFolder(self, folder: Folder) -> bool:
        self.current = folder
        return True

    def AddSubFolder(self, folder: Folder, name: str) -> Folder:
        folder.folders.append(Folder(name))
        self.current = folder.folders[-1]  # a new bin becomes the current one
        return folder.folders[-1]

    def ImportMedia(self, clipInfo: list[Any]) -> list[MediaPoolItem]:
        """ "import: no destination parameter": into whichever bin is current."""
        if self.refuses:
            return []
        made = []
        for info in clipInfo:
            if isinstance(info, dict):
                made.append(MediaPoolItem(info["FilePath"], info["StartIndex"], info["EndIndex"]))
            else:
                made.append(MediaPoolItem(str(info)))
        self.current.clips += made
        return made

    def AppendToTimeline(self, clipInfo: list[dict[str, Any]]) -> list[TimelineItem]:
        from tests.hosts.resolve.items import TimelineItem

        timeline, made = self.project.current, []
        for info in clipInfo:
            media: MediaPoolItem = info["mediaPoolItem"]
            track = timeline.tracks[info["trackIndex"] - 1]
            ratio = media.rate / timeline.rate if media.rate else 1.0
            count = info["endFrame"] - info["startFrame"]  # "endFrame exclusive"
            # "mixed rates floor one frame short"
            duration = count if abs(ratio - 1) < 1e-3 else int(count / ratio + 1e-6) - 1
            # "recordFrame is absolute: add `GetStartFrame()`": a relative one lies before the timeline.
            item = TimelineItem(media, info["startFrame"], duration, info["recordFrame"], rate=timeline.rate)
            if info.get("mediaType") != 1:
                timeline.audio.append(item)
            # "overlaps silently dropped, earlier wins"
            overlaps = any(each.start < item.end and item.start < each.end for each in track.items)
            if overlaps or self.drops or track.locked:
                continue
            item.errs = self.errs  # "errored appends vanish on save"
            track.items.append(item)
            made.append(item)
        return made


def _probe(path: str, start: int, last: int | None) -> tuple[int, float]:
    if "%" in Path(path).name and not Path(path).is_file():
        return (last or 0) - start + 1, 24.0
    if not Path(path).exists():
        return 0, 0.0
    with av.open(path) as container:
        stream = container.streams.video[0]
        return stream.frames or 1, float(stream.average_rate or 24)
