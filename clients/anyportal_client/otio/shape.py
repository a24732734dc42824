"""The cut in the shape that Resolve reads, and every host with it: plain paths, ranges on all media, absolute times.

A clip's source range counts in the time of its media, from their timecode, where hosts count from the first frame too;
each reference says what it has; a sequence is one, however it was written. What a clip shows does not change by that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.media import Media, describe, local_path
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import Plan, plate_key, plate_of
from anyportal_client.otio.probes import MediaProblem, Probes
from anyportal_client.otio.surroundings import clips_of, timelines_of
from anyportal_client.otio.timing import Extent, Times, exact_rate, find_span, rescale, same_rate, sensible
from anyportal_client.patterns import counter_of

_WEB = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:", re.IGNORECASE)


def as_timeline(root: Any) -> Any:
    """What was read as a timeline: the only one of a collection, or a new one around a clip, track or stack."""
    if isinstance(root, otio.schema.SerializableCollection):
        inside = timelines_of(root)
        alone = len(inside) == 1 and len(clips_of(inside[0])) == len(clips_of(root))
        return inside[0] if alone else root
    if isinstance(root, otio.schema.Timeline):
        return root
    timeline = otio.schema.Timeline(root.name)
    if isinstance(root, otio.schema.Stack):
        timeline.tracks = root
        return timeline
    track = root if isinstance(root, otio.schema.Track) else otio.schema.Track("Video 1", children=[root])
    timeline.tracks.append(track)
    return timeline


def shape(plan: Plan, places: Places, probes: Probes | None = None) -> Plan:
    """Bring the plan's timeline into shape; gives the plan with it. The timeline itself is changed: call it once.

    Args:
        plan: its shots tell what media have.
        places: where relative paths of the timeline start.
        probes: what files of clips have that are not planned.
    """
    root = as_timeline(plan.timeline)
    known = {id(shot.clip): shot.media for shot in plan.shots if shot.media is not None}
    for timeline in timelines_of(root):
        _name_tracks(timeline)
        if timeline.global_start_time is None:
            timeline.global_start_time = otio.opentime.RationalTime(0, _rate_of(timeline))
    for clip in clips_of(root):
        _shape_clip(clip, known, places, probes or Probes())
    notes = plan.notes
    if isinstance(root, otio.schema.SerializableCollection):
        many = f"the cut holds {len(timelines_of(root))} timelines: Resolve reads one a file, so export them one by one"
        notes = (*notes, many)
    return Plan(root, plan.shots, notes)


def _rate_of(timeline: Any) -> float:
    for clip in timeline.find_clips():
        if clip.source_range is not None and clip.source_range.start_time.rate > 0:
            return float(clip.source_range.start_time.rate)
    return 24.0


def _name_tracks(timeline: Any) -> None:
    count: dict[str, int] = {}
    for track in timeline.tracks:
        if isinstance(track, otio.schema.Track):
            kind = track.kind or "Video"
            count[kind] = count.get(kind, 0) + 1
            track.name = track.name or f"{kind} {count[kind]}"


def _shape_clip(clip: Any, known: Mapping[int, Media], places: Places, probes: Probes) -> None:
    media = known.get(id(clip))
    if media is None:
        try:
            media = describe(plate_of(clip), places, probes)
        except (MediaProblem, otio.exceptions.OTIOError, ValueError, TypeError, ArithmeticError, OSError):
            media = None
    references = clip.media_references()
    plate = plate_key(clip)
    for key, reference in references.items():
        _plain_path(reference, places)
        if key == plate and media is not None:
            references[key] = _with_extent(reference, media)
    if media is not None and media.extent is not None:
        _count_absolutely(clip, media.extent)
    for reference in references.values():
        if reference.available_range is None and clip.source_range is not None:
            reference.available_range = clip.source_range  # the least that it has, by the timeline's word
    if references:
        clip.set_media_references(references, clip.active_media_reference_key)


def _plain_path(reference: Any, places: Places) -> None:
    """A path as Resolve reads it: bare, and absolute, since the new timeline lies in another folder."""
    sequence = isinstance(reference, otio.schema.ImageSequenceReference)
    url = reference.target_url_base if sequence else getattr(reference, "target_url", "")
    if _WEB.match(url) or (not url and not sequence):
        return
    try:
        path = places.here(local_path(url or ".", places.base.absolute())).as_posix()
    except MediaProblem:
        return
    if sequence:
        reference.target_url_base = path if path.endswith("/") else f"{path}/"
    else:
        reference.target_url = path


def _with_extent(reference: Any, media: Media) -> Any:
    """The plate's reference with the path where it was found and the range it has."""
    linked = _relinked(reference, media) if not media.missing else reference
    extent = media.extent
    if extent is not None and extent.rate and linked.available_range is None:
        linked.available_range = _range(extent)
        if media.sequence:
            linked.start_frame = extent.start  # the frame of that range's start
    return linked


def _relinked(reference: Any, media: Media) -> Any:
    """One that names the file or the sequence that was found, of the right kind, with all else that it says."""
    if not media.sequence:
        if isinstance(reference, otio.schema.ExternalReference):
            reference.target_url = media.path.as_posix()
            return reference
        return _like(otio.schema.ExternalReference(media.path.as_posix()), reference)
    if isinstance(reference, otio.schema.ImageSequenceReference):
        reference.target_url_base = f"{media.path.parent.as_posix().rstrip('/')}/"
        return reference
    extent = media.extent
    made = sequence_reference(media.path, extent.start if extent else 0, extent.rate if extent else 0.0)
    like = _like(made, reference)
    if extent is not None and extent.rate:
        like.available_range = _range(extent)  # from the frame that it names as its first
    return like


def _like(made: Any, reference: Any) -> Any:
    if reference is not None:
        made.name = reference.name
        made.available_range = reference.available_range
        made.metadata.update(reference.metadata)
    return made


def sequence_reference(pattern: Path, first: int, rate: float) -> Any:
    """An image sequence for a printf pattern."""
    counter = counter_of(pattern.name)
    if counter is None:
        raise ValueError(f"{pattern} has no place for a number")
    return otio.schema.ImageSequenceReference(
        target_url_base=f"{pattern.parent.as_posix().rstrip('/')}/",
        name_prefix=pattern.name[: counter.start()],
        name_suffix=pattern.name[counter.end() :],
        start_frame=first,
        rate=rate or 24.0,
        frame_zero_padding=int(counter[1] or 1),
    )


def _range(extent: Extent) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(extent.origin, extent.rate), time(extent.count, extent.rate))


def _count_absolutely(clip: Any, extent: Extent) -> None:
    """A source range, and markers, that count from the media's first frame count from its timecode now."""
    if clip.source_range is None:
        if clip.media_reference.available_range is not None:
            clip.source_range = clip.media_reference.available_range
        elif extent.rate:
            clip.source_range = _range(extent)
        return
    start, duration = clip.source_range.start_time, clip.source_range.duration
    if not sensible(start.value, start.rate, duration.value, duration.rate) or not extent.rate:
        return
    source = Times(start.value, duration.rescaled_to(start.rate).value, start.rate)
    span = find_span(source, extent)
    shift = 0.0 if span is None else extent.origin - extent.start - span.origin
    if abs(shift) > 0:
        offset = otio.opentime.RationalTime(rescale(shift, extent.rate, start.rate), start.rate)
        clip.source_range = otio.opentime.TimeRange(start + offset, duration)
        for marker in clip.markers:
            marked = marker.marked_range
            marker.marked_range = otio.opentime.TimeRange(marked.start_time + offset, marked.duration)


def tidy_rate(rate: float) -> float:
    """A rate as timecodes know it: 23.976024627685547 is 24000/1001."""
    exact = float(exact_rate(rate)) if rate > 0 else rate
    return exact if same_rate(exact, rate) else rate
