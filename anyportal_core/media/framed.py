"""A clip as seen in the picture of another: with its overscan, the display windows over each other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anyportal_core.errors import SizeMismatchError
from anyportal_core.frames import Image
from anyportal_core.media import yuv
from anyportal_core.media.clip import Clip, ClipInfo, Frame
from anyportal_core.media.windows import NOTHING, placed
from anyportal_core.shot import MediaRef


def framed(ref: MediaRef, clip: Clip, plate: ClipInfo, what: str) -> Clip:
    """A matte or mask in the plate's picture: the clip itself where it lies there already.

    Display windows lie over each other; a file without windows may also have the size of the whole picture.

    Raises:
        SizeMismatchError: it is of another size.
    """
    info = clip.info
    if (info.width, info.height, info.margins) == (plate.width, plate.height, plate.margins):
        return clip
    if info.display_window is None and (info.width, info.height) == (plate.width, plate.height):
        return clip
    if info.shown_size == plate.shown_size:
        return _Framed(ref, clip, plate)
    sizes = ["{}x{}".format(*each.shown_size) for each in (info, plate)]
    raise SizeMismatchError(
        f"the {what} is {sizes[0]}, but the plate is {sizes[1]}",
        where=str(info.path),
        hint=f"render the {what} at the plate's size",
    )


class _Framed(Clip):
    def __init__(self, ref: MediaRef, clip: Clip, plate: ClipInfo) -> None:
        super().__init__(ref, replace(clip.info, width=plate.width, height=plate.height, margins=plate.margins))
        self._clip = clip
        self._top, self._left = (plate.margins[i] - clip.info.margins[i] for i in (1, 0))

    def content(self, numbers: Sequence[int]) -> str:
        return f"{self._clip.content(numbers)} in {self.info.width}x{self.info.height}{self.info.margins}"

    def digest(self) -> str:
        return f"{self._clip.digest()} in {self.info.width}x{self.info.height}{self.info.margins}"

    def close(self) -> None:
        super().close()
        self._clip.close()

    def _files(self) -> list[tuple[int, Path]]:
        return [(0, path) for path in self._clip.paths()]

    def _read(self, numbers: Sequence[int], size: tuple[int, int] | None, alpha: bool) -> Generator[Frame]:
        height, width = self.info.height, self.info.width
        for frame in self._clip.frames(numbers, alpha=alpha):
            pixels, extent = placed(frame.pixels, self._top, self._left, height, width)
            cover = placed(_alpha_of(frame), self._top, self._left, height, width)[0] if alpha else None
            if size is None:
                yield Frame(frame.number, pixels, cover, NOTHING if frame.extent is NOTHING else extent)
            else:
                small = None if cover is None else yuv.fit(cover, *size)
                yield Frame(frame.number, yuv.fit(pixels, *size), small)


def _alpha_of(frame: Frame) -> Image:
    """What has no alpha is opaque, as far as it goes: around it there is nothing."""
    return np.ones(frame.pixels.shape[:2], np.float32) if frame.alpha is None else frame.alpha
