"""Clips as the models see them: work size, display-referred, read in pieces; and mattes on the plate's numbers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import cv2
import numpy as np

from anyportal_core.errors import LengthMismatchError, SizeMismatchError
from anyportal_core.frames import Image
from anyportal_core.media.clip import Clip, ClipInfo, Frame, place_of
from anyportal_core.media.encoding import Encoding, to_display
from anyportal_core.media.spool import Spool

# Windows overlap: of the frames read last, so many values are kept, so that going back a little decodes nothing.
_KEPT_VALUES = 8_000_000

_WORTH_SEEKING = 8
"""Frames ahead: of a movie, one that is nearer is reached sooner by reading on than from its key frame."""


class _Prepared:
    _channels = 3

    """Frames of a clip in any order, prepared one by one; cheap forwards, and a few steps back."""

    def __init__(
        self,
        clip: Clip,
        numbers: Sequence[int],
        size: tuple[int, int],
        alpha: bool,
        prepare: Callable[[Frame], Image],
        spool: Spool | None = None,
    ) -> None:
        self._clip, self._sources, self._alpha = clip, numbers, alpha
        self._spool = spool
        self._prepare = prepare
        self.height, self.width = size
        kept = _KEPT_VALUES // (size[0] * size[1] * 3)
        self._kept: deque[tuple[int, Image]] = deque(maxlen=min(max(kept, 1), 16))
        self._reader: Iterator[Frame] = iter(())
        self._next = len(numbers)  # of the reader
        self._worth_seeking = _WORTH_SEEKING if clip.info.kind == "movie" else 1

    def __len__(self) -> int:
        return len(self._sources)

    def read(self, start: int, stop: int) -> Image:
        """Frames with index ``start <= i < stop``, ``(stop-start, H, W, C)`` float32, 0..1."""
        indices = range(start, min(stop, len(self)))
        frames = np.empty((len(indices), self.height, self.width, self._channels), np.float32)
        for place, index in enumerate(indices):
            if not (self._spool and self._spool.fill(index, frames[place])):
                frames[place] = self._frame(index)
        return frames

    def _frame(self, index: int) -> Image:
        for kept, image in self._kept:
            if kept == index:
                return image
        image = self._decoded(index)
        self._kept.append((index, image))
        if self._spool:
            self._spool.keep(index, image)
        return image

    def _decoded(self, index: int) -> Image:
        if not 0 <= index - self._next < self._worth_seeking:
            size = self.height, self.width
            self._reader = self._clip.repeating(self._sources[index:], size=size, alpha=self._alpha)
            self._next = index
        frames = islice(self._reader, index - self._next, None)
        image = self._prepare(next(frames))
        self._next = index + 1
        return image


class WorkFrames(_Prepared):
    """A clip's frames at work size as display-referred sRGB: a ``FrameSource`` of ``(T, H, W, 3)``.

    Args:
        spool: keeps them for the next who reads the same ones.
    """

    def __init__(self, clip: Clip, numbers: Sequence[int], size: tuple[int, int], spool: Spool | None = None) -> None:
        encoding = clip.info.encoding
        super().__init__(clip, clip.require(numbers), size, False, lambda f: self._continued(f, encoding), spool)
        self.numbers: Sequence[int] = self._sources

    def _continued(self, frame: Frame, encoding: Encoding) -> Image:
        """What is shown of a frame; its edge pixels go on where it has none, since black there would be darkness."""
        shown = to_display(frame.pixels, encoding)
        extent = self._clip.extent(frame.number)
        if extent is None:
            return shown
        rows, columns = (
            _within(part, size, whole)
            for part, size, whole in zip(
                extent, shown.shape[:2], (self._clip.info.height, self._clip.info.width), strict=True
            )
        )
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return shown
        height, width = shown.shape[:2]
        margins = (rows.start, height - rows.stop, columns.start, width - columns.stop)
        return np.asarray(cv2.copyMakeBorder(shown[rows, columns], *margins, cv2.BORDER_REPLICATE), np.float32)


def _within(part: slice, size: int, whole: int) -> slice:
    """The pixels of a smaller picture that lie in a part of the whole one with all of their area."""
    return slice(math.ceil(part.start * size / whole), math.floor(part.stop * size / whole))


class AlphaFrames(_Prepared):
    """A supplied matte at work size: a ``FrameSource`` of ``(T, H, W, 1)`` on the plate's frame numbers.

    The matte is the clip's alpha channel, or its luminance where it has none (or where that is 1 all over
    the first frame, as in pictures that were merely saved with an alpha).

    Args:
        clip: the matte.
        plate: what it belongs to.
        numbers: the plate's frames that are wanted.
        size: ``(h, w)`` to work at.
        own: the clip is the plate itself: its alpha is the matte, whatever it says.
        what: what errors call it.

    Raises:
        SizeMismatchError, LengthMismatchError: the matte does not fit the plate.
    """

    _channels = 1

    def __init__(
        self,
        clip: Clip,
        plate: ClipInfo,
        numbers: Sequence[int],
        size: tuple[int, int],
        own: bool = False,
        what: str = "matte",
    ) -> None:
        info = clip.info
        if (info.width, info.height) != (plate.width, plate.height):
            raise SizeMismatchError(
                f"the {what} is {info.width}x{info.height}, but the plate is {plate.width}x{plate.height}",
                where=str(info.path),
                hint=f"render the {what} at the plate's size",
            )
        sources = numbers if own else matte_numbers(info, plate, numbers, what)
        clip.require(sources)
        self._from_alpha = own or (info.has_alpha and alpha_says_something(clip, sources[0]))
        super().__init__(clip, sources, size, self._from_alpha, lambda f: self._cover(f)[..., None])
        self.numbers: Sequence[int] = tuple(numbers)

    def full(self, indices: Iterable[int] | None = None) -> Iterator[Image]:
        """The matte at the plate's own size, ``(H, W)`` float32, 0..1: all frames, or those of ascending indices."""
        wanted = self._sources if indices is None else [self._sources[index] for index in indices]
        if wanted:
            yield from map(self._cover, self._clip.repeating(wanted, alpha=self._from_alpha))

    def _cover(self, frame: Frame) -> Image:
        if not self._from_alpha:
            return luminance(frame.pixels)
        # A frame saved without the channel is opaque, as everywhere; its luminance says nothing.
        return np.ones(frame.pixels.shape[:2], np.float32) if frame.alpha is None else frame.alpha


def luminance(pixels: Image) -> Image:
    """BT.709 luma of code values, clamped to 0..1: ``(H, W, 3)`` to ``(H, W)``.

    Stretched by 1e-5, so that the white of a video decodes to 1 exactly, which decides what is fully opaque.
    """
    weights = np.array([[0.2126, 0.7152, 0.0722]], np.float64) * (1 + 2e-5)
    luma = cv2.transform(np.ascontiguousarray(pixels), np.column_stack([weights, [-1e-5]]).astype(np.float32))
    return np.asarray(np.clip(luma, 0, 1), np.float32)


def matte_numbers(matte: ClipInfo, plate: ClipInfo, numbers: Sequence[int], what: str = "matte") -> Sequence[int]:
    """The matte's frame for each of the plate's ``numbers``.

    By number where a matte sequence covers them all; else by place, where the matte is as long as the plate or as
    the frames asked for. The numbers of a movie only count its frames: beside one, equal length goes first, and a
    matte movie's numbers never decide, since a part of a longer one may be any part. Where the plate shows another
    frame in the place of one that it lacks, so does the matte.

    Args:
        what: what the error calls it: a clean plate or a garbage matte goes by the same rule.

    Raises:
        LengthMismatchError: none of these.
    """
    have = matte.numbers
    if plate.filled and not plate.black:
        numbers = [plate.filled.get(number, number) for number in numbers]
    own = have if isinstance(have, range) else frozenset(have)
    covers = matte.kind != "movie" and all(number in own for number in numbers)
    if len(have) == len(plate.numbers) and not (covers and plate.kind != "movie"):
        return [have[place_of(plate.numbers, number)] for number in numbers]
    if covers:
        return numbers
    if len(have) == len(numbers):
        return list(have)
    if not isinstance(have, range) and matte.kind == "sequence" and have[0] <= numbers[0] <= numbers[-1] <= have[-1]:
        return numbers  # it has holes: whoever reads these is told which
    raise LengthMismatchError(
        f"the {what} has {len(have)} frames ({have[0]}-{have[-1]}), the plate {len(plate.numbers)} "
        f"({plate.numbers[0]}-{plate.numbers[-1]}), and {len(numbers)} are wanted",
        where=str(matte.path),
        hint=f"give the {what} the plate's frame numbers, or the length of the plate or of the range",
    )


def alpha_says_something(clip: Clip, number: int) -> bool:
    """Whether the alpha channel is anything but 1 all over."""
    frame = next(clip.frames([number], alpha=True))
    if frame.alpha is None:
        return False
    return bool(((frame.alpha if frame.extent is None else frame.alpha[frame.extent]) < 1).any())
