"""Strips that show results: which versions they have, which one shows, and how to show another.

A result's strip carries the folder of its versions, the version it shows and the name of the strip it was made of.
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

_FOLDER, _VERSION, _SOURCE, _BEFORE = (f"anyportal_{name}" for name in ("folder", "version", "source", "before"))


def is_result(strip: Any) -> bool:
    """Whether a strip shows a result."""
    return strip is not None and bool(strip.get(_FOLDER))


def folder_of(strip: Any) -> str:
    """The folder of a result's versions."""
    return os.path.normpath(bpy.path.abspath(str(strip[_FOLDER])))


def version_of(strip: Any) -> str:
    """The version that a result's strip shows."""
    return str(strip[_VERSION])


def versions_of(strip: Any) -> list[str]:
    """The versions of a result that have pictures, the newest first."""
    return [name for name, _, record in records.listed(folder_of(strip)) if record.get("files")]


def record_of(strip: Any) -> dict[str, Any]:
    """What is recorded of the version that shows.

    Raises:
        Refused: its record is gone.
    """
    return _record(folder_of(strip), version_of(strip))


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
    media, where = media_of(os.path.join(folder, version), record), compat.timing(source)
    content = _content(media, record, where.content, where.left)
    holder, name = holder_of(scene, source), _name(source.name, version)
    strip = placing.new_strip(holder, name, media, source.channel, content, where.left, where.right)
    rendered = bool(record["host"].get("rendered"))
    looks.copy(source, strip, rendered, colour.same_family(_plate(record), media.path))
    looks.copy_animation(scene, source, strip, rendered)
    _tag(strip, folder, version, source.name)
    return strip, _notes(scene, source)


def show(scene: Any, strip: Any, version: str) -> Any:
    """Show another version in a result's strip, which keeps its place, its trims and its look.

    Returns:
        The strip: another one where the version is of another kind, a movie instead of pictures.

    Raises:
        Refused: the version has no pictures.
    """
    folder, before, record = folder_of(strip), record_of(strip), _record(folder_of(strip), version)
    media, where = media_of(os.path.join(folder, version), record), compat.timing(strip)
    # From where the shown version lies to where the strip it was made of began, and back with the other's numbers.
    start = before["host"].get("start")
    origin = where.content if start is None else where.content - (frames.parse(before["frames"])[0] - start)
    content = _content(media, record, origin, where.left)
    if media.type == strip.type:
        placing.show(strip, holder_of(scene, strip), media, content)
    else:
        strip = _replace(scene, strip, media, content)
    strip.name = _name(str(strip[_SOURCE]), version)
    _tag(strip, folder, version, str(strip[_SOURCE]))
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
    previous = records.previous(os.path.join(folder_of(strip), now))
    if previous is None:
        strip.mute = not strip.mute
        return "the strip below" if strip.mute else now
    strip = show(scene, strip, os.path.basename(previous))
    strip[_BEFORE] = now
    return version_of(strip)


def is_compared(strip: Any) -> bool:
    """Whether a result's strip shows an earlier version for the sake of comparing."""
    return bool(strip.get(_BEFORE))


def _replace(scene: Any, old: Any, media: Media, content: int) -> Any:
    """A strip of another type in the place of a result's."""
    holder, where, channel = holder_of(scene, old), compat.timing(old), old.channel
    strip = placing.new_strip(holder, old.name, media, channel, content, where.left, where.right)
    looks.copy(old, strip, rendered=False, colours=False)
    looks.copy_animation(scene, old, strip, rendered=False)
    for key in (_FOLDER, _VERSION, _SOURCE):
        strip[key] = old[key]
    compat.strips_of(holder).remove(old)
    strip.channel = channel
    return strip


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


def _plate(record: Mapping[str, Any]) -> str:
    return str(record["wish"]["plate"])


def _name(source: str, version: str) -> str:
    return f"{source} AnyPortal {version}"


def _tag(strip: Any, folder: str, version: str, source: str) -> None:
    strip[_FOLDER] = bpy.path.relpath(folder) if bpy.data.filepath and _beside(folder) else folder
    strip[_VERSION], strip[_SOURCE], strip[_BEFORE] = version, source, ""


def _beside(folder: str) -> bool:
    """Whether a folder moves along with the .blend file."""
    return folder.startswith(os.path.dirname(bpy.data.filepath) + os.sep)


def _notes(scene: Any, source: Any) -> list[str]:
    above = [each.name for each in compat.all_strips(scene).values() if source in compat.inputs_of(each)]
    return [f"{source.name} feeds {name}, which the result hides: give it the result as input" for name in above]
