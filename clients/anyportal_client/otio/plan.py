"""The plan of a batch: which clips, which frames of which media, with which request, and what is left out and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.media import Media, describe, locate
from anyportal_client.otio.outcomes import Result
from anyportal_client.otio.places import Places
from anyportal_client.otio.probes import MediaProblem, Probes
from anyportal_client.otio.requests import VERSION_KEY, Request, RequestProblem, carried, read_request
from anyportal_client.otio.retimes import Retime, retime_of
from anyportal_client.otio.surroundings import Placed, placed_clips
from anyportal_client.otio.timing import Extent, Span, Times, find_span, sensible, snap_ceil
from anyportal_client.request import IMAGE_ENDINGS, MOVIE_ENDINGS

COMMAND_LINE = "command line"
"""The origin of values that clips and markers do not say themselves."""

_LONGEST_NAME = 120
"""In bytes: the names of files are made of it, and a disk takes 255."""


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
        same_as: the name of the shot whose result it takes: same media and request, and frames that overlap.
        covers: first and last frame to process where other shots take the result as well; None for its own alone.
        reused: the result of an earlier run, where nothing has changed since.
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
    covers: tuple[int, int] | None = None
    reused: Result | None = None

    @property
    def frames(self) -> str:
        """The frames to deliver for this clip, handles included, as ``first-last``."""
        return _as_text(self.span.frames) if self.span else ""

    @property
    def processed(self) -> tuple[int, int]:
        """First and last frame of the job: its own, and those of the shots that take its result."""
        if self.span is None:
            raise ValueError(f"{self.name} has no frames")
        return self.covers or self.span.frames

    @property
    def range(self) -> str:
        """The frames of the job, as ``first-last``."""
        return _as_text(self.processed)


def _as_text(frames: tuple[int, int]) -> str:
    first, last = frames
    return f"{first}-{last}" if first != last else f"{first}"


@dataclass(frozen=True)
class Plan:
    """All shots of a timeline that are asked for, in the order of the cut.

    Args:
        notes: what somebody should know of the timeline as a whole.
    """

    timeline: Any = field(repr=False)
    shots: tuple[PlannedShot, ...]
    notes: tuple[str, ...] = ()

    @property
    def jobs(self) -> list[PlannedShot]:
        """The shots to run: not skipped, not there already, and not sharing another shot's result."""
        return [shot for shot in self.shots if not (shot.problem or shot.same_as or shot.reused)]


def make_plan(
    timeline: Any,
    places: Path | Places,
    defaults: Mapping[str, Any] | None = None,
    probes: Probes | None = None,
    notes: tuple[str, ...] = (),
) -> Plan:
    """Plan every clip that carries a request, or every clip where the defaults name a backdrop.

    Each shot is planned by itself here; `share` says which are one job.

    Args:
        timeline: whatever OTIO read: a timeline, a stack, a track, a single clip.
        places: the timeline's folder, where its relative paths start, or more than that.
        defaults: the command line's request; relative paths in it are taken as they are.
        probes: what media files have.
        notes: what somebody should know of the timeline.
    """
    planner = _Planner(places if isinstance(places, Places) else Places(places), defaults or {}, probes or Probes())
    asked = [placed for placed in placed_clips(timeline) if planner.asks(placed)]
    left: dict[str, list[str]] = {}
    for placed in asked:
        if placed.left_out:
            left.setdefault(placed.left_out, []).append(placed.clip.name or "a clip without a name")
    asked = [placed for placed in asked if not placed.left_out]
    notes = (*notes, *(f"left out, since {_are(names)} {why}: {_listed(names)}" for why, names in left.items()))
    planner.look_ahead(asked)
    names: set[str] = set()
    shots = [planner.plan(PlannedShot(_name(each.clip, names), each.clip, each.track), each) for each in asked]
    planner.probes.keep()
    return Plan(timeline, tuple(shots), notes)


def _are(names: list[str]) -> str:
    return "they are" if len(names) > 1 else "it is"


def _listed(names: list[str]) -> str:
    counts = Counter(names)
    return ", ".join(f"{name} ({count} times)" if count > 1 else name for name, count in counts.items())


def plate_key(clip: Any) -> str:
    """The key of the reference to a clip's plate: the active one, unless that is a result of an earlier run."""
    plates = [key for key in clip.media_references() if not VERSION_KEY.fullmatch(key)]
    active = str(clip.active_media_reference_key)
    return active if active in plates else next(iter(plates), "")


def plate_of(clip: Any) -> Any:
    """The reference to a clip's plate; None where it has none."""
    return clip.media_references().get(plate_key(clip))


def titles_of(clip: Any) -> tuple[str, ...]:
    """What a clip's media may be called where no file is named: as the reference, the clip, or an EDL's reel."""
    about = clip.metadata.get("cmx_3600")
    reel = about.get("reel", "") if hasattr(about, "get") else ""
    names = (getattr(plate_of(clip), "name", ""), clip.name, reel)
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name.strip()))


class _Planner:
    def __init__(self, places: Places, defaults: Mapping[str, Any], probes: Probes) -> None:
        self._places = places
        self._defaults = defaults
        self.probes = probes

    def asks(self, placed: Placed) -> bool:
        if self._defaults.get("backdrop"):
            return True
        try:
            return bool(carried(placed.clip) or placed.requests())
        except RequestProblem:
            return True  # the plan says what is wrong with it

    def look_ahead(self, asked: list[Placed]) -> None:
        self.probes.look_ahead(found for placed in asked if (found := self._place(placed.clip)) is not None)

    def _place(self, clip: Any) -> tuple[Path, bool] | None:
        try:
            found = locate(plate_of(clip), self._places)
        except (MediaProblem, ValueError):
            return None
        return found.path, found.sequence

    def plan(self, shot: PlannedShot, placed: Placed) -> PlannedShot:
        """Fill a shot in as far as it goes; what stands in the way becomes its ``problem``."""
        try:
            asked = [(COMMAND_LINE, self._defaults), *placed.requests(), *carried(shot.clip)]
            request, origins = read_request(asked, self._places.base)
            shot = replace(shot, request=request, origins=origins)
            media = describe(plate_of(shot.clip), self._places, self.probes, titles_of(shot.clip))
            shot = replace(shot, media=media, problem=media.missing, notes=(media.note,) if media.note else ())
            return shot if media.extent is None else _with_frames(shot, placed, media.extent, request)
        except (RequestProblem, MediaProblem) as problem:
            return replace(shot, problem=str(problem))
        except (otio.exceptions.OTIOError, ValueError, TypeError, ArithmeticError, OSError) as error:
            return replace(shot, problem=f"the clip cannot be planned: {str(error) or type(error).__name__}")


def _with_frames(shot: PlannedShot, placed: Placed, extent: Extent, request: Request) -> PlannedShot:
    assert shot.media is not None
    source = _source(shot.clip, extent)
    extent = extent if extent.rate else replace(extent, rate=source.rate)
    shot = replace(shot, media=replace(shot.media, extent=extent))
    retime = retime_of(shot.clip, placed.parents)
    span = _with_range(_span(shot.clip, source, extent, retime, request.handles), request.range, extent)
    return replace(shot, span=span, notes=(*shot.notes, *_notes(span, retime)))


def _source(clip: Any, extent: Extent) -> Times:
    stated = clip.source_range
    if stated is None:
        if not extent.rate:
            raise MediaProblem("neither the clip nor its image sequence says a frame rate: give the clip a range")
        return Times(extent.origin, extent.count, extent.rate)
    start, duration = stated.start_time, stated.duration
    if not sensible(start.value, start.rate, duration.value, duration.rate):
        raise MediaProblem(
            f"the clip's range makes no sense: {duration.value:g} frames at {duration.rate:g} a second,"
            f" from {start.value:g} at {start.rate:g}"
        )
    if duration.value <= 0:
        raise MediaProblem("the clip has a length of 0: it shows nothing")
    return Times(start.value, duration.rescaled_to(start.rate).value, start.rate)


def _span(clip: Any, source: Times, extent: Extent, retime: Retime, handles: int) -> Span:
    dissolves = _dissolves(clip, source.rate)
    span = find_span(retime.reached(source), extent, retime.speed, (handles, handles), dissolves)
    if span is None:
        raise MediaProblem(
            f"the clip shows frames from {source.start:g} on, the media have"
            f" {extent.origin:g} to {extent.origin + extent.count - 1:g}"
        )
    return span


def _dissolves(clip: Any, rate: float) -> tuple[int, int]:
    """Record frames that the dissolves at the clip's ends show beyond its range, in frames of the clip's own rate."""
    track = clip.parent()
    if not isinstance(track, otio.schema.Track):
        return 0, 0
    offsets = track.handles_of_child(clip)
    before, after = (max(0, snap_ceil(offset.rescaled_to(rate).value)) if offset else 0 for offset in offsets)
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


def _notes(span: Span, retime: Retime) -> tuple[str, ...]:
    found = [f"the clip shows {span.outside} frames that the media have not"] if span.outside else []
    if retime.changes:
        found.append("its speed changes over time: all frames that it passes are processed, at the speed of the media")
    return tuple(found)


def _name(clip: Any, taken: set[str]) -> str:
    """A name for the clip that is fit for files and not taken yet."""
    title = Path((clip.name or "shot").replace("\0", ""))
    plain = title.stem if title.suffix.lower() in IMAGE_ENDINGS | MOVIE_ENDINGS else title.name
    fit = re.sub(r"[^\w.-]+", "_", plain).encode()[:_LONGEST_NAME].decode(errors="ignore")
    base = fit.strip("._") or "shot"
    name, count = base, 1
    while name.lower() in taken:
        count += 1
        name = f"{base}_{count}"
    taken.add(name.lower())
    return name
