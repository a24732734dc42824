"""Clips that only Resolve can draw, as a movie: a render job of one clip, with everything put back."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from typing import TYPE_CHECKING, Callable, List, Optional, Tuple

from anyportal_resolve import restoring
from anyportal_resolve.choosing import find_item
from anyportal_resolve.clips import plate_take
from anyportal_resolve.movie import read_movie
from anyportal_resolve.refusal import Refused

if TYPE_CHECKING:
    from anyportal_resolve.clips import Clip
    from anyportal_resolve.connection import Desk
    from anyportal_resolve.host import Project

PRESETS = ("AnyPortal", "ProRes 422 HQ", "H.264 Master")
"""Render presets to begin with, the best first: what is set afterwards goes on top of what they hold."""
_SHAPES = (
    ("mov", ("ProRes4444XQ", "ProRes4444", "ProRes422HQ", "DNxHR444_10", "DNxHR444_12", "DNxHRHQX_10", "DNxHRHQX")),
    ("mp4", ("H264",)),
    ("mov", ("H264",)),
)
"""Formats by what they lose, the least first."""
_TICK = 0.25
_STUCK = 120.0
"""Seconds without any progress after which a job counts as stuck."""

OnFraction = Callable[[float], None]
Cancelled = Callable[[], bool]


class BakeCancelled(Exception):
    """Somebody asked for the end."""


def bake(desk: Desk, clip: Clip, folder: str, on_fraction: OnFraction, cancelled: Cancelled) -> str:
    """Render a clip as it is seen, without what lies above it, and verify the file.

    Page, tracks, render settings, and in and out points are as before afterwards, also where it fails.

    Args:
        folder: where the file goes, in a folder of its own.

    Returns:
        The file: as many frames as the clip has, no handles: beyond the clip's ends there are other clips.

    Raises:
        Refused: it was not rendered, or not as it was asked for.
        BakeCancelled: the wish came while it was rendered.
    """
    project, timeline = desk.project, desk.timeline
    if project.IsRenderingInProgress():
        raise Refused("Resolve is rendering something else", "Wait until it is done, then try again")
    found = find_item(timeline, clip.id)
    if found is None:
        raise Refused("The clip is no longer on the timeline")
    os.makedirs(folder, exist_ok=True)
    target = tempfile.mkdtemp(prefix="plate_", dir=folder)  # what lies in it later, the job wrote
    with contextlib.ExitStack() as put_back:
        put_back.enter_context(restoring.current_timeline(project, timeline))
        put_back.enter_context(restoring.page(desk.resolve, "deliver"))
        put_back.enter_context(restoring.render_settings(project, timeline))
        put_back.enter_context(restoring.solo(timeline, found[1]))
        put_back.enter_context(restoring.take_selected(clip.item, plate_take(clip.item)))
        _prepare(project)
        _set(project, int(clip.item.GetStart()), int(clip.item.GetEnd()) - 1, target)
        _render(project, on_fraction, cancelled)
    return _verified(target, clip.duration, clip.rate)


def _prepare(project: Project) -> None:
    """A known beginning: a render preset holds more than can be set or read, such as that there is no picture."""
    names = preset_names(project)
    preset = next((name for name in PRESETS if name in names), "")
    if not preset or not project.LoadRenderPreset(preset):
        raise Refused(
            "Resolve has none of the render presets {}".format(", ".join(PRESETS)),
            "Save one called AnyPortal on the Deliver page, with picture, as a single clip",
        )
    project.SetCurrentRenderMode(1)  # a single clip
    for shape in _shapes(project):
        if project.SetCurrentRenderFormatAndCodec(*shape):
            now = project.GetCurrentRenderFormatAndCodec() or {}
            if (now.get("format"), now.get("codec")) == shape:
                return
    raise Refused("Resolve renders neither ProRes, DNxHR nor H.264 here", "Save a render preset called AnyPortal")


def _shapes(project: Project) -> List[Tuple[str, str]]:
    """What this Resolve can write of what we can use, the best first."""
    formats = set((project.GetRenderFormats() or {}).values())
    found = []
    for kind, codecs in _SHAPES:
        there = set((project.GetRenderCodecs(kind) or {}).values()) if kind in formats else set()
        found += [(kind, codec) for codec in codecs if codec in there]
    return found


def _set(project: Project, first: int, last: int, target: str) -> None:
    settings = {
        "SelectAllFrames": False,
        "MarkIn": first,
        "MarkOut": last,  # included
        "TargetDir": target,
        "CustomName": "plate",
        "ExportVideo": True,
        "ExportAudio": False,
    }
    if not project.SetRenderSettings(settings):
        raise Refused("Resolve does not take the render settings", "Look at the Deliver page: it may say why")


def _render(project: Project, on_fraction: OnFraction, cancelled: Cancelled) -> None:
    job = project.AddRenderJob()
    if not job:
        raise Refused("Resolve does not take the render job", "Look at the Deliver page: it may say why")
    try:
        if not project.StartRendering([job], False):
            raise Refused("Resolve does not start the render job", "Look at the render queue")
        _follow(project, job, on_fraction, cancelled)
    finally:
        project.DeleteRenderJob(job)


def _follow(project: Project, job: str, on_fraction: OnFraction, cancelled: Cancelled) -> None:
    """Wait for the end; words of a status may be in any language, so that only numbers and errors count."""
    fraction, since = 0.0, time.monotonic()
    while project.IsRenderingInProgress():
        if cancelled():
            project.StopRendering()
            raise BakeCancelled
        now = float((project.GetRenderJobStatus(job) or {}).get("CompletionPercentage") or 0) / 100
        if now > fraction:
            fraction, since = now, time.monotonic()
            on_fraction(fraction)
        if time.monotonic() - since > _STUCK:
            project.StopRendering()
            raise Refused("Resolve's render job stands still at {:.0%}".format(fraction), "Look at the render queue")
        time.sleep(_TICK)
    error = (project.GetRenderJobStatus(job) or {}).get("Error")
    if error:
        raise Refused("Resolve did not render the clip: {}".format(error))


def _verified(target: str, frames: int, rate: float) -> str:
    """The one file that a job wrote, if it is what was asked for: settings are taken and not followed at times."""
    names = sorted(os.listdir(target))
    if len(names) != 1:
        said = "nothing" if not names else "more than one file"
        raise Refused("Resolve says that it has rendered, but wrote {}".format(said), "Look in {}".format(target))
    path = os.path.join(target, names[0])
    movie = read_movie(path)
    wrong: Optional[str] = "" if movie else "has no picture"
    if movie and movie.frames != frames:
        wrong = "has {} frames instead of {}".format(movie.frames, frames)
    elif movie and rate and abs(movie.rate - rate) > 0.01:
        wrong = "has {:g} frames a second instead of {:g}".format(movie.rate, rate)
    if wrong:
        raise Refused(
            "What Resolve rendered {}: {}".format(wrong, path),
            "Choose other settings on the Deliver page and save them as a render preset called AnyPortal",
        )
    return path


def preset_names(project: Project) -> List[str]:
    """The render presets that there are."""
    return [_preset_name(preset) for preset in project.GetRenderPresetList() or []]


def _preset_name(preset: object) -> str:
    """The list holds names, or tables in some versions."""
    if isinstance(preset, dict):
        return str(preset.get("RenderPresetName") or preset.get("PresetName") or "")
    return str(preset)
