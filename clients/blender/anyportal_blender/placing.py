"""Make the strip of a result, and put other media into it: nothing else adds strips."""

from __future__ import annotations

import os
from typing import Any

import bpy

from . import compat
from .errors import Refused
from .media import Media

MOST_CHANNELS = 128


def new_strip(holder: Any, name: str, media: Media, above: int, content: int, left: int, right: int) -> Any:
    """A strip on the first free channel above another.

    Args:
        holder: the sequence editor or the meta strip that it goes into.
        content: frame of the timeline where the first frame of the media lies.
        left: first frame that shows; `right` is the one after the last.

    Raises:
        Refused: no channel is free.
    """
    channel = free_channel(holder, above, left, right)
    strips, first = compat.strips_of(holder), media.files[0]
    if media.type == "MOVIE":
        strip = strips.new_movie(name, first, channel, content, fit_method="ORIGINAL")
    else:
        strip = strips.new_image(name, first, channel, content, fit_method="ORIGINAL")
        for each in media.names[1:]:
            strip.elements.append(each)
    _refer(strip, media)
    compat.place(strip, content, left, right)
    strip.channel = channel  # Blender moves a strip up that overlaps another until it is trimmed
    return strip


def show(strip: Any, media: Media, content: int) -> None:
    """Put other media of the same kind into a strip; it keeps its place, its trims and its look.

    Args:
        content: frame of the timeline where the first frame of the media lies.
    """
    where, colours = compat.timing(strip), strip.colorspace_settings.name
    channel = strip.channel
    _refer(strip, media)
    strip.colorspace_settings.name = colours
    compat.place(strip, content, where.left, where.right)
    strip.channel = channel


def move(strip: Any, holder: Any, content: int, left: int, right: int) -> None:
    """Put a strip elsewhere in time, and further up where something lies there."""
    channel = free_channel(holder, strip.channel - 1, left, right, but=strip)
    compat.place(strip, content, left, right)
    strip.channel = channel


def free_channel(holder: Any, above: int, left: int, right: int, but: Any = None) -> int:
    """The first channel above another where nothing lies between two frames, and which shows and can be edited.

    Args:
        but: a strip that does not count.

    Raises:
        Refused: there is none.
    """
    taken = {
        strip.channel
        for strip in compat.strips_of(holder)
        if strip != but and compat.timing(strip).left < right and compat.timing(strip).right > left
    }
    for channel in range(above + 1, MOST_CHANNELS + 1):
        if channel not in taken and _is_usable(holder, channel):
            return channel
    raise Refused(f"no channel above {above} is free", hint="move strips away, or unmute and unlock channels")


def _is_usable(holder: Any, channel: int) -> bool:
    channels = getattr(holder, "channels", ())
    state = channels[channel] if channel < len(channels) else None
    return state is None or not (state.mute or state.lock)


def _refer(strip: Any, media: Media) -> None:
    """Name a strip's media, as seen from the .blend file where they move along with it."""
    if media.type == "MOVIE":
        strip.filepath = _beside(media.path)
    else:
        strip.directory = _beside(media.folder + os.sep)
        _rename(strip.elements, media.names)


def _beside(path: str) -> str:
    home = os.path.dirname(bpy.data.filepath) + os.sep
    return bpy.path.relpath(path) if bpy.data.filepath and path.startswith(home) else path


def _rename(elements: Any, names: list[str]) -> None:
    while len(elements) > len(names):
        elements.pop(-1)
    for element, name in zip(elements, names, strict=False):
        element.filename = name
    for name in names[len(elements) :]:
        elements.append(name)
