"""Strips that show results: which versions they have, which one shows, and how to show another.

A result's strip carries the name of the strip it was made of. Its version and the folder of all its versions are where
its media lie: Blender keeps such paths right when files are saved elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import bpy
from anyportal_hostkit import frames
from anyportal_hostkit import record as records

from . import colour, compat, looks, placing
from .errors import Refused
from .media import Media, media_of

_SOURCE, _BEFORE = "anyportal_source", "anyportal_before"


def is_result(strip: Any) -> bool:
    """Whether a strip shows a result."""
    return strip is not None and bool(strip.get(_SOURCE))


def folder_of(strip: Any) -> str:
    """The folder of a result's versions."""
    return os.path.dirname(_version_folder(strip))


def version_of(strip: Any) -> str:
    """The version that a result's strip shows."""
    return os.path.basename(_version_folder(strip))


def versions_of(strip: Any) -> list[str]:
    """The versions of a result that have pictures, the newest first."""
    return [name for name, _, record in records.listed(folder_of(strip)) if record.get("files")]


def record_of(strip: Any) -> dict[str, Any]:
    """What is recorded of the version that shows.

    Raises:
        Refused: its record is gone.
    """
    return _record(folder_of(strip), version_of(strip))


def place_of(strip: Any) -> tuple[int, int, int]:
    """Where a strip lies: its content's start, its first frame and the one after its last."""
    where = compat.timing(strip)
    return where.content, where.left, where.right


def source_of(scene: Any, strip: Any) -> Any | None:
    """The strip that a result was made of; None where it is gone."""
    return compat.all_strips(scene).get(str(strip[_SOURCE]))


def find(scene: Any, source: Any) -> Any | None:
    """The strip that shows the results of another one; the lowest, where it was copied."""
    made = [strip for strip in compat.all_strips(scene).values() if is_result(strip) and strip[_SOURCE] == source.name]
    return min(made, key=lambda strip: int(strip.channel), default=None)


def holder_of(scene: Any, strip: Any) -> Any:
    """The meta strip that a strip lies in, or the sequence editor."""
    metas = [each for each in compat.all_strips(scene).values() if each.type == "META"]
    return next((meta for meta in metas if strip.name in compat.strips_of(meta)), scene.sequence_editor)


def add(scene: Any, source: Any, folder: str, version: str) -> tuple[Any, list[str]]:
    """Show a version in a new strip above the one it was made of, placed and looking as that one.

    Returns:
        The strip, and what a person should know.

    Raises:
        Refused: the version has no pictures, or no channel is free.
    """
    record = _record(folder, version)
    media, (origin, left, right) = media_of(os.path.join(folder, version), record), place_of(source)
    content, name = _content(media, record, origin, left), _name(source.name, version)
    strip = placing.new_strip(holder_of(scene, source), name, media, source.channel, content, left, right)
    rendered = _is_rendered(record)
    looks.copy(source, strip, rendered, colour.same_family(str(record["wish"]["plate"]), media.path))
    looks.copy_animation(scene, source, strip, rendered)
    strip[_SOURCE] = source.name
    above = [each.name for each in compat.all_strips(scene).values() if source in compat.inputs_of(each)]
    return strip, [f"{source.name} feeds {each}, which the result hides: give it the result as input" for each in above]


def show(scene: Any, strip: Any, version: str) -> Any:
    """Show another version in a result's strip, which keeps its place, its trims and its look.

    Returns:
        The strip: another one where the version is of another kind, a movie instead of pictures.

    Raises:
        Refused: the version has no pictures.
    """
    folder = folder_of(strip)
    before, record = records.read(_version_folder(strip)) or {}, _record(folder, version)
    media, (origin, left, _) = media_of(os.path.join(folder, version), record), place_of(strip)
    # From where the shown version lies to where the strip it was made of began, and back with the other's numbers.
    start = before.get("host", {}).get("start")
    if start is not None:
        origin -= frames.parse(before["frames"])[0] - start
    content = _content(media, record, origin, left)
    alike = media.type == strip.type and colour.same_family(_path(strip), media.path)
    if alike and _is_rendered(before) == _is_rendered(record):
        placing.show(strip, media, content)
    else:
        strip = _rebuilt(scene, strip, media, content, _is_rendered(before), _is_rendered(record))
    strip.name = _name(str(strip[_SOURCE]), version)
    strip[_BEFORE] = ""
    return strip


def renew(scene: Any, strip: Any, version: str) -> Any:
    """Show a version that was just made; where the strip below has moved or was trimmed since the last one, follow it.

    Raises:
        Refused: the version has no pictures.
    """
    before = records.read(_version_folder(strip)) or {}
    strip = show(scene, strip, version)
    strip.mute = False
    source = source_of(scene, strip)
    if source is not None and tuple(before.get("host", {}).get("place", ())) != place_of(source):
        record, (origin, left, right) = record_of(strip), place_of(source)
        content = _content(media_of(_version_folder(strip), record), record, origin, left)
        placing.move(strip, holder_of(scene, strip), content, left, right)
    return strip


def compare(scene: Any, strip: Any) -> str:
    """Show the version before the one that shows, or what was shown before that; without one, hide and show the result.

    Returns:
        What shows now.
    """
    before = strip.get(_BEFORE)
    if before:
        return version_of(show(scene, strip, str(before)))  # which forgets it
    now = version_of(strip)
    previous = records.previous(_version_folder(strip))
    if previous is None:
        strip.mute = not strip.mute
        return "the strip below" if strip.mute else now
    strip = show(scene, strip, os.path.basename(previous))
    strip[_BEFORE] = now
    return version_of(strip)


def is_compared(strip: Any) -> bool:
    """Whether a result's strip shows an earlier version for the sake of comparing."""
    return bool(strip.get(_BEFORE))


def _rebuilt(scene: Any, old: Any, media: Media, content: int, was_rendered: bool, rendered: bool) -> Any:
    """A new strip in the place of a result's, for a version that the old one cannot show.

    Where one of both was rendered by Blender and the other was not, the look of the strip below is in the pictures of
    one and has to be on the strip of the other.
    """
    holder, channel, (_, left, right) = holder_of(scene, old), old.channel, place_of(old)
    strip = placing.new_strip(holder, old.name, media, channel, content, left, right)
    model = old if rendered == was_rendered else source_of(scene, old) or old
    partly = rendered != was_rendered and (rendered or model is old)
    looks.copy(model, strip, partly, not partly and colour.same_family(_path(model), media.path))
    looks.copy_animation(scene, model, strip, partly)
    strip[_SOURCE] = old[_SOURCE]
    compat.strips_of(holder).remove(old)
    strip.channel = channel
    return strip


def _path(strip: Any) -> str:
    """The file, or the first file, of a movie or image strip."""
    path = strip.filepath if strip.type == "MOVIE" else os.path.join(strip.directory, strip.elements[0].filename)
    return os.path.normpath(bpy.path.abspath(path))


def _version_folder(strip: Any) -> str:
    return os.path.dirname(_path(strip))


def _content(media: Media, record: Mapping[str, Any], origin: int, left: int) -> int:
    """The frame where a version's first one lies; `origin` is where the plate's strip begins, were it not trimmed."""
    start = record["host"].get("start")
    return left if start is None else origin + media.first - int(start)


def _record(folder: str, version: str) -> dict[str, Any]:
    found = records.read(os.path.join(folder, version))
    if found is None:
        hint = "choose another version, or replace the background of the strip below anew"
        raise Refused("the record of this version is gone", os.path.join(folder, version, records.NAME), hint)
    return dict(found)


def _is_rendered(record: Mapping[str, Any]) -> bool:
    return bool(record.get("host", {}).get("rendered"))


def _name(source: str, version: str) -> str:
    return f"{source} AnyPortal {version}"
