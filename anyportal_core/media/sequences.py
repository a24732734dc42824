"""Image sequences and stills through OpenImageIO, in the notations of fileseq, under the numbers of their files."""

from __future__ import annotations

import bisect
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
from fileseq.exceptions import FileSeqException
from fileseq.filesequence import FileSequence

from anyportal_core.errors import (
    FrameRangeError,
    MediaNotFoundError,
    MediaUnreadableError,
    ShotError,
    SizeMismatchError,
)
from anyportal_core.frames import LARGEST_NUMBER, MOST_FRAMES
from anyportal_core.media import bounds, stills, timecode, yuv
from anyportal_core.media.clip import DEFAULT_RATE, Clip, ClipInfo, Frame, Kind
from anyportal_core.media.header import of_another_frame
from anyportal_core.media.windows import NOTHING, Box, Window, extent_of, margins_of
from anyportal_core.shot import MediaRef, MissingFrames

IMAGE_SUFFIXES = frozenset(
    {".png", ".tif", ".tiff", ".jpg", ".jpeg", ".exr", ".dpx", ".cin", ".hdr", ".bmp", ".tga", ".webp", ".jp2", ".ppm"}
)
_PATTERN = re.compile(r"#|@|%0?\d*d")


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_pattern(path: Path) -> bool:
    """Whether the name stands for many files (a file that really has such a name is just itself)."""
    return bool(_PATTERN.search(path.name)) and not path.exists()


def open_still(ref: MediaRef) -> Clip:
    """Open a single image as a clip of one frame, number 0, whatever number its name carries.

    Raises:
        MediaNotFoundError, MediaUnreadableError: it is not there, or no image.
    """
    path = Path(ref.path)
    return SequenceClip(ref, stills.describe(path, ref, kind="still", numbers=range(1)), {0: path})


def open_sequence(ref: MediaRef, missing: MissingFrames = "error", asked: Sequence[int] = ()) -> Clip:
    """Open the sequence that a pattern names, or the only one that a folder holds; arguments as ``open_clip``.

    Raises:
        MediaNotFoundError: no file fits.
        MediaUnreadableError: none of the files is an image.
        MissingFramesError: the pattern states a range, and files of it are missing.
        FrameRangeError: that range is absurdly long.
        ShotError: the folder holds several sequences, or a file's number is absurdly large.
    """
    path = Path(ref.path)
    found = _only_sequence(path) if path.is_dir() else _matching(path)
    stated = None if path.is_dir() else _stated(path)
    files = _numbered(found)
    pattern = Path(found.dirname()) / f"{found.basename()}%0{found.zfill()}d{found.extension()}"
    wanted = stated if stated is not None else sorted(files)
    span = range(min([wanted[0], *asked]), max([wanted[-1], *asked]) + 1)
    if missing != "error" and any(number in span for number in files):
        return _opened(ref, pattern, files, span, black=missing == "black")
    clip = _opened(ref, pattern, files, sorted(files))
    return _opened(ref, pattern, files, clip.require(wanted)) if stated is not None else clip


def _numbered(found: FileSequence) -> dict[int, Path]:
    """The files of a sequence by their numbers. Raises ShotError where one is beyond all of them."""
    files = {int(number): Path(found.frame(number)) for number in found.frameSet() or ()}
    for number, path in files.items():
        if abs(number) > LARGEST_NUMBER:
            raise _beyond(path)
    return files


def _beyond(path: Path) -> ShotError:
    hint = "rename the files, or move the one with that number"
    return ShotError("a file has a number that no frame can have", where=str(path), hint=hint)


def _stated(path: Path) -> list[int] | None:
    """The numbers that a pattern itself says it has; None where it says nothing.

    Raises:
        FrameRangeError: absurdly many.
    """
    stated = FileSequence(str(path)).frameSet()
    if stated is None:
        return None
    if len(stated) > MOST_FRAMES:
        hint = "write it like plate.1001-1100#.exr"
        raise FrameRangeError(f"the pattern states {len(stated)} frames", where=path.name, hint=hint)
    return sorted(int(number) for number in stated)


def _opened(
    ref: MediaRef, pattern: Path, files: Mapping[int, Path], numbers: Sequence[int], black: bool = False
) -> SequenceClip:
    """Some frames of a sequence, described by the first file that can be read: nobody may want those before it.

    Numbers without a file are filled by the nearest before, else after them, or by black ones. They are not listed:
    one file with a strange number makes billions of them.
    """
    wanted = numbers if isinstance(numbers, range) else frozenset(numbers)
    there = {number: files[number] for number in sorted(files) if number in wanted}
    filled = Filled(numbers, list(there)) if isinstance(numbers, range) else {}
    broken: MediaUnreadableError | None = None
    for number, file in there.items():
        try:
            info = _described(ref, "sequence", pattern, _compact(numbers), number, file)
        except MediaUnreadableError as error:
            broken = broken or error
        else:
            return SequenceClip(ref, replace(info, filled=filled, black=black), there)
    assert broken is not None
    raise broken


class Filled(Mapping[int, int]):
    """For each number that is not there the one before it that is, else the first one after it.

    Args:
        there: those of the numbers that are there, ascending.
    """

    def __init__(self, numbers: range, there: Sequence[int]) -> None:
        self._numbers, self._there = numbers, there

    def __getitem__(self, number: int) -> int:
        nearest = self._there[max(bisect.bisect(self._there, number) - 1, 0)]
        if nearest == number or number not in self._numbers:
            raise KeyError(number)
        return nearest

    def __iter__(self) -> Iterator[int]:
        return (number for number in self._numbers if number in self)

    def __len__(self) -> int:
        return len(self._numbers) - len(self._there)


def _described(ref: MediaRef, kind: Kind, pattern: Path, numbers: Sequence[int], number: int, file: Path) -> ClipInfo:
    """What one of its files says about a sequence; the timecode reckoned back to that of the first."""
    told = stills.describe(file, ref, kind=kind, numbers=numbers)
    start, rate = told.timecode, told.rate or DEFAULT_RATE
    if start is not None and timecode.countable(start, rate):
        start = timecode.shifted(start, numbers[0] - number, rate)
    return replace(told, path=pattern, timecode=start)


class SequenceClip(Clip):
    """Numbered image files, or one still.

    Args:
        files: of every number that is not filled.
    """

    def __init__(self, ref: MediaRef, info: ClipInfo, files: Mapping[int, Path]) -> None:
        super().__init__(ref, info)
        self._there = files
        self._windows: dict[Path, tuple[Window, Window] | None] = {}

    def content(self, numbers: Sequence[int]) -> str:
        if self.info.kind != "sequence":
            return self.digest()
        files = ((number, self._path(number)) for number in sorted(set(numbers)))
        return self._digest_of(files, f"{self._reading()}\n")

    def paths(self) -> list[Path]:
        return list(self._there.values())

    def _files(self) -> list[tuple[int, Path]]:
        return [(number, self._path(number)) for number in self.info.numbers]

    def describe_by(self, numbers: Sequence[int]) -> None:
        self.require(numbers)
        own = self.info
        number = next((n for n in numbers if n not in own.filled), numbers[0])
        shown = own.filled.get(number, number)
        info = _described(self._ref, own.kind, own.path, own.numbers, shown, self._path(number))
        margins = margins_of(each for each in map(self.windows, numbers) if each is not None)
        width, height = info.shown_size
        width, height = margins[0] + width + margins[2], margins[1] + height + margins[3]
        bounds.check(width, height, own.path)
        self.info = replace(info, width=width, height=height, margins=margins, filled=own.filled, black=own.black)

    def windows(self, number: int) -> tuple[Window, Window] | None:
        path = self._path(number)
        if path not in self._windows:
            self._windows[path] = stills.windows(path)
        return self._windows[path]

    def extent(self, number: int) -> Box | None:
        if self.info.black and number in self.info.filled:
            return NOTHING
        windows = self.windows(number)
        return None if windows is None else extent_of(self.info.margins, (self.info.width, self.info.height), windows)

    def header(self, number: int) -> oiio.ImageSpec | None:
        if number not in self.info.filled:
            return stills.shot_header(self._path(number))
        return None if self.info.black else of_another_frame(stills.shot_header(self._path(number)))

    def _path(self, number: int) -> Path:
        return self._there[self.info.filled.get(number, number)]

    def _read(self, numbers: Sequence[int], size: tuple[int, int] | None, alpha: bool) -> Generator[Frame]:
        for number in numbers:
            frame = self._frame(number, alpha and self.info.has_alpha)
            yield frame if size is None else _fitted(frame, *size)

    def _frame(self, number: int, alpha: bool) -> Frame:
        info = self.info
        if info.black and number in info.filled:
            nothing = np.zeros((info.height, info.width, 3), np.float32)
            return Frame(number, nothing, nothing[..., 0] if alpha else None, NOTHING)
        path = self._path(number)
        frame = stills.read(path, number, alpha, info.margins)
        if alpha and frame.alpha is None and info.display_window is not None:
            # Programs leave it out of a PNG where it is 1 all over; of an EXR nobody does.
            raise MediaUnreadableError(
                f"frame {number} has no alpha channel, as the first one wanted has",
                where=str(path),
                hint="render the frame again with its alpha, or give the matte as a clip of its own",
            )
        height, width = frame.pixels.shape[:2]
        if (width, height) == (info.width, info.height):
            return frame
        left, above, right, below = info.margins
        size, expected = f"{width - left - right}x{height - above - below}", "{}x{}".format(*info.shown_size)
        raise SizeMismatchError(
            f"frame {number} is {size}, but the first one wanted is {expected}",
            where=str(path),
            hint="render the frame again, or choose a range of one size",
        )


def _fitted(frame: Frame, height: int, width: int) -> Frame:
    cover = None if frame.alpha is None else yuv.fit(frame.alpha, height, width)
    return Frame(frame.number, yuv.fit(frame.pixels, height, width), cover)


def _compact(numbers: Sequence[int]) -> Sequence[int]:
    first, last = numbers[0], numbers[-1]
    return range(first, last + 1) if last - first + 1 == len(numbers) else tuple(numbers)


def _matching(path: Path) -> FileSequence:
    if not path.parent.is_dir():
        raise MediaNotFoundError("there is no such folder", where=str(path.parent), hint="check the path")
    try:
        found = FileSequence.findSequenceOnDisk(str(path))
    except FileSeqException as error:
        raise MediaNotFoundError(
            "no file fits this pattern", where=str(path), hint="write it like plate.%04d.exr or plate.####.exr"
        ) from error
    except ArithmeticError:  # fileseq counts with 28 digits
        raise _beyond(path) from None
    if not found.frameSet():
        raise MediaNotFoundError("no numbered file fits this pattern", where=str(path))
    return found


def _only_sequence(folder: Path) -> FileSequence:
    try:
        every = FileSequence.findSequencesOnDisk(str(folder))
    except ArithmeticError:
        raise _beyond(folder) from None
    fitting = [s for s in every if s.frameSet() and s.extension().lower() in IMAGE_SUFFIXES]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise MediaNotFoundError(
            "the folder holds no image sequence", where=str(folder), hint="give a movie or numbered images"
        )
    names = sorted(Path(str(s)).name for s in fitting)
    raise ShotError(
        f"the folder holds {len(names)} sequences: {', '.join(names[:5])}",
        where=str(folder),
        hint="name one of them",
    )
