"""Write a timeline in which each processed clip keeps its plate and has the result as a further version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.media import locate
from anyportal_client.otio.outcomes import Result, version_name
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import Plan, PlannedShot
from anyportal_client.otio.probes import MediaProblem
from anyportal_client.otio.requests import METADATA, VERSION_KEY, plain
from anyportal_client.otio.shape import sequence_reference
from anyportal_client.otio.surroundings import clips_of
from anyportal_client.patterns import is_pattern


def output_path(timeline: Path, folder: Path) -> Path:
    """Where the timeline goes: ``cut.otio`` becomes ``cut_anyportal.otio``, and stays that on further runs."""
    return folder / f"{timeline.stem.removesuffix('_anyportal')}_anyportal.otio"


def add_versions(plan: Plan, results: Mapping[str, Result]) -> None:
    """Give each clip that has a result its new version; the plan's timeline is changed.

    Args:
        plan: its timeline in shape; its shots hold the clips.
        results: by name of shot; a shot that shares another's result finds it under that one's name.
    """
    for shot in plan.shots:
        result = results.get(shot.same_as or shot.name)
        if result is not None:
            add_version(shot.clip, shot, result)


def write_timeline(timeline: Any, path: Path) -> None:
    """Write a timeline as ``.otio``: aside, then renamed."""
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(otio.adapters.write_to_string(timeline, "otio_json"), encoding="utf-8")
    aside.replace(path)


def add_version(clip: Any, shot: PlannedShot, result: Result) -> None:
    """Add a result to a clip as a further media reference and make it the active one.

    Its ``available_range`` counts in the time of the plate, so the clip's source range stays right as it is.
    """
    if shot.media is None or shot.media.extent is None:
        raise ValueError(f"{shot.name} has no frames")
    extent = shot.media.extent
    first, last = result.frames
    time = otio.opentime.RationalTime
    origin = extent.origin - extent.start + first
    reference = _reference(result.picture.absolute(), first, extent.rate)
    reference.name = result.picture.name
    reference.available_range = otio.opentime.TimeRange(time(origin, extent.rate), time(last - first + 1, extent.rate))
    reference.metadata[METADATA] = {
        **plain(dict(result.metadata)),
        "files": {layer: file.absolute().as_posix() for layer, file in result.files.items()},
    }
    references = clip.media_references()
    key = _key(references, result)
    clip.set_media_references({**references, key: reference}, key)


def _key(references: Mapping[str, Any], result: Result) -> str:
    """The version's own number, unless the clip has another result under it: then the next that is free."""
    numbers = {int(found[1]): key for key in references if (found := VERSION_KEY.fullmatch(key))}
    for number, key in numbers.items():
        if _points_at(references[key], result.picture.absolute()):
            return f"anyportal_{version_name(number)}"
    free = result.version if result.version not in numbers else max(numbers) + 1
    return f"anyportal_{version_name(free)}"


def _points_at(reference: Any, path: Path) -> bool:
    try:
        return locate(reference, Places(path.parent)).path == path
    except MediaProblem:
        return False


def _reference(picture: Path, first: int, rate: float) -> Any:
    """A bare-path reference, as Resolve reads it: a sequence for a printf pattern, else one file."""
    if is_pattern(picture):
        return sequence_reference(picture, first, rate)
    return otio.schema.ExternalReference(picture.as_posix())


def carry_versions(plan: Plan, earlier: Any, *, show: bool = True) -> None:
    """Take over the versions that an earlier run gave to the same clips: same name, same plate, frames in common.

    Of several such clips the one with the very same range is taken, else the next in the order of the cut.

    Args:
        plan: its timeline in shape.
        show: a clip that showed one of them goes on showing it, where that has all frames: whatever becomes of this
            run, a finished cut stays finished.
    """
    left: dict[tuple[str, str], list[Any]] = {}
    for clip in clips_of(earlier):
        left.setdefault(_kind(clip), []).append(clip)
    waiting = clips_of(plan.timeline)
    for alike in (_same_range, _overlapping):
        rest = []
        for clip in waiting:
            candidates = left.get(_kind(clip), [])
            found = next((each for each in candidates if alike(clip, each)), None)
            if found is None:
                rest.append(clip)
            else:
                candidates.remove(found)
                _take_over(clip, found, show)
        waiting = rest


def _same_range(one: Any, other: Any) -> bool:
    return bool(one.source_range == other.source_range)


def _overlapping(one: Any, other: Any) -> bool:
    if one.source_range is None or other.source_range is None:
        return True
    return bool(one.source_range.intersects(other.source_range))


def _take_over(clip: Any, earlier: Any, show: bool) -> None:
    references = clip.media_references()
    versions = {k: r.clone() for k, r in earlier.media_references().items() if VERSION_KEY.fullmatch(k)}
    active, before = clip.active_media_reference_key, earlier.active_media_reference_key
    if show and before in versions and not VERSION_KEY.fullmatch(active) and _has_all(versions[before], clip):
        active = before
    clip.set_media_references({**versions, **references}, active)


def _has_all(version: Any, clip: Any) -> bool:
    """Whether a version has the first and last frame of a clip. Its retime counts: what it leads beyond is not seen."""
    available, source = version.available_range, clip.source_range
    if available is None or source is None or clip.effects:
        return True
    frame = otio.opentime.RationalTime(1, available.start_time.rate)
    wide = otio.opentime.TimeRange(available.start_time - frame, available.duration + frame + frame)
    return bool(wide.contains(source))


def _kind(clip: Any) -> tuple[str, str]:
    plates = (r for k, r in clip.media_references().items() if not VERSION_KEY.fullmatch(k))
    return clip.name, next((_file_name(reference) for reference in plates), "")


def _file_name(reference: Any) -> str:
    url = getattr(reference, "target_url", "") or getattr(reference, "name_prefix", "")
    return re.split(r"[/\\]", url)[-1]
