"""One movie that is being written: it grows aside, and appears under its name when it is finished."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import av

from anyportal_core.frames import Image
from anyportal_core.media import h273
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.mastering import NOTHING_SAID, Mastering
from anyportal_core.media.movie_formats import MOVIE_FORMATS, THREADS, codec_options, layout_of
from anyportal_core.media.output import part_of, remove, storage_errors
from anyportal_core.media.planes import video_frame
from anyportal_core.media.sound import Sound, SoundCopy

Tags = tuple[int, int, int, int]

# Where a VC-3 header tells the matrix of its codes, and how: libav's encoder leaves it at BT.709.
_VC3_COLOUR, _VC3_BT2020 = 0x2C, 1 << 1

_SOUND_RATE, _MOST_TICKS = 48_000, 1_000_000


@dataclass(frozen=True)
class Picture:
    """What a movie shows.

    Args:
        form: of MOVIE_FORMATS.
        size: height and width.
        encoding: what the codes mean, told by ``tags``.
        alpha: whether there is an alpha channel.
        timecode: of the first frame.
        mastering: of HDR.
    """

    form: str
    size: tuple[int, int]
    encoding: Encoding
    tags: Tags
    rate: Fraction
    aspect: Fraction
    alpha: bool
    timecode: str | None
    mastering: Mastering = NOTHING_SAID


class Movie:
    """One file, the same bytes on every run."""

    def __init__(self, path: Path, picture: Picture, sound: Sound | None) -> None:
        self.path, self.has_alpha = path, picture.alpha
        self._picture = picture
        self._part = part_of(path)
        self._layout = layout_of(picture.form, picture.size, picture.encoding.bits, picture.alpha)
        self._count = self._coded = 0
        self._sound: SoundCopy | None = None
        self._container: Any = None
        with storage_errors(path):
            self._file = self._part.open("wb")
            self._sink = _Sink(self._file)
            try:
                self._open(sound)
            except BaseException:
                self.drop()
                raise

    def _open(self, sound: Sound | None) -> None:
        kind = MOVIE_FORMATS[self._picture.form].container
        options = _container_options(kind, self._picture.rate)
        self._container = av.open(self._sink, "w", format=kind, options=options)
        self._stream = self._add_stream()
        if sound is not None:
            self._sound = SoundCopy(sound, self._container, self._container.mux)

    def _add_stream(self) -> Any:
        picture, kind = self._picture, MOVIE_FORMATS[self._picture.form]
        stream = self._container.add_stream(
            kind.codec, rate=picture.rate, options=codec_options(picture.form, self._layout, picture.mastering)
        )
        stream.height, stream.width = picture.size
        stream.pix_fmt = self._layout
        stream.codec_context.sample_aspect_ratio = picture.aspect
        if kind.tag:
            stream.codec_context.codec_tag = kind.tag
        if kind.container == "mp4":
            stream.codec_context.thread_count = THREADS
        h273.tag(stream.codec_context, picture.tags)
        if picture.timecode:
            stream.metadata["timecode"] = picture.timecode
        return stream

    def write(self, pixels: Image, cover: Image | None) -> None:
        frame = video_frame(pixels, self._layout, self._picture.encoding, cover)
        h273.tag(frame, self._picture.tags)
        frame.pts = self._count
        self._count += 1
        with storage_errors(self.path):
            self._mux(frame)
            if self._sound is not None:
                self._sound.until(self._count / self._picture.rate)
            self._sink.check()

    def finish(self) -> None:
        with storage_errors(self.path):
            self._mux(None)
            if self._sound is not None:
                self._sound.until(None)
                self._sound.close()
            self._container.close()
            self._sink.check()
            self._file.close()

    def publish(self) -> None:
        with storage_errors(self.path):
            self._part.replace(self.path)

    def drop(self) -> None:
        if self._sound is not None:
            self._sound.close()
        with suppress(OSError, av.FFmpegError):
            if self._container is not None:
                self._container.close()
        with suppress(OSError):
            self._file.close()
        remove(self._part)

    def _mux(self, frame: Any) -> None:
        ahead = MOVIE_FORMATS[self._picture.form].ahead
        for packet in self._stream.encode(frame):
            if ahead:
                packet.dts = self._coded - ahead
            self._coded += 1
            if self._picture.form == "dnxhr" and self._picture.encoding.matrix == "bt2020":
                header = bytearray(packet)
                header[_VC3_COLOUR] |= _VC3_BT2020
                packet.update(bytes(header))
            self._container.mux(packet)


class _Sink:
    """A file that fails once: afterwards all is written into the void.

    libav tidies up after an error, which would fail again, and PyAV can carry one error and prints the others.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def write(self, content: bytes) -> int:
        return self._tried(lambda: self._file.write(content))

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._tried(lambda: self._file.seek(offset, whence))

    def tell(self) -> int:
        return self._tried(self._file.tell)

    def check(self) -> None:
        """Raise what went wrong, whether or not libav minded."""
        if self._error is not None:
            raise self._error

    def _tried(self, call: Callable[[], int]) -> int:
        try:
            return call()
        except OSError as error:
            self._error, self._file = error, BytesIO()
            raise


def _container_options(container: str, rate: Fraction) -> dict[str, str]:
    # bitexact leaves out the writing library's version; MP4 writes a timecode track only when told to. In the usual
    # milliseconds, neither the length of a film nor where sound begins could be told exactly.
    ticks = math.lcm(_SOUND_RATE, rate.numerator)
    scale = str(ticks if ticks <= _MOST_TICKS else _SOUND_RATE)
    return {"fflags": "+bitexact", "movie_timescale": scale, **({"write_tmcd": "1"} if container == "mp4" else {})}
