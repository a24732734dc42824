"""Where results lie, what is in them, and which frames they are of."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Dict, Tuple

import anyportal_hostkit as hostkit

if TYPE_CHECKING:
    from anyportal_resolve.clips import Clip
    from anyportal_resolve.connection import Desk


def shot_folder(folder: str, clip: Clip) -> str:
    """The folder of a clip's versions: the one its marker names, else one of its own, whatever else has its name."""
    before = str((clip.tag or {}).get("shot", ""))
    if before and os.path.isdir(before):
        return before
    name = hostkit.paths.safe_name(os.path.splitext(clip.name)[0])
    return os.path.join(folder, "{}_{}".format(name, hashlib.sha256(clip.id.encode()).hexdigest()[:6]))


def lost_version(folder: str) -> str:
    """The folder of a version whose job nobody waits for: a session ended before it; empty where there is none."""
    found = hostkit.record.unfinished(folder) if os.path.isdir(folder) else []
    keys = ("span", "baked", "placement")
    usable = [each for each in found if all(key in hostkit.record.read(each)["host"] for key in keys)]
    return str(usable[-1]) if usable else ""


def results_folder(desk: Desk) -> str:
    """Where results of a timeline go, where nothing else is said."""
    names = (desk.project.GetName(), desk.timeline.GetName())
    return os.path.join(os.path.expanduser("~"), "AnyPortal", *map(hostkit.paths.safe_name, names))


def pictures_of(clip: Clip) -> Dict[str, Any]:
    """The frame in the middle of a clip `before`, and of its newest result `after`, each as a file and a number.

    Empty where there is none.
    """
    before: Dict[str, Any] = {}
    media, shown, tag = clip.media, clip.shown, clip.tag or {}
    if media is not None and not media.made_up and not clip.refused:
        before = {"path": media.path, "frame": media.start + (shown.first + shown.sure // 2 if shown else 0)}
    record = hostkit.record.read(os.path.join(str(tag.get("shot", "")), clip.version)) if clip.version else None
    result = ((record or {}).get("files") or {}).get("comp")
    if not record or not result:
        return {"before": before, "after": {}}
    before = before or {"path": record["wish"]["plate"], "frame": clip.duration // 2}
    first = 0 if hostkit.has_counter(result) else hostkit.frames.parse(record["frames"])[0]
    return {"before": before, "after": {"path": result, "frame": max(0, before["frame"] - first)}}


def frames_text(clip: Clip, handles: int, placement: str) -> Tuple[str, str]:
    """The frames to be processed, and the handles among them, in words."""
    if clip.bake_for(placement) or clip.media is None or clip.shown is None:
        return "{} frames".format(clip.duration), "no handles"
    first, last = clip.span(handles)
    low, high = clip.shown.first, clip.shown.first + clip.shown.most - 1
    start = clip.media.start
    return "frames {}-{}".format(start + low, start + high), "{}+{} handles".format(low - first, last - high)
