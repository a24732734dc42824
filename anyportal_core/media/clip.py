"""A clip: frames with numbers, from a movie, an image sequence or a still, behind one interface."""

from __future__ import annotations

import bisect
import hashlib
import weakref
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from anyportal_core.errors import FrameRangeError, MediaUnreadableError, MissingFramesError
from anyportal_core.frames import FrameSet, Image
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.mastering import NOTHING_SAID, Mastering
from anyportal_core.media.windows import NO_MARGINS, Box, Margins, Window
from anyportal_core.shot import MediaRef, MissingFrames

if TYPE_CHECKING:
    import OpenImageIO as oiio

Kind = Literal["movie", "sequence", "still"]
Storage = Literal["uint8", "uint16", "half", "float"]
DEFAULT_RATE = Fraction(24)
"""Frames a second of what does not say."""
_MOST_RUNS = 20
"""Of frame numbers that an error lists."""


@dataclass(frozen=True)
class ClipInfo:
    """What is known about a clip without decoding it; of a sequence, what one of its files says.

    Args:
        path: what was opened: a movie, a still, or the pattern of a sequence.
        kind: movies and stills count from 0; sequences keep the numbers of their files.
        width, height: of the upright picture in pixels; of an EXR of all that its frames have, see ``margins``.
        rate: frames a second; None for stills, sequences and raw streams that do not say.
        numbers: the frame numbers that exist, ascending.
        encoding: what the pixel values mean.
        storage: the number type of the file.
        alpha_straight: whether the file declares its colours not to be multiplied by its alpha; None: it says nothing.
        pixel_aspect: width of a pixel over its height.
        variable_rate: whether frames lie so unevenly in time that counting them at ``rate`` moves some by more
            than half a frame.
        timecode: of the first frame, ``HH:MM:SS:FF``.
        colour_tags: primaries and transfer as the stream tags them (codes of H.273, 2 = not said), for the way out.
        mastering: what an HDR movie says of the monitor that it was graded on, and of its light.
        display_window, data_window: of an EXR; each frame of a sequence has its own (see ``Clip.windows``).
        margins: of the picture, around the display window: the frames' overscan.
        date: when the plate was made, as image files write it (``YYYY:MM:DD HH:MM:SS``); results carry it.
        layer: of an EXR: which layer is read, where it has several and none of plain ``R, G, B``.
        filled: numbers that have no file, and for each the one whose place it has: the nearest before, else after it.
        black: those are black; else they show that frame.
    """

    path: Path
    kind: Kind
    width: int
    height: int
    rate: Fraction | None
    numbers: Sequence[int]
    encoding: Encoding
    storage: Storage
    has_alpha: bool = False
    alpha_straight: bool | None = None
    pixel_aspect: Fraction = Fraction(1)
    variable_rate: bool = False
    timecode: str | None = None
    colour_tags: tuple[int, int] = (2, 2)
    mastering: Mastering = NOTHING_SAID
    display_window: Window | None = None
    data_window: Window | None = None
    date: str = ""
    layer: str = ""
    margins: Margins = NO_MARGINS
    filled: Mapping[int, int] = field(default_factory=dict)
    black: bool = False

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height of what is shown: without overscan."""
        left, above, right, below = self.margins
        return self.width - left - right, self.height - above - below


@dataclass(frozen=True)
class Frame:
    """One frame: ``pixels`` ``(H, W, 3)`` float32 in the clip's encoding, not clamped; ``alpha`` ``(H, W)`` 0..1.

    ``extent`` is where there are pixels at all, for frames of full size; None: everywhere.
    """

    number: int
    pixels: Image
    alpha: Image | None = field(default=None)
    extent: Box | None = None


class Clip(ABC):
    """Frames by number. Every call of ``frames`` reads for itself, so readers do not disturb each other."""

    def __init__(self, ref: MediaRef, info: ClipInfo) -> None:
        self._ref = ref
        self.info = info
        self._readers: weakref.WeakSet[Generator[Frame]] = weakref.WeakSet()

    def frames(
        self,
        numbers: Iterable[int] | None = None,
        size: tuple[int, int] | None = None,
        alpha: bool = False,
    ) -> Iterator[Frame]:
        """The frames asked for, ascending; all of them by default.

        Args:
            size: ``(h, w)`` to decode to, areas averaged: much cheaper than the full size.
            alpha: whether to read the alpha channel, where there is one.

        Raises:
            FrameRangeError, MissingFramesError: as ``require``, at once.
            InputError: a frame that cannot be used, when it is reached.
        """
        reader = self._read(self.require(numbers), size, alpha)
        self._readers.add(reader)
        return reader

    def repeating(
        self, numbers: Sequence[int], size: tuple[int, int] | None = None, alpha: bool = False
    ) -> Iterator[Frame]:
        """A frame for each of ascending numbers, which may repeat; each is read once. Otherwise as ``frames``."""
        coming, frame = self.frames(numbers, size, alpha), None
        for number in numbers:
            if frame is None or frame.number != number:
                frame = next(coming)
            yield frame

    def require(self, numbers: Iterable[int] | None = None) -> Sequence[int]:
        """The numbers, ascending, without repeats, after checking that all of them exist.

        None means everything from the first frame to the last.

        Raises:
            FrameRangeError: a number before the first frame or after the last.
            MissingFramesError: a hole in the sequence.
        """
        have = self.info.numbers
        if numbers is None:
            wanted: Sequence[int] = have if isinstance(have, range) else range(have[0], have[-1] + 1)
        elif isinstance(numbers, range) and numbers.step == 1:
            wanted = numbers
        else:
            wanted = sorted(set(numbers))
        if not wanted:
            raise FrameRangeError("no frames are asked for", where=str(self.info.path))
        if wanted[0] < have[0] or wanted[-1] > have[-1]:
            raise FrameRangeError(
                f"frames {listed(wanted)} are asked for, but the clip has {listed(have)}",
                where=str(self.info.path),
                hint=f"choose frames within {have[0]}-{have[-1]}",
            )
        if not isinstance(have, range):
            self._refuse_holes(list(_holes(wanted, have)))
        return wanted

    def _refuse_holes(self, missing: list[tuple[int, int]]) -> None:
        """Raises MissingFramesError where there are any: runs of numbers, for a hole may be wider than any memory."""
        if missing:
            count = sum(last - first + 1 for first, last in missing)
            verb = "is" if count == 1 else "are"
            raise MissingFramesError(
                f"{count} of the frames {verb} missing: {_listed(missing)}",
                where=str(self.info.path),
                hint="render or copy the missing frames, choose a range without them, or have them filled "
                "(missing: hold or black)",
            )

    def digest(self) -> str:
        """SHA-256 over the content: the bytes of a movie or still; numbers and digests of a sequence's files."""
        if self._ref.digest:
            return self._ref.digest
        files = self._files()
        if self.info.kind != "sequence":
            return self._file_digest(files[0][1])
        return self._digest_of(files)

    def content(self, numbers: Sequence[int]) -> str:
        """What identifies the decoded frames: the same for every clip that has the same ones under these numbers.

        As far as can be told without decoding: of a sequence by the files of these frames and how they are
        understood; of a movie by the packets that they are decoded from, or by the whole file where those cannot be
        told apart.
        """
        return self.digest()

    def _reading(self) -> tuple[object, ...]:
        """What decides, beside what is stored, which pixels a frame has."""
        info = self.info
        return info.width, info.height, info.margins, info.pixel_aspect, info.encoding, info.has_alpha

    def _digest_of(self, files: Iterable[tuple[int, Path]], head: str = "") -> str:
        black = self.info.filled if self.info.black else ()
        lines = (f"{number}:{'black:' * (number in black)}{self._file_digest(path)}\n" for number, path in files)
        return hashlib.sha256((head + "".join(lines)).encode()).hexdigest()

    def _file_digest(self, path: Path) -> str:
        return self._ref.digests.get(path.name) or file_digest(path)

    def describe_by(self, numbers: Sequence[int]) -> None:  # noqa: B027 (a movie says the same wherever one looks)
        """Have the frames that are wanted say what the clip is, since others may differ.

        The first says what it is, all of them how far its picture goes beyond the display window.

        Raises:
            FrameRangeError, MissingFramesError, MediaUnreadableError: one is not there, or no image.
            ShotError: the picture is too large.
        """

    def windows(self, number: int) -> tuple[Window, Window] | None:
        """Display and data window of a frame that exists; None where the medium has none."""
        return None

    def extent(self, number: int) -> Box | None:
        """Where a frame of full size has pixels, as ``Frame.extent``, without decoding it."""
        return None

    def header(self, number: int) -> oiio.ImageSpec | None:
        """What the file of a frame says about the shot; None where it is no image file."""
        return None

    def paths(self) -> list[Path]:
        """The files that it is read from."""
        return [path for _, path in self._files()]

    def close(self) -> None:
        """Stop all readers, and so close their files."""
        for reader in list(self._readers):
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _read(self, numbers: Sequence[int], size: tuple[int, int] | None, alpha: bool) -> Generator[Frame]: ...

    @abstractmethod
    def _files(self) -> list[tuple[int, Path]]: ...


def open_clip(ref: MediaRef, missing: MissingFrames = "error", asked: Sequence[int] = ()) -> Clip:
    """Open a movie, a still or a sequence, whichever the reference names.

    Args:
        missing: what stands in for frames that a sequence lacks between its first and its last, or those it is stated
            to have.
        asked: numbers that it lacks, too, where it has no files for them, though they lie before or after all others.

    Raises:
        MediaNotFoundError: nothing is there.
        MediaUnreadableError: something is there that holds no picture, or is cut short.
        UnknownNameError: the reference's colour space.
    """
    from anyportal_core.media import movie, sequences

    path = Path(ref.path)
    if sequences.is_pattern(path) or path.is_dir():
        return sequences.open_sequence(ref, missing, asked)
    if sequences.is_image(path):
        return sequences.open_still(ref)
    return movie.open_movie(ref)


def place_of(numbers: Sequence[int], number: int) -> int:
    """The index of a number that is known to be among ascending ``numbers``."""
    return bisect.bisect_left(numbers, number)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, remembered for as long as its size and time of change stay the same."""
    try:
        status = path.stat()
        return _file_digest(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise MediaUnreadableError(
            f"cannot be read ({error.strerror})", where=str(path), hint="check the path and its permissions"
        ) from error


@lru_cache(maxsize=65536)
def _file_digest(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed(numbers: Sequence[int]) -> str:
    """A set of numbers as text, shortened where it has very many runs."""
    whole = isinstance(numbers, range)
    return _listed([(numbers[0], numbers[-1])] if whole else list(FrameSet(tuple(numbers)).runs()))


def _listed(runs: Sequence[tuple[int, int]]) -> str:
    texts = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs[:_MOST_RUNS]]
    return ",".join(texts if len(runs) <= _MOST_RUNS else [*texts, f"... ({len(runs) - _MOST_RUNS} more runs)"])


def _holes(wanted: Sequence[int], have: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The runs of ascending numbers that are wanted and not among those there are."""
    if not isinstance(wanted, range):
        present = frozenset(have)
        lacking = tuple(number for number in wanted if number not in present)
        yield from FrameSet(lacking).runs() if lacking else ()
        return
    following = wanted[0]
    for number in (*have[place_of(have, wanted[0]) : bisect.bisect_right(have, wanted[-1])], wanted[-1] + 1):
        if number > following:
            yield following, number - 1
        following = number + 1
