"""Write a timeline in which each processed clip keeps its plate and has the result as a further version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.media import local_path
from anyportal_client.otio.outcomes import Result, version_name
from anyportal_client.otio.plan import Plan, PlannedShot
from anyportal_client.otio.requests import METADATA, VERSION_KEY, plain
from anyportal_client.patterns import counter_of, is_pattern
from anyportal_client.storage import local_disk

_FOLDER = re.compile(r"v(\d+)")


def output_path(timeline: Path, folder: Path) -> Path:
    """Where the timeline goes: ``cut.otio`` becomes ``cut_anyportal.otio``, and stays that on further runs."""
    return folder / f"{timeline.stem.removesuffix('_anyportal')}_anyportal.otio"


def next_version(clips: Iterable[Any], folder: Path) -> int:
    """The first version that neither a clip's references nor the shot's folder has used."""
    keys = [VERSION_KEY.fullmatch(key) for clip in clips for key in clip.media_references()]
    names = [_FOLDER.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    return 1 + max((int(found[1]) for found in (*keys, *names) if found), default=0)


def reserve_version(clips: Iterable[Any], folder: Path) -> tuple[int, Path]:
    """The first version that nothing has used, and its folder, made: another batch at this moment takes the next.

    Raises:
        StorageError: it cannot be made.
    """
    clips = list(clips)
    while True:
        version = next_version(clips, folder)
        place = folder / version_name(version)
        with local_disk(place):
            try:
                place.mkdir(parents=True)
            except FileExistsError:
                continue
        return version, place


def write_timeline(plan: Plan, results: Mapping[str, Result], path: Path, base: Path) -> None:
    """Give each clip that has a result its new version and write the timeline; the plan's timeline is changed.

    Args:
        plan: the plan; its shots hold the clips.
        results: by name of shot; a shot that shares another's result finds it under that one's name.
        path: the ``.otio`` file; written aside, then renamed.
        base: the folder that relative paths in the timeline start from.
    """
    for reference in _references(plan.timeline):
        _make_absolute(reference, base)
    for shot in plan.shots:
        result = results.get(shot.same_as or shot.name)
        if result is not None:
            add_version(shot, result)
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(otio.adapters.write_to_string(plan.timeline, "otio_json"), encoding="utf-8")
    aside.replace(path)


def carry_versions(plan: Plan, earlier: Any, *, show: bool = True) -> None:
    """Take over the versions that an earlier run gave to the same clips (same name, same plate, same occurrence).

    Args:
        show: a clip that showed one of them goes on showing it: whatever becomes of this run, a finished cut stays
            finished.
    """
    known = {key: clip for key, clip in _numbered(_all_clips(earlier))}
    for key, clip in _numbered(_all_clips(plan.timeline)):
        if key in known:
            references = clip.media_references()
            versions = {k: r.clone() for k, r in known[key].media_references().items() if VERSION_KEY.fullmatch(k)}
            shown, before = clip.active_media_reference_key, known[key].active_media_reference_key
            active = before if show and before in versions and not VERSION_KEY.fullmatch(shown) else shown
            clip.set_media_references({**versions, **references}, active)


def add_version(shot: PlannedShot, result: Result) -> None:
    """Add a result to the shot's clip as a further media reference and make it the active one.

    Its ``available_range`` is in the terms of the clip's source range, so that range stays right as it is.
    """
    if shot.span is None or shot.media is None or shot.media.extent is None:
        raise ValueError(f"{shot.name} has no frames")
    rate = shot.media.extent.rate
    first, last = result.frames
    time = otio.opentime.RationalTime
    available = otio.opentime.TimeRange(time(shot.span.origin + first, rate), time(last - first + 1, rate))
    reference = _reference(result.picture.absolute(), first, rate)
    reference.name = result.picture.name
    reference.available_range = available
    reference.metadata[METADATA] = {
        **plain(dict(result.metadata)),
        "files": {layer: file.absolute().as_posix() for layer, file in result.files.items()},
    }
    key = f"anyportal_{version_name(result.version)}"
    shot.clip.set_media_references({**shot.clip.media_references(), key: reference}, key)


def _reference(picture: Path, first: int, rate: float) -> Any:
    """A bare-path reference, as Resolve reads it: a sequence for a printf pattern, else one file."""
    counter = counter_of(picture.name) if is_pattern(picture) else None
    if counter is None:
        return otio.schema.ExternalReference(picture.as_posix())
    return otio.schema.ImageSequenceReference(
        target_url_base=f"{picture.parent.as_posix()}/",
        name_prefix=picture.name[: counter.start()],
        name_suffix=picture.name[counter.end() :],
        start_frame=first,
        rate=rate,
        frame_zero_padding=int(counter[1] or 1),
    )


def _all_clips(root: Any) -> list[Any]:
    return [root] if isinstance(root, otio.schema.Clip) else list(root.find_clips())


def _references(root: Any) -> Iterator[Any]:
    for clip in _all_clips(root):
        yield from clip.media_references().values()


def _make_absolute(reference: Any, base: Path) -> None:
    """The new timeline lies in another folder: relative paths would point elsewhere."""
    if isinstance(reference, otio.schema.ImageSequenceReference):
        folder = _absolute(reference.target_url_base, base)
        reference.target_url_base = folder if folder[-1] in "/\\" else f"{folder}/"
    elif getattr(reference, "target_url", ""):
        reference.target_url = _absolute(reference.target_url, base)


def _absolute(url: str, base: Path) -> str:
    return url if re.match(r"\w+:|[/\\]", url) else local_path(url, base.absolute()).as_posix()


def _numbered(clips: Iterable[Any]) -> Iterator[tuple[tuple[str, str, int], Any]]:
    """Clips with what tells them apart over two runs: name, plate, and the how-manieth of that kind."""
    count: dict[tuple[str, str], int] = {}
    for clip in clips:
        plates = (r for k, r in clip.media_references().items() if not VERSION_KEY.fullmatch(k))
        kind = clip.name, next((_file_name(reference) for reference in plates), "")
        count[kind] = count.get(kind, 0) + 1
        yield (*kind, count[kind]), clip


def _file_name(reference: Any) -> str:
    url = getattr(reference, "target_url", "") or getattr(reference, "name_prefix", "")
    return re.split(r"[/\\]", url)[-1]
