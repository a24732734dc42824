"""What a strip shows of its media, and whether the media can be sent as they are."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import bpy

from . import colour, compat
from .errors import Refused

_NO_PICTURE = {"SOUND": "a sound strip has no picture", "ADJUSTMENT": "an adjustment layer has no picture of its own"}
_FILES = {"MOVIE", "IMAGE"}


@dataclass(frozen=True)
class Source:
    """The frames to send, in the media's own numbers (movies count from 0).

    Args:
        plate: a file, or a printf pattern of numbered files.
        start: number of the frame that shows where the strip's content starts, trimmed or not; None for a still.
        first: number of the first frame that is visible; likewise `last`.
        colour_space: what to say of it; empty: what the files say.
    """

    plate: str
    start: int | None = None
    first: int = 0
    last: int = 0
    colour_space: str = ""

    @property
    def range(self) -> str:
        return "" if self.start is None else f"{self.first}-{self.last}"


def check(strip: Any) -> None:
    """Refuse what has no picture, and media that are not there.

    Raises:
        Refused: with what to do.
    """
    if strip.type in _NO_PICTURE:
        raise Refused(_NO_PICTURE[strip.type], strip.name, "select the strip below that shows the shot")
    if strip.type in _FILES:
        missing = next((path for path in _files(strip) if not os.path.isfile(path)), None)
        if missing is not None:
            hint = "put them back, or name their new place in the strip's properties (Source > Path)"
            raise Refused("the media are offline", f"{strip.name}: {missing}", hint)


def why_rendered(strip: Any) -> str:
    """Why Blender has to render a strip before it can be sent; empty where its media can be sent as they are."""
    if strip.type not in _FILES:
        return f"it is of type {strip.type.replace('_', ' ').lower()}, which is no file"
    reasons = (
        (any(not modifier.mute for modifier in strip.modifiers), "it has modifiers"),
        (compat.is_retimed(strip), "it shows its media at another speed"),
        (getattr(strip, "use_deinterlace", False), "it is deinterlaced"),
        (getattr(strip, "use_multiview", False), "it has several views"),
        (getattr(strip, "stream_index", 0) > 0, "it shows another stream than the first"),
        (strip.type == "IMAGE" and not _numbered(strip), "its pictures are no numbered sequence"),
        (colour.stated(strip, _files(strip)[0]) is None, f"AnyPortal has no {strip.colorspace_settings.name}"),
    )
    return next((text for holds, text in reasons if holds), "")


def source_of(strip: Any) -> Source:
    """The source of a strip whose media can be sent as they are."""
    first, last = _visible(strip)
    said = colour.stated(strip, _files(strip)[0]) or ""
    trim = compat.timing(strip).trim
    if strip.type == "MOVIE":
        return Source(_absolute(strip.filepath), trim, trim + first, trim + last, said)
    names = [element.filename for element in strip.elements]
    if len(names) == 1:
        return Source(_files(strip)[0], None, colour_space=said)
    head, digits, tail = _parts(names[trim + first])
    shift = int(digits) - first  # the number that shows at the content's start
    width = f"0{len(digits)}" if digits.startswith("0") or _same_width(names) else ""
    pattern = os.path.join(_absolute(strip.directory), f"{head}%{width}d{tail}")
    return Source(pattern, shift, shift + first, shift + last, said)


def _visible(strip: Any) -> tuple[int, int]:
    """First and last frame of the content that show, counted from its start. Beyond its ends Blender holds a frame."""
    where = compat.timing(strip)
    first = min(max(where.left - where.content, 0), where.frames - 1)
    return first, max(min(where.right - where.content, where.frames) - 1, first)


def _numbered(strip: Any) -> bool:
    """Whether the visible pictures are one, or numbered without a gap."""
    names = [element.filename for element in strip.elements]
    if len(names) == 1:
        return True
    first, last = _visible(strip)
    trim = compat.timing(strip).trim
    shown = [_parts(name) for name in names[trim + first : trim + last + 1]]
    if not shown or any(not digits for _, digits, _ in shown):
        return False
    start = int(shown[0][1])
    widths = {len(digits) for _, digits, _ in shown}
    padded = any(digits.startswith("0") and len(digits) > 1 for _, digits, _ in shown)
    return (
        len({(head, tail) for head, _, tail in shown}) == 1
        and [int(digits) for _, digits, _ in shown] == list(range(start, start + len(shown)))
        and not (padded and len(widths) > 1)
    )


def _same_width(names: list[str]) -> bool:
    return len({len(_parts(name)[1]) for name in names}) == 1


def _parts(name: str) -> tuple[str, str, str]:
    """A file's name before, in, and after its number: the last digits before the ending."""
    stem, ending = os.path.splitext(name)
    found = re.fullmatch(r"(.*?)(\d*)(\D*)", stem)
    assert found is not None  # it matches everything
    return found[1], found[2], found[3] + ending


def _files(strip: Any) -> list[str]:
    """The visible files of a movie or image strip."""
    if strip.type == "MOVIE":
        return [_absolute(strip.filepath)]
    names = [element.filename for element in strip.elements]
    first, last = _visible(strip)
    trim = compat.timing(strip).trim if len(names) > 1 else 0
    folder = _absolute(strip.directory)
    shown = names if len(names) == 1 else names[trim + first : trim + last + 1]
    return [os.path.join(folder, name) for name in shown]


def _absolute(path: str) -> str:
    return os.path.normpath(bpy.path.abspath(path))
