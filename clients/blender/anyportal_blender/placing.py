"""Make the strip of a result, and put other media into it: nothing else adds strips."""

from __future__ import annotations

from typing import Any

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
    # Blender moves strips that overlap while they are trimmed: this is done where there is nothing.
    aside = free_channel(holder, above, min(left, content), max(right, content + media.last - media.first + 1))
    strips, first = compat.strips_of(holder), media.files[0]
    if media.type == "MOVIE":
        strip = strips.new_movie(name, first, aside, content, fit_method="ORIGINAL")
    else:
        strip = strips.new_image(name, first, aside, content, fit_method="ORIGINAL")
        for each in media.names[1:]:
            strip.elements.append(each)
    compat.place(strip, content, left, right)
    strip.channel = channel
    return strip


def show(strip: Any, holder: Any, media: Media, content: int) -> None:
    """Put other media of the same type into a strip; it keeps its place, its trims and its look.

    Args:
        content: frame of the timeline where the first frame of the media lies.
    """
    where, channel, colours = compat.timing(strip), strip.channel, strip.colorspace_settings.name
    strip.channel = free_channel(holder, channel, -compat.FAR, compat.FAR)
    if media.type == "MOVIE":
        strip.filepath = media.path
    else:
        strip.directory = media.folder
        _rename(strip.elements, media.names)
    strip.colorspace_settings.name = colours
    compat.place(strip, content, where.left, where.right)
    strip.channel = channel


def free_channel(holder: Any, above: int, left: int, right: int) -> int:
    """The first channel above another where nothing lies between two frames, and which shows and can be edited.

    Raises:
        Refused: there is none.
    """
    taken = {
        strip.channel
        for strip in compat.strips_of(holder)
        if compat.timing(strip).left < right and compat.timing(strip).right > left
    }
    for channel in range(above + 1, MOST_CHANNELS + 1):
        if channel not in taken and _is_usable(holder, channel):
            return channel
    raise Refused(f"no channel above {above} is free", hint="move strips away, or unmute and unlock channels")


def _is_usable(holder: Any, channel: int) -> bool:
    channels = getattr(holder, "channels", ())
    state = channels[channel] if channel < len(channels) else None
    return state is None or not (state.mute or state.lock)


def _rename(elements: Any, names: list[str]) -> None:
    while len(elements) > len(names):
        elements.pop(-1)
    for element, name in zip(elements, names, strict=False):
        element.filename = name
    for name in names[len(elements) :]:
        elements.append(name)
