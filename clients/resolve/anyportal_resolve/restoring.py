"""Leave Resolve as it was, whatever happens in between."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

from anyportal_resolve.connection import can
from anyportal_resolve.refusal import Refused

if TYPE_CHECKING:
    from anyportal_resolve.host import MediaPool, Project, Resolve, Timeline, TimelineItem

_KEPT_SETTINGS = "AnyPortal (settings before)"


@contextmanager
def page(resolve: Resolve, name: str) -> Iterator[None]:
    """Another page for a while."""
    before = resolve.GetCurrentPage()
    if before != name:
        resolve.OpenPage(name)
    try:
        yield
    finally:
        if before and resolve.GetCurrentPage() != before:
            resolve.OpenPage(before)


@contextmanager
def current_bin(pool: MediaPool) -> Iterator[None]:
    """The current bin may change for a while: an import goes to whichever is current."""
    before = pool.GetCurrentFolder()
    try:
        yield
    finally:
        pool.SetCurrentFolder(before)


@contextmanager
def solo(timeline: Timeline, track: int) -> Iterator[None]:
    """One video track alone, so that a render shows what lies on it and nothing over it."""
    before = {
        number: bool(timeline.GetIsTrackEnabled("video", number))
        for number in range(1, timeline.GetTrackCount("video") + 1)
    }
    try:
        for number, enabled in before.items():
            if enabled != (number == track):
                timeline.SetTrackEnable("video", number, number == track)
        yield
    finally:
        for number, enabled in before.items():
            if bool(timeline.GetIsTrackEnabled("video", number)) != enabled:
                timeline.SetTrackEnable("video", number, enabled)


@contextmanager
def render_settings(project: Project, timeline: Timeline) -> Iterator[None]:
    """The settings of the Deliver page. They cannot be read: they are kept as a preset, and loaded from it."""
    shape = project.GetCurrentRenderFormatAndCodec() or {}
    mode = project.GetCurrentRenderMode()
    marks = timeline.GetMarkInOut() if can(timeline, "GetMarkInOut") else None
    project.DeleteRenderPreset(_KEPT_SETTINGS)  # of a run that died
    kept = project.SaveAsNewRenderPreset(_KEPT_SETTINGS)
    try:
        yield
    finally:
        if kept:
            project.LoadRenderPreset(_KEPT_SETTINGS)
            project.DeleteRenderPreset(_KEPT_SETTINGS)
        if shape.get("format"):
            project.SetCurrentRenderFormatAndCodec(shape["format"], shape.get("codec", ""))
        project.SetCurrentRenderMode(mode)
        _restore_marks(timeline, marks)


@contextmanager
def take_selected(item: TimelineItem, index: int) -> Iterator[None]:
    """Another take of a clip for a while; 0 leaves it as it is."""
    before = int(item.GetSelectedTakeIndex() or 0)
    change = index > 0 and index != before
    if change:
        item.SelectTakeByIndex(index)
    try:
        yield
    finally:
        if change and before:
            item.SelectTakeByIndex(before)


def _restore_marks(timeline: Timeline, marks: object) -> None:
    """A render may leave its own in and out points on the timeline."""
    if marks is None or timeline.GetMarkInOut() == marks:
        return
    timeline.ClearMarkInOut("all")
    for kind, edge in marks.items() if isinstance(marks, dict) else ():
        if isinstance(edge, dict) and "in" in edge and "out" in edge:
            timeline.SetMarkInOut(edge["in"], edge["out"], kind)


@contextmanager
def current_timeline(project: Project, timeline: Timeline) -> Iterator[None]:
    """A timeline as the current one for a while: renders and new clips go to whichever is current."""
    before = project.GetCurrentTimeline()
    change = before is None or before.GetUniqueId() != timeline.GetUniqueId()
    if change and not project.SetCurrentTimeline(timeline):
        raise Refused("The timeline {} cannot be opened".format(timeline.GetName()), "Open it, then try again")
    try:
        yield
    finally:
        if change and before is not None:
            project.SetCurrentTimeline(before)
