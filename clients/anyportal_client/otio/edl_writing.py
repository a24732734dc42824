"""EDLs, written by their adapter and mended behind it.

The adapter divides by speeds where it should multiply, cannot write a freeze, and takes the files of a retimed sequence
from a range that it does not have. So it is given a cut without retimes, with the files named; the retimes are written
into its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.adapters import write_file
from anyportal_client.otio.surroundings import clips_of
from anyportal_client.otio.timing import rescale

_MARK = "ANYPORTAL CLIP "
_NO_REELS = {"BL", "BLACK"}


def write_edl(timeline: Any, path: Path) -> None:
    """Write a cut of one video track; it is changed on the way.

    Raises:
        ValueError: it has a retime that the format cannot have.
        Exception: whatever the adapter lets through.
    """
    rate = rate_of(timeline)
    clips = clips_of(timeline)
    speeds = [_taken_speed(clip) for clip in clips]
    by_id = dict(zip(map(id, clips), speeds, strict=True))
    for track in timeline.tracks:
        _blend_from_the_cut(track, by_id)
    for number, (clip, speed) in enumerate(zip(clips, speeds, strict=True)):
        _name_files(clip, speed)
        about = dict(clip.metadata.get("cmx_3600", {}))
        clip.metadata["cmx_3600"] = {**about, "comments": [*about.get("comments", ()), f"{_MARK}{number}"]}
    ranges = [clip.trimmed_range() for clip in clips]
    write_file(timeline, path, "cmx_3600")
    written = list(_events(path.read_text("utf-8")))
    path.write_text("\n".join(line for each in written for line in _mended(each, ranges, speeds, rate)) + "\n", "utf-8")


def rate_of(timeline: Any) -> float:
    """The rate that an EDL of this cut counts in."""
    return float(timeline.tracks[0].duration().rate)


def _taken_speed(clip: Any) -> float:
    """The constant retime of a clip, which has none afterwards."""
    constant = [effect for effect in clip.effects if isinstance(effect, otio.schema.LinearTimeWarp)]
    if any(isinstance(effect, otio.schema.TimeEffect) and effect not in constant for effect in clip.effects):
        raise ValueError(f"the clip '{clip.name}' has a retime that is not constant, or cannot be followed")
    clip.effects[:] = [effect for effect in clip.effects if effect not in constant]
    return math.prod(float(effect.time_scalar) for effect in constant)


def _blend_from_the_cut(track: Any, speeds: dict[int, float]) -> None:
    """Move each cut to where its dissolve begins, as EDLs count: by so many frames of the media as are shown there."""
    for place, blend in enumerate(track):
        if not isinstance(blend, otio.schema.Transition) or not blend.in_offset.value:
            continue
        before, after, shift = place - 1, place + 1, blend.in_offset
        if before >= 0:
            speed = speeds.get(id(track[before]), 1.0)
            _move(track[before], max(0.0, -speed), -shift, shift)
        if after < len(track):
            _move(track[after], -max(0.0, speeds.get(id(track[after]), 1.0)), shift, shift)
        blend.out_offset, blend.in_offset = blend.out_offset + shift, otio.opentime.RationalTime(0, shift.rate)


def _move(item: Any, times: float, longer: Any, shift: Any) -> None:
    given = item.trimmed_range()
    start = given.start_time.value + times * shift.rescaled_to(given.start_time.rate).value
    moved = otio.opentime.RationalTime(start, given.start_time.rate)
    item.source_range = otio.opentime.TimeRange(moved, given.duration + longer)


def _name_files(clip: Any, speed: float) -> None:
    """An image sequence by the files of it that are shown: ``plate.[1001-1010].exr``."""
    reference = clip.media_reference
    if not isinstance(reference, otio.schema.ImageSequenceReference) or reference.available_range is None:
        return
    available, source = reference.available_range, clip.trimmed_range()
    rate = available.start_time.rate
    first = reference.start_frame + math.floor(source.start_time.rescaled_to(rate).value - available.start_time.value)
    last = first + max(1, math.ceil(abs(speed) * source.duration.rescaled_to(rate).value)) - 1
    end = reference.start_frame + round(available.duration.value) - 1
    width = reference.frame_zero_padding
    first, last = min(max(first, reference.start_frame), end), min(max(last, reference.start_frame), end)
    name = f"{reference.name_prefix}[{first:0{width}d}-{last:0{width}d}]{reference.name_suffix}"
    named = otio.schema.ExternalReference(f"{reference.target_url_base}{name}", available, reference.metadata)
    clip.set_media_references({"DEFAULT_MEDIA": named}, "DEFAULT_MEDIA")


def _events(text: str) -> Iterator[list[str]]:
    """The lines of the head, then of each event."""
    lines: list[str] = []
    for line in text.splitlines():
        begins = line[:1].isdigit() and not (lines and lines[-1][:1].isdigit())
        if begins and lines:
            yield lines
            lines = []
        lines.append(line)
    yield lines


def _mended(event: list[str], ranges: list[Any], speeds: list[float], rate: float) -> Iterator[str]:
    """An event with its clip's retime: how much of the source it takes, and a line for the speed."""
    marks = [int(line.rpartition(_MARK)[2]) for line in event if _MARK in line]
    last = max((place for place, line in enumerate(event) if line[:1].isdigit()), default=-1)
    fields = event[last].split() if marks else []
    own = marks[-1] if fields and fields[1] not in _NO_REELS else None
    for place, line in enumerate(event):
        if _MARK in line:
            continue
        if place != last or own is None or speeds[own] == 1:
            yield line
            continue
        speed, source = speeds[own], ranges[own]
        length = max(1, round(abs(speed) * rescale(source.duration.value, source.duration.rate, rate)))
        start = source.start_time.rescaled_to(rate)
        one = otio.opentime.RationalTime(length, rate)
        yield line.replace(" ".join(fields[-4:-2]), f"{fields[-4]} {_timecode(start + one, rate)}", 1)
        begin = start + one - otio.opentime.RationalTime(1, rate) if speed < 0 else start
        frames = speed * (round(rate) if abs(rate - round(rate)) < 0.1 else rate)
        yield f"M2   {fields[1]:8} {'-' * (frames < 0)}{abs(frames):05.1f}                {_timecode(begin, rate)}"


def _timecode(time: Any, rate: float) -> str:
    return str(otio.opentime.to_timecode(time, rate))
