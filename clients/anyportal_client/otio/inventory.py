"""What is in a timeline, counted by kind: two counts tell what a format lost on the way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import opentimelineio as otio

from anyportal_client.otio.surroundings import clips_of
from anyportal_client.request import IMAGE_ENDINGS

_ONE = {
    "media references": "media reference",
    "image sequences": "image sequence",
    "available ranges": "available range",
    "global starts": "global start",
    "leading gaps": "leading gap",
    "disabled clips": "disabled clip",
}


Entry = tuple[str, object]
"""A kind of thing, and what makes it another than its like: the speed of a retime, the clip and file of media."""


def inventory(root: Any) -> Counter[Entry]:
    """How many of everything a timeline has that a format may not carry."""
    found: Counter[Entry] = Counter()
    found.update((*_of_whole(root), *((kind, "") for kind in _of_items(root))))
    for clip in clips_of(root):
        found.update(_of_clip(clip))
    return found


def losses(before: Counter[Entry], after: Counter[Entry]) -> list[str]:
    """What the second count lacks, in words."""
    lost = []
    counts: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for entry, number in before.items():
        counts[entry[0]] += number
        kept[entry[0]] += min(number, after[entry])
    for kind, count in counts.items():
        missing = count - kept[kind]
        if missing > 0:
            word = _ONE.get(kind, kind.removesuffix("s")) if count == 1 else kind
            lost.append(f"all {count} {word}" if missing == count > 1 else f"{missing} of {count} {word}")
    return [text.replace("1 of 1 ", "the ") for text in lost]


def _of_whole(root: Any) -> Iterator[Entry]:
    if isinstance(root, otio.schema.Timeline):
        if root.global_start_time is not None and root.global_start_time.value:
            yield "global starts", round(root.global_start_time.value)
        for track in root.tracks:
            yield "audio tracks" if getattr(track, "kind", "") == "Audio" else "video tracks", ""
            if len(track) and isinstance(track[0], otio.schema.Gap) and track[0].duration().value > 0:
                yield "leading gaps", ""


def _of_items(root: Any) -> Iterator[str]:
    if not hasattr(root, "find_children"):
        return
    for item in root.find_children():
        if isinstance(item, otio.schema.Transition):
            yield "transitions"
        elif isinstance(item, otio.schema.Stack):
            yield "nested sequences"
        if not isinstance(item, otio.schema.Clip):
            yield from ("markers" for _ in getattr(item, "markers", ()))
    tracks = getattr(root, "tracks", None)
    yield from ("markers" for _ in getattr(tracks, "markers", ()))


def _of_clip(clip: Any) -> Iterator[Entry]:
    yield "clips", ""
    if not clip.enabled:
        yield "disabled clips", ""
    for marker in clip.markers:
        yield "markers", ""
        if marker.color:
            yield "marker colours", marker.color
    for effect in clip.effects:
        if isinstance(effect, otio.schema.TimeEffect):
            yield "retimes", round(getattr(effect, "time_scalar", 1.0), 2)
        else:
            yield "effects", ""
    for reference in clip.media_references().values():
        if not isinstance(reference, otio.schema.MissingReference):
            yield "media references", (clip.name, _file_of(reference))
        yield from ((kind, "") for kind in _of_reference(reference))
    if clip.metadata.get("anyportal") is not None:
        yield "requests", ""


def _of_reference(reference: Any) -> Iterator[str]:
    if isinstance(reference, otio.schema.MissingReference):
        return
    if reference.available_range is not None:
        yield "available ranges"
    if isinstance(reference, otio.schema.ImageSequenceReference):
        yield "image sequences"


def _file_of(reference: Any) -> str:
    """The file's name, however a format writes it; of a sequence without its number."""
    if isinstance(reference, otio.schema.ImageSequenceReference):
        return f"{reference.name_prefix}#{reference.name_suffix}"
    name = re.split(r"[/\\]", unquote(getattr(reference, "target_url", "")))[-1]
    numbered = PurePosixPath(name).suffix.lower() in IMAGE_ENDINGS
    return re.sub(r"\[?\d+(?:-\d+\])?(?=\.\w+$)", "#", name) if numbered else name
