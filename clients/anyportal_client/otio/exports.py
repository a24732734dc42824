"""The cut in formats that carry one reference a clip: a file for each version, and beforehand what each would lose.

Nothing here is a list of what formats can do. Before a frame is sent, the cut is written by the adapter with results
in their places as they will be, and read back: what it cannot write, and what does not come back, is known then.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.errors import StorageError, UsageError
from anyportal_client.otio.inventory import Entry, inventory, losses
from anyportal_client.otio.media import locate
from anyportal_client.otio.outcomes import Result, version_name
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import Plan, PlannedShot, plate_key
from anyportal_client.otio.probes import MediaProblem
from anyportal_client.otio.requests import VERSION_KEY
from anyportal_client.otio.shape import tidy_rate
from anyportal_client.otio.surroundings import clips_of
from anyportal_client.otio.timing import same_rate
from anyportal_client.otio.write import add_version
from anyportal_client.patterns import file_of

_SEQUENCE_FORMATS = ("png", "exr")
_LONGEST_REASON = 300


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


@dataclass(frozen=True)
class Forecast:
    """What would become of the cut in a format.

    Args:
        losses: what does not come back from it, in words.
        certain: whether it could be read back at all.
    """

    format: Format
    losses: tuple[str, ...] = ()
    certain: bool = True

    def __str__(self) -> str:
        if not self.certain:
            return f"{self.format.title} is written, but its adapter cannot read it back: try it in the host first"
        if not self.losses:
            return f"{self.format.title}: everything comes back from it"
        return f"{self.format.title} will lose: {', '.join(self.losses)}"


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


def forecast(plan: Plan, formats: Iterable[Format]) -> list[Forecast]:
    """What each format would lose of this cut.

    Args:
        plan: its timeline in shape.

    Raises:
        UsageError: an adapter cannot write it; the hint says what to choose instead.
    """
    formats = list(formats)
    if not formats:
        return []
    rehearsed = _rehearsed(plan)
    whole = inventory(rehearsed)
    return [_compared(each, whole, _tried(rehearsed, each)) for each in formats]


def _compared(wanted: Format, before: Counter[Entry], after: Counter[Entry] | None) -> Forecast:
    if after is None:
        return Forecast(wanted, certain=False)
    return Forecast(wanted, tuple(losses(before, after)))


def write_exports(timeline: Any, formats: Iterable[Format], main: Path) -> tuple[list[Path], list[str]]:
    """Write a file for each format and version beside the timeline.

    Returns:
        The files, and what could not be written, in words.
    """
    written: list[Path] = []
    failed: list[str] = []
    for each in formats:
        for version in _versions(timeline):
            for part, cut in _parts(flattened(timeline, version, each), each):
                path = main.with_name(f"{main.stem}_{version_name(version)}{part}{each.ending}")
                try:
                    _write(cut, each, path)
                    written.append(path)
                except OSError:
                    raise
                except Exception as error:  # adapters let through whatever happens to them
                    failed.append(f"{path.name} could not be written: {str(error) or type(error).__name__}")
    return written, failed


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


def _versions(timeline: Any) -> list[int]:
    keys = (VERSION_KEY.fullmatch(key) for clip in clips_of(timeline) for key in clip.media_references())
    return sorted({int(found[1]) for found in keys if found})


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


def _parts(timeline: Any, wanted: Format) -> Iterator[tuple[str, Any]]:
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


def _write(timeline: Any, wanted: Format, path: Path) -> None:
    aside = path.with_name(f"{path.stem}.part{path.suffix}")
    arguments: dict[str, Any] = {}
    if wanted.name == "clip1":
        arguments["target_schema_versions"] = {"Clip": 1}
    if wanted.name == "aaf":
        arguments["use_empty_mob_ids"] = True
    try:
        otio.adapters.write_to_file(timeline, str(aside), adapter_name=wanted.adapter, **arguments)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _rehearsed(plan: Plan) -> Any:
    """A copy of the cut with results of all shots where they will be."""
    copy = plan.timeline.clone()
    places = {id(clip): number for number, clip in enumerate(clips_of(plan.timeline))}
    clips = clips_of(copy)
    leaders = {shot.name: shot for shot in plan.shots}
    for shot in plan.shots:
        if not shot.problem:
            add_version(clips[places[id(shot.clip)]], shot, _expected(leaders[shot.same_as or shot.name]))
    return copy


def _expected(shot: PlannedShot) -> Result:
    if shot.reused is not None:
        return shot.reused
    assert shot.request is not None and shot.media is not None
    wanted = shot.request.format
    sequence = wanted in _SEQUENCE_FORMATS or (wanted == "auto" and shot.media.sequence)
    name = f"{shot.name}_v999.%04d.exr" if sequence else f"{shot.name}_v999.mov"
    return Result(999, {"comp": Path("/anyportal").absolute() / name}, shot.processed, {})


def _tried(timeline: Any, wanted: Format) -> Counter[Entry] | None:
    """What comes back of the cut in a format; None where it cannot be read back."""
    found: Counter[Entry] = Counter()
    with tempfile.TemporaryDirectory(prefix="anyportal_") as folder:
        for number, (_, cut) in enumerate(_parts(flattened(timeline, 10**9, wanted), wanted)):
            path = Path(folder) / f"{number}{wanted.ending}"
            try:
                _write(cut, wanted, path)
            except OSError as error:
                raise StorageError(f"nothing can be written: {error.strerror}", where=folder) from error
            except Exception as error:
                raise _impossible(wanted, error) from error
            back = _read_back(path, wanted, cut)
            if back is None:
                return None
            found += back
    return found


def _read_back(path: Path, wanted: Format, cut: Any) -> Counter[Entry] | None:
    arguments: dict[str, Any] = {}
    if wanted.name == "edl":
        first = next(iter(clips_of(cut)), None)
        arguments["rate"] = first.trimmed_range().start_time.rate if first is not None else 24
    try:
        return inventory(otio.adapters.read_from_file(str(path), adapter_name=wanted.adapter, **arguments))
    except Exception:  # its own reader does not know what to make of it: nothing can be promised
        return None


def _impossible(wanted: Format, error: Exception) -> UsageError:
    others = ", ".join(name for name in FORMATS if name != wanted.name)
    why = " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
    return UsageError(
        f"this cut cannot be written as {wanted.title}: {why}",
        where="--export",
        hint=f"leave {wanted.name} out: the .otio has everything; or choose of {others}",
    )
