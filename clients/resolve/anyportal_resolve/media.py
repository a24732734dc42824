"""What media are: which files, how many frames, which of them Resolve makes up by itself."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple, Optional

import anyportal_hostkit as hostkit

if TYPE_CHECKING:
    from anyportal_resolve.host import MediaPoolItem

_MADE_UP = ("compound", "multicam", "fusion", "timeline", "adjustment", "stereo")


class Media(NamedTuple):
    """Media of a clip.

    Args:
        path: a file, a sequence as a printf pattern; empty for what Resolve makes up.
        start: the number of the first frame: 0 for a movie.
        total: number of frames; 0 where it is not known.
        rate: frames a second; 0 where it is not known.
        made_up: what it is, where it is not a file: `compound clip`.
        still: one picture, shown for as long as one likes.
    """

    path: str
    start: int
    total: int
    rate: float
    made_up: str
    still: bool

    @property
    def offline(self) -> bool:
        """Whether the files are not there."""
        return not self.made_up and not os.path.exists(hostkit.file_of(self.path, self.start))


def read_media(item: MediaPoolItem) -> Media:
    """What the pool says about media."""
    path = str(item.GetClipProperty("File Path") or "")
    kind = str(item.GetClipProperty("Type") or "").lower()
    made_up = kind if any(word in kind for word in _MADE_UP) else ""
    if not path and not made_up:
        made_up = kind or "clip without a file"
    if made_up and "clip" not in made_up:
        made_up += " clip"
    found = hostkit.paths.bracketed(path)
    pattern, start, last = found or (path, 0, None)
    total = last - start + 1 if last is not None else _whole(item.GetClipProperty("Frames"))
    still = kind == "still" and found is None
    rate = _number(item.GetClipProperty("FPS"))
    return Media("" if made_up else pattern, start, total, rate, made_up, still)


def path_of(item: Optional[MediaPoolItem]) -> str:
    """The file of media, a sequence as a printf pattern; empty where there is none."""
    path = str(item.GetClipProperty("File Path") or "") if item is not None else ""
    found = hostkit.paths.bracketed(path)
    return str(found[0]) if found else path


def is_result(path: str) -> bool:
    """Whether a file is one of our results: their record lies beside them."""
    return bool(path) and hostkit.record.read(os.path.dirname(path)) is not None


def _whole(text: object) -> int:
    return int(_number(text))


def _number(text: object) -> float:
    found = re.match(r"\d+(\.\d+)?", str(text or ""))
    return float(found.group()) if found else 0.0
