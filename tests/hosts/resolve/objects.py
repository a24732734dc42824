"""What all objects of the fake Resolve share, and pictures read from real files.

Traps quote the row of ../shared/hosts.md (section Resolve) that they follow.
"""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import av
import numpy as np

from anyportal_core.frames import Image
from anyportal_core.testing.clips import read_number

_ids = itertools.count(1)


class HostObject:
    """An object of Resolve's. "capability: `hasattr` is always True": only `dir` tells what there is."""

    def __init__(self) -> None:
        self._id = f"uid-{next(_ids)}"
        self._lacks: set[str] = set()

    def GetUniqueId(self) -> str:
        return self._id

    def lack(self, *names: str) -> None:
        """Be an older Resolve that has not these."""
        self._lacks |= set(names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name in object.__getattribute__(self, "__dict__").get("_lacks", ()):
            return None
        return object.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in self._lacks]


@functools.lru_cache(maxsize=16)
def frames_of(path: str, stamp: int) -> list[Image]:
    """All frames of a movie or still, decoded, 0..1."""
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.float32) / 255 for frame in container.decode(video=0)]


def picture_of(path: str, frame: int, start: int = 0) -> Image:
    """A frame of a movie, counted from 0, or of a sequence written as a printf pattern."""
    if "%" in Path(path).name and not Path(path).is_file():
        path, frame = path % (start + frame), 0
    frames = frames_of(path, Path(path).stat().st_mtime_ns)
    assert 0 <= frame < len(frames), f"{path} has {len(frames)} frames, {frame} is shown"
    return frames[frame]


def number_of(picture: Image) -> int:
    """The number that a frame of `numbered_frames` carries."""
    return read_number(picture)
