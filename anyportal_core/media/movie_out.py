"""Movies out: H.264 in MP4, ProRes in QuickTime; tagged as they are encoded, the same bytes on every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np

from anyportal_core.frames import Image
from anyportal_core.media import h273, timecode, yuv
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import Encoding, convert
from anyportal_core.media.output import Written, part_of, remove, result_name, shown_gain, storage_errors
from anyportal_core.media.planes import video_frame
from anyportal_core.media.png import integer_encoding

# What x264 makes depends on its thread counts, and with several now and then on chance, so there is one; a short
# lookahead keeps the memory of five layers small.
_THREADS = 1

# x264's code for AVX-512 reads memory that nobody has written: 10 different files in 20 runs were seen. Named are the
# kinds that every processor with AVX-512 has beside it.
_WITHOUT_AVX512 = "mmx2,sse2,sse2fast,ssse3,sse4.1,sse4.2,avx,fma3,bmi1,bmi2,avx2"
_CPU_AVX_512F = 13  # of cv::CpuFeatures, which have no names in Python
_ASM = f":asm={_WITHOUT_AVX512}" if cv2.checkHardwareSupport(_CPU_AVX_512F) else ""
_X264 = {
    "crf": "12",
    "preset": "veryfast",
    "x264-params": f"threads={_THREADS}:lookahead-threads=1:sliced-threads=0:rc-lookahead=10:sync-lookahead=0{_ASM}",
}

# A QuickTime timecode track counts frames in one byte.
_MOST_TIMECODE_RATE = 240


class MovieWriter:
    """One movie a layer, begun with the first frame.

    Pixels are in the plate's encoding with the plate's tags (scene-linear and film log plates become sRGB).
    A ProRes ``foreground`` carries the matte as its alpha where both are delivered.
    """

    def __init__(
        self, form: str, folder: Path, stem: str, layers: Sequence[str], info: ClipInfo, rate: Fraction
    ) -> None:
        self._form, self._folder, self._stem = form, folder, stem
        self._layers, self._info, self._rate = tuple(layers), info, rate
        self._encoding = movie_encoding(info, form)
        self._movies: dict[str, _Movie] = {}

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        if not self._movies:
            self._movies = {layer: self._begin(layer, number, layers) for layer in self._layers}
        for layer, movie in self._movies.items():
            cover = layers["matte"] if movie.has_alpha else None
            movie.write(self._pixels(layer, layers[layer]), cover)
        return []

    def close(self) -> list[Written]:
        try:
            for movie in self._movies.values():
                movie.finish()
            for movie in self._movies.values():
                movie.publish()
        except BaseException:
            self.abort()
            raise
        written = [Written((layer,), movie.path, None) for layer, movie in self._movies.items()]
        self._movies = {}
        return written

    def abort(self) -> None:
        for movie in self._movies.values():
            movie.drop()
        self._movies = {}

    def _begin(self, layer: str, number: int, layers: Mapping[str, Image]) -> _Movie:
        info = self._info
        path = self._folder / result_name(self._stem, layer, self._form)
        alpha = self._form == "prores" and layer == "foreground" and "matte" in self._layers
        height, width = layers[layer].shape[:2]
        return _Movie(path, self._form, (height, width), self._encoding, self._rate, info, alpha, self._start(number))

    def _start(self, number: int) -> str | None:
        """The timecode of the first frame delivered.

        A part of a plate that has none counts from the plate's beginning, else hosts would take it for that.
        """
        later = number - self._info.numbers[0]
        own = self._info.timecode
        if own is None or not timecode.countable(own, self._rate):
            own = "00:00:00:00" if later else None
        if own is None or self._rate > _MOST_TIMECODE_RATE:
            return None
        return timecode.shifted(own, later, self._rate)

    def _pixels(self, layer: str, image: Image) -> Image:
        if layer == "matte":
            return image
        if layer == "gain":
            return shown_gain(image)
        pixels = convert(image, self._info.encoding, self._encoding)
        # Clipped here, colours keep their hue; in Y'CbCr one channel's excess would spill into the others.
        low, high = (0.0, 1.0) if pixels is not image else yuv.reach(self._encoding)
        return np.clip(pixels, low, high)


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


class _Movie:
    """One file that grows aside."""

    def __init__(
        self,
        path: Path,
        form: str,
        size: tuple[int, int],
        encoding: Encoding,
        rate: Fraction,
        info: ClipInfo,
        alpha: bool,
        start: str | None,
    ) -> None:
        self.path, self.has_alpha = path, alpha
        self._part = part_of(path)
        self._encoding = encoding
        self._layout = _layout(form, size, encoding.bits, alpha)
        self._tags = _tags(encoding, info)
        self._count = 0
        with storage_errors(path):
            self._file = self._part.open("wb")
            self._sink = _Sink(self._file)
            self._container: Any = av.open(
                self._sink, "w", format="mp4" if form == "mp4" else "mov", options=_container_options(form)
            )
            self._stream = self._add_stream(form, size, rate, info.pixel_aspect, start)

    def _add_stream(self, form: str, size: tuple[int, int], rate: Fraction, aspect: Fraction, start: str | None) -> Any:
        four = self._layout.startswith("yuv") and "444" in self._layout
        profile = {"profile": "4444" if four else "hq", "vendor": "apl0", "alpha_bits": "16"}
        name, options = ("libx264", _X264) if form == "mp4" else ("prores_ks", profile)
        stream = self._container.add_stream(name, rate=rate, options=dict(options))
        stream.height, stream.width = size
        stream.pix_fmt = self._layout
        stream.codec_context.sample_aspect_ratio = aspect
        if form == "mp4":
            stream.codec_context.thread_count = _THREADS
        h273.tag(stream.codec_context, self._tags)
        if start:
            stream.metadata["timecode"] = start
        return stream

    def write(self, pixels: Image, cover: Image | None) -> None:
        frame = video_frame(pixels, self._layout, self._encoding, cover)
        h273.tag(frame, self._tags)
        frame.pts = self._count
        self._count += 1
        with storage_errors(self.path):
            self._container.mux(self._stream.encode(frame))
            self._sink.check()

    def finish(self) -> None:
        with storage_errors(self.path):
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._sink.check()
            self._file.close()

    def publish(self) -> None:
        with storage_errors(self.path):
            self._part.replace(self.path)

    def drop(self) -> None:
        with suppress(OSError, av.FFmpegError):
            self._container.close()
        with suppress(OSError):
            self._file.close()
        remove(self._part)


def movie_encoding(info: ClipInfo, form: str) -> Encoding:
    """What a movie's codes mean: the plate's own where it is a movie; else video range, BT.709 or BT.2020 matrix."""
    plate = integer_encoding(info.encoding)
    if plate.transfer == "cineon":
        plate = replace(plate, transfer="srgb")
    matrix, full_range = plate.matrix, plate.full_range
    if matrix == "rgb":
        matrix, full_range = ("bt2020" if plate.primaries == "bt2020" else "bt709"), False
    if form == "prores":
        return replace(plate, matrix=matrix, full_range=False, bits=10)
    deep = info.kind == "movie" and plate.bits > 8
    return replace(plate, matrix=matrix, full_range=full_range, bits=10 if deep else 8)


def _layout(form: str, size: tuple[int, int], bits: int, alpha: bool) -> str:
    """Chroma at half size where the size is even, else at full size, so that no pixel is lost."""
    if alpha:
        return "yuva444p10le"
    odd = size[0] % 2 or size[1] % 2
    if form == "prores":
        return "yuv444p10le" if size[1] % 2 else "yuv422p10le"
    return f"yuv{'444' if odd else '420'}p{'10le' if bits == 10 else ''}"


def _container_options(form: str) -> dict[str, str]:
    # bitexact leaves out the writing library's version; MP4 writes a timecode track only when told to.
    return {"fflags": "+bitexact", **({"write_tmcd": "1"} if form == "mp4" else {})}


def _tags(encoding: Encoding, info: ClipInfo) -> tuple[int, int, int, int]:
    """Codes of H.273; primaries and transfer exactly as the plate's stream has them where they are its own."""
    primaries, transfer, matrix, span = h273.tags_of(encoding)
    if info.kind == "movie" and info.encoding.transfer == encoding.transfer:
        primaries, transfer = info.colour_tags
    return primaries, transfer, matrix, span
