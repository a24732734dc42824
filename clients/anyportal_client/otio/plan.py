"""The plan of a batch: which clips, which frames of which media, with which request, and what is left out and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.media import Media, MediaProblem, describe
from anyportal_client.otio.requests import VERSION_KEY, Request, RequestProblem, carried, read_request
from anyportal_client.otio.timing import Extent, Span, Times, find_span
from anyportal_client.request import IMAGE_ENDINGS, MOVIE_ENDINGS

COMMAND_LINE = "command line"
"""The origin of values that clips and markers do not say themselves."""


@dataclass(frozen=True)
class PlannedShot:
    """One clip of the timeline that is to be processed.

    Args:
        name: unique in the plan, fit for file names.
        clip: the OTIO clip.
        track: the name of the track it lies on.
        media: its plate; None where it has none.
        span: the frames; None where they cannot be told.
        request: what is to be done; None where the request cannot be read.
        origins: where each value of the request was said.
        problem: why it is skipped; empty where it is not.
        notes: what somebody should know.
        same_as: the name of an earlier shot with the same media, frames and request, whose result it takes.
    """

    name: str
    clip: Any = field(repr=False)
    track: str = ""
    media: Media | None = None
    span: Span | None = None
    request: Request | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    notes: tuple[str, ...] = ()
    same_as: str = ""

    @property
    def frames(self) -> str:
        """The frames to process, handles included, as ``first-last``."""
        if self.span is None:
            return ""
        first, last = self.span.frames
        return f"{first}-{last}" if first != last else f"{first}"


@dataclass(frozen=True)
class Plan:
    """All shots of a timeline that are asked for, in the order of the cut."""

    timeline: Any = field(repr=False)
    shots: tuple[PlannedShot, ...]

    @property
    def jobs(self) -> list[PlannedShot]:
        """The shots to run: not skipped, and not sharing an earlier shot's result."""
        return [shot for shot in self.shots if not shot.problem and not shot.same_as]


def make_plan(timeline: Any, base: Path, defaults: Mapping[str, Any] | None = None) -> Plan:
    """Plan every clip that carries a request, or every clip where the defaults name a backdrop.

    Args:
        timeline: whatever OTIO read: a timeline, a stack, a track, a single clip.
        base: the timeline's folder; relative paths in it start there.
        defaults: the command line's request; relative paths in it are taken as they are.
    """
    defaults = defaults or {}
    shots: list[PlannedShot] = []
    seen: dict[Any, str] = {}
    names: set[str] = set()
    for clip, track in _clips(timeline):
        if not defaults.get("backdrop") and not _asks(clip):
            continue
        shot = _plan_clip(PlannedShot(_name(clip, names), clip, track), base, defaults)
        if not shot.problem and shot.span and shot.media:
            key = (shot.media.path, shot.span.frames, repr(shot.request))
            first = seen.setdefault(key, shot.name)
            shot = shot if first == shot.name else replace(shot, same_as=first)
        shots.append(shot)
    return Plan(timeline, tuple(shots))


def plate_of(clip: Any) -> Any:
    """The reference to a clip's plate: the active one, unless that is a result of an earlier run."""
    plates = {key: plate for key, plate in clip.media_references().items() if not VERSION_KEY.fullmatch(key)}
    active = clip.active_media_reference_key
    return plates[active] if active in plates else next(iter(plates.values()), None)


def _clips(timeline: Any) -> Iterator[tuple[Any, str]]:
    """The enabled video clips with the name of their track, in the order of the cut."""
    if isinstance(timeline, otio.schema.Clip):
        yield timeline, ""
        return
    for clip in timeline.find_clips():
        parents = list(_parents(clip))
        tracks = [parent for parent in parents if isinstance(parent, otio.schema.Track)]
        if clip.enabled and all(p.enabled for p in parents) and all(t.kind == "Video" for t in tracks):
            yield clip, tracks[0].name if tracks else ""


def _parents(clip: Any) -> Iterator[Any]:
    parent = clip.parent()
    while parent is not None:
        yield parent
        parent = parent.parent()


def _asks(clip: Any) -> bool:
    try:
        return bool(carried(clip))
    except RequestProblem:
        return True  # the plan says what is wrong with it


def _plan_clip(shot: PlannedShot, base: Path, defaults: Mapping[str, Any]) -> PlannedShot:
    """Fill a shot in as far as it goes; what stands in the way becomes its ``problem``."""
    try:
        request, origins = _request(shot.clip, base, defaults)
        shot = replace(shot, request=request, origins=origins)
        media = describe(plate_of(shot.clip), base)
        shot = replace(shot, media=media, problem=media.missing)
        if media.extent is None:
            return shot
        source = _source(shot.clip, media.extent)
        extent = media.extent if media.extent.rate else replace(media.extent, rate=source.rate)
        shot = replace(shot, media=replace(media, extent=extent))
        span = _span(shot.clip, source, extent, request.handles)
        span = _with_range(span, request.range, extent)
        return replace(shot, span=span, notes=_notes(span))
    except (RequestProblem, MediaProblem) as problem:
        return replace(shot, problem=str(problem))


def _request(clip: Any, base: Path, defaults: Mapping[str, Any]) -> tuple[Request, dict[str, str]]:
    own = carried(clip)
    return read_request([(COMMAND_LINE, defaults), *own], base)


def _source(clip: Any, extent: Extent) -> Times:
    if clip.source_range is None:
        return Times(extent.origin, extent.count, extent.rate)
    start, duration = clip.source_range.start_time, clip.source_range.duration
    return Times(start.value, duration.rescaled_to(start.rate).value, start.rate)


def _span(clip: Any, source: Times, extent: Extent, handles: int) -> Span:
    before, after = _dissolves(clip)
    span = find_span(source, extent, _speed(clip), (handles + before, handles + after))
    if span is None:
        raise MediaProblem(
            f"the clip shows frames from {source.start:g} on, the media have"
            f" {extent.origin:g} to {extent.origin + extent.count - 1:g}"
        )
    return span


def _speed(clip: Any) -> float:
    """The product of all constant retimes on the clip; a retime around it cannot be carried to one clip."""
    for parent in _parents(clip):
        if any(isinstance(effect, otio.schema.TimeEffect) for effect in getattr(parent, "effects", ())):
            raise MediaProblem("the clip lies in a nested sequence that is retimed: bake the retime first")
    speed = 1.0
    for effect in clip.effects:
        if isinstance(effect, otio.schema.LinearTimeWarp):  # FreezeFrame is one, of speed 0
            speed *= effect.time_scalar
        elif isinstance(effect, otio.schema.TimeEffect):
            raise MediaProblem(
                f"the retime '{effect.effect_name or effect.name}' changes speed over time: bake it first"
            )
    return speed


def _dissolves(clip: Any) -> tuple[int, int]:
    """Record frames that the dissolves at the clip's ends show beyond its range."""
    track = clip.parent()
    if not isinstance(track, otio.schema.Track):
        return 0, 0
    before, after = (round(offset.value) if offset else 0 for offset in track.handles_of_child(clip))
    return before, after


def _with_range(span: Span, asked: str, extent: Extent) -> Span:
    """A span with the frames of the request's ``range`` as its handles."""
    if not asked:
        return span
    found = re.fullmatch(r"(-?\d+)(?:-(-?\d+))?", asked.replace(" ", ""))
    if not found:
        raise RequestProblem(f"the range '{asked}' is not one run of frames such as 1001-1100")
    first, last = int(found[1]), int(found[2] or found[1])
    if first > span.first or last < span.last:
        raise RequestProblem(f"the range {asked} leaves out frames that the clip shows: {span.first}-{span.last}")
    if first < extent.start or last >= extent.start + extent.count:
        end = extent.start + extent.count - 1
        raise RequestProblem(f"the range {asked} goes beyond the media, which have {extent.start}-{end}")
    return replace(span, head=span.first - first, tail=last - span.last)


def _notes(span: Span) -> tuple[str, ...]:
    return (f"the clip shows {span.outside} frames that the media have not",) if span.outside else ()


def _name(clip: Any, taken: set[str]) -> str:
    """A name for the clip that is fit for files and not taken yet."""
    title = Path(clip.name or "shot")
    plain = title.stem if title.suffix.lower() in IMAGE_ENDINGS | MOVIE_ENDINGS else title.name
    base = re.sub(r"[^\w.-]+", "_", plain).strip("._") or "shot"
    name, count = base, 1
    while name.lower() in taken:
        count += 1
        name = f"{base}_{count}"
    taken.add(name.lower())
    return name
