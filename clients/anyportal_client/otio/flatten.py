"""A cut with one reference a clip, in the shape that a format's adapter takes: for formats that carry no versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.errors import UsageError
from anyportal_client.otio.adapters import write_file
from anyportal_client.otio.edl_writing import write_edl
from anyportal_client.otio.fcpx_writing import write_fcpx
from anyportal_client.otio.media import locate
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import plate_key
from anyportal_client.otio.probes import MediaProblem
from anyportal_client.otio.requests import VERSION_KEY
from anyportal_client.otio.shape import tidy_rate
from anyportal_client.otio.surroundings import clips_of
from anyportal_client.otio.timing import same_rate
from anyportal_client.patterns import file_of


@dataclass(frozen=True)
class Format:
    """A format to write beside the ``.otio``.

    Args:
        name: as `--export` takes it.
        title: as people call it.
        ending: of its files.
        adapter: OpenTimelineIO's name for what writes it.
        one_track: it has one video track: a file is written for each.
        sequences: it names image sequences as such.
        one_rate: the media of a clip have the clip's rate in it.
    """

    name: str
    title: str
    ending: str
    adapter: str
    one_track: bool = False
    sequences: bool = False
    one_rate: bool = False


FORMATS = {
    each.name: each
    for each in (
        Format("clip1", "OTIO for hosts that know one reference a clip", ".otio", "otio_json", sequences=True),
        Format("edl", "EDL (CMX 3600)", ".edl", "cmx_3600", one_track=True, sequences=True),
        Format("fcp7", "FCP 7 XML", ".xml", "fcp_xml"),
        Format("fcpx", "FCPX XML", ".fcpxml", "fcpx_xml"),
        Format("aaf", "AAF", ".aaf", "AAF", one_rate=True),
    )
}

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "clip1": {"target_schema_versions": {"Clip": 1}},
    "aaf": {"use_empty_mob_ids": True},
}


def read_formats(text: str) -> tuple[Format, ...]:
    """The formats of ``a,b``.

    Raises:
        UsageError: one nobody knows.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"there is no format '{name}'", where="--export", hint=f"known: {', '.join(FORMATS)}")
    return tuple(FORMATS[name] for name in dict.fromkeys(names))


def flattened(timeline: Any, version: int, wanted: Format) -> Any:
    """A copy in which each clip has one reference: its newest version up to this one, else its plate."""
    copy = timeline.clone()
    for clip in clips_of(copy):
        references = clip.media_references()
        numbers = {int(found[1]): key for key in references if (found := VERSION_KEY.fullmatch(key))}
        newest = max((number for number in numbers if number <= version), default=None)
        key = plate_key(clip) if newest is None else numbers[newest]
        if key:
            kept = references[key] if wanted.sequences else _as_file(references[key])
            clip.set_media_references({"DEFAULT_MEDIA": kept}, "DEFAULT_MEDIA")
    if wanted.adapter != "otio_json":
        _tidy(copy, wanted)
    return copy


def _as_file(reference: Any) -> Any:
    """A sequence named by its first file, for formats that know files alone."""
    if not isinstance(reference, otio.schema.ImageSequenceReference):
        return reference
    try:
        pattern = locate(reference, Places(Path("/"))).path
    except MediaProblem:
        return otio.schema.MissingReference(reference.name, reference.available_range)
    first = file_of(pattern, reference.start_frame)
    return otio.schema.ExternalReference(first.as_posix(), reference.available_range, reference.metadata)


def _tidy(timeline: Any, wanted: Format) -> None:
    """Rates and paths as adapters want them: rates of timecodes, whole frames, URLs."""
    for item in _timed(timeline):
        if item.source_range is not None:
            item.source_range = _tidy_range(item.source_range)
    for clip in clips_of(timeline):
        reference = clip.media_reference
        if reference is not None and reference.available_range is not None:
            rate = clip.trimmed_range().start_time.rate if wanted.one_rate else None
            reference.available_range = _tidy_range(reference.available_range, rate)
        if isinstance(reference, otio.schema.ExternalReference) and not wanted.one_track:
            path = Path(reference.target_url)
            reference.target_url = path.as_uri() if path.is_absolute() else reference.target_url
        for marker in clip.markers:
            marker.marked_range = _tidy_range(marker.marked_range)
    if isinstance(timeline, otio.schema.Timeline) and timeline.global_start_time is not None:
        timeline.global_start_time = _tidy_time(timeline.global_start_time)


def _timed(timeline: Any) -> Iterator[Any]:
    for item in timeline.find_children():
        if hasattr(item, "source_range"):
            yield item
        if isinstance(item, otio.schema.Transition):
            item.in_offset, item.out_offset = _tidy_time(item.in_offset), _tidy_time(item.out_offset)


def _tidy_range(given: Any, rate: float | None = None) -> Any:
    start, duration = given.start_time, given.duration
    if rate is not None and not same_rate(start.rate, rate):
        start, duration = start.rescaled_to(rate), duration.rescaled_to(rate)
    return otio.opentime.TimeRange(_tidy_time(start), _tidy_time(duration))


def _tidy_time(time: Any) -> Any:
    nearest = round(time.value)
    value = nearest if abs(time.value - nearest) <= 0.01 else time.value
    return otio.opentime.RationalTime(value, tidy_rate(time.rate))


def parts_of(timeline: Any, wanted: Format) -> Iterator[tuple[str, Any]]:
    """The files of a format: one, or one for each video track with the end of its name."""
    if not wanted.one_track or not isinstance(timeline, otio.schema.Timeline):
        yield "", timeline
        return
    places = [n for n, track in enumerate(timeline.tracks) if getattr(track, "kind", "Video") == "Video" and len(track)]
    for place in places:
        part = timeline.clone()
        for number in reversed(range(len(part.tracks))):
            if number != place:
                del part.tracks[number]
        yield f"_V{places.index(place) + 1}" if len(places) > 1 else "", part


def write_as(timeline: Any, wanted: Format, path: Path) -> None:
    """Write a flattened cut, aside and renamed; it is changed on the way.

    Raises:
        Exception: whatever its adapter lets through.
    """
    aside = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        if wanted.name == "edl":
            write_edl(timeline, aside)
        elif wanted.name == "fcpx":
            write_fcpx(timeline, aside)
        else:
            write_file(timeline, aside, wanted.adapter, **_ARGUMENTS.get(wanted.name, {}))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
