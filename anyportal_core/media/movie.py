"""Movies through PyAV: one video stream, frame-accurate, upright, with its own matrix, range and bit depth."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from anyportal_core.errors import FrameRangeError, MediaUnreadableError, SizeMismatchError
from anyportal_core.frames import Image
from anyportal_core.media import h273, timecode, yuv
from anyportal_core.media.clip import Clip, ClipInfo, Frame
from anyportal_core.media.encoding import named
from anyportal_core.media.mastering import mastering_of
from anyportal_core.media.movie_content import packets_digest
from anyportal_core.media.movie_decoder import Decoder
from anyportal_core.media.movie_file import open_file, unreadable
from anyportal_core.media.movie_index import MovieIndex, counted, index_movie, is_variable, rate_of
from anyportal_core.media.movie_length import is_cut, truncated
from anyportal_core.media.planes import alpha_plane, colour_planes, has_alpha, planar
from anyportal_core.media.sound import Sound, sound_of
from anyportal_core.shot import MediaRef, Span


def open_movie(ref: MediaRef) -> Clip:
    """Open a movie: list its frames and decode the first one to know what it is.

    Raises:
        MediaNotFoundError, MediaUnreadableError: with what is wrong and what to do.
    """
    path = Path(ref.path)
    with closing(open_file(path)) as container:
        stream = _video_stream(container, path)
        try:
            index = index_movie(container, stream, path)
        except av.FFmpegError as error:
            raise unreadable(path, error) from error
        start = _timecode(container)
    with closing(open_file(path)) as container:
        stream = _video_stream(container, path)
        first, second = _first_frames(container, stream, path, len(index.times))
        index = _starting_at(index, first)
        if index.seekable and second is not None and second.pts != index.times[1:][:1]:
            index = counted(path, stream, index)  # as where each of two fields is a packet
        own_rate = rate_of(stream, index)
        uneven = is_variable(stream, index, own_rate)
        orientation = _orientation(first)
        info = _describe(ref, stream, first, orientation[0] % 2 == 1, len(index.times))
        info = replace(info, rate=ref.rate or own_rate, variable_rate=uneven, timecode=start)
        if ref.span:
            info, own_rate = _whole(info, ref, ref.span), ref.span.rate
        timing = Timing(stream.time_base or Fraction(0), own_rate)
        return MovieClip(ref, info, index, stream.index, orientation, _form(first), timing)


def _whole(info: ClipInfo, ref: MediaRef, span: Span) -> ClipInfo:
    """What is known about the movie that a span is a part of."""
    held = len(info.numbers)
    if not 0 <= span.first <= span.first + held <= span.count:
        raise MediaUnreadableError(
            f"it holds {held} frames, which are not {span.first} and those after it of {span.count}",
            where=str(info.path),
            hint="submit the shot again",
        )
    start = timecode.valid(span.timecode)
    return replace(info, numbers=range(span.count), rate=ref.rate or span.rate, timecode=start, variable_rate=False)


class Timing(NamedTuple):
    """How a movie's times are counted: seconds a tick, and frames a second as it says itself, where it does."""

    tick: Fraction
    rate: Fraction | None


class MovieClip(Clip):
    """A movie whose frames are told by their times of presentation."""

    def __init__(
        self,
        ref: MediaRef,
        info: ClipInfo,
        index: MovieIndex,
        stream_index: int,
        orientation: tuple[int, bool],
        form: tuple[int, int, int],
        timing: Timing,
    ) -> None:
        super().__init__(ref, info)
        self._timing = timing
        self._index = index
        self._stream_index = stream_index
        self._orientation = orientation
        self._form = form

    def _files(self) -> list[tuple[int, Path]]:
        return [(0, self.info.path)]

    @property
    def _first(self) -> int:
        """The number of the file's first frame."""
        return self._ref.span.first if self._ref.span else 0

    def require(self, numbers: Iterable[int] | None = None) -> Sequence[int]:
        wanted = super().require(numbers)
        held = range(self._first, self._first + len(self._index.times))
        if wanted[0] not in held or wanted[-1] not in held:
            raise FrameRangeError(
                f"frames {wanted[0]}-{wanted[-1]} are asked for, but only {held[0]}-{held[-1]} were sent",
                where=str(self.info.path),
                hint="send the whole movie",
            )
        return wanted

    def sound(self, numbers: Sequence[int], rate: Fraction) -> tuple[Sound | None, list[str]]:
        """The sound of ascending frames, for a result of so many frames a second; what to say where there is none."""
        own = self._timing.rate
        origin = self._first / own if own else Fraction(0)
        return sound_of(self.info.path, numbers, self._shown(numbers), rate, own, origin)

    def _shown(self, numbers: Sequence[int]) -> tuple[Fraction, Fraction] | None:
        """When the first of some frames is shown and the last is no more, in seconds; None where it is not said."""
        (tick, rate), times = self._timing, self._index.times
        first, after = numbers[0] - self._first, numbers[-1] - self._first + 1
        if rate is None:
            return None
        if not self._index.seekable or not tick:  # an AVI shows its frames evenly
            return first / rate, after / rate
        stop = int(times[after]) * tick if after < len(times) else int(times[-1]) * tick + 1 / rate
        return int(times[first]) * tick, stop

    def content(self, numbers: Sequence[int]) -> str:
        wanted = range(numbers[0] - self._first, numbers[-1] - self._first + 1)
        reading = (*self._reading(), self._orientation)
        with closing(open_file(self.info.path)) as container:
            stream = _video_stream(container, self.info.path)
            return packets_digest(container, stream, self._index, wanted, repr(reading)) or self.digest()

    def _read(self, numbers: Sequence[int], size: tuple[int, int] | None, alpha: bool) -> Generator[Frame]:
        wanted = iter(numbers)
        number = next(wanted)
        first = self._first
        with closing(Decoder(self.info.path, self._stream_index, self._index)) as decoder:
            while True:
                yield self._finished(number, decoder.frame(number - first), size, alpha)
                following = next(wanted, None)
                if following is None:
                    return
                number = following

    def _finished(self, number: int, raw: VideoFrame, size: tuple[int, int] | None, alpha: bool) -> Frame:
        self._check_form(number, raw)
        turn, flip = self._orientation
        stored = (size[1], size[0]) if size and turn % 2 else size
        pixels = yuv.to_rgb(colour_planes(raw), self.info.encoding, stored)
        cover: Image | None = None
        if alpha and self.info.has_alpha:
            height, width = stored or pixels.shape[:2]
            cover = np.clip(yuv.fit(alpha_plane(raw), height, width), 0, 1)
            cover = _upright(cover, turn, flip)
        return Frame(number, _upright(pixels, turn, flip), cover)

    def _check_form(self, number: int, raw: VideoFrame) -> None:
        form = _form(raw)
        if form != self._form:
            (width, height, bits), (w, h, b) = form, self._form
            raise SizeMismatchError(
                f"frame {number} is stored with {width}x{height} pixels of {bits} bits, the first with {w}x{h} of {b}",
                where=str(self.info.path),
                hint="choose a range of one size, or export the movie again in one",
            )


def _form(frame: VideoFrame) -> tuple[int, int, int]:
    """Width, height, and bits of a component."""
    return frame.width, frame.height, frame.format.components[0].bits


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            _check_codec(stream, path)
            return stream
    if is_cut(path):
        raise truncated(path, 0)
    what = "sound but no picture" if container.streams.audio else "no picture"
    raise MediaUnreadableError(f"the file holds {what}", where=str(path), hint="give a file with a video track")


def _check_codec(stream: VideoStream, path: Path) -> None:
    context: Any = stream.codec_context  # typed as always there
    if context is None:
        raise MediaUnreadableError(
            "its picture is of a codec that is not known here", where=str(path), hint="export it in another codec"
        )


def _first_frames(
    container: InputContainer, stream: VideoStream, path: Path, promised: int
) -> tuple[VideoFrame, VideoFrame | None]:
    frames = container.decode(stream)
    try:
        first = next(frames)
    except StopIteration:
        raise truncated(path, 0, promised) from None
    except av.FFmpegError as error:
        raise unreadable(path, error) from error
    try:
        return first, next(frames, None)
    except av.FFmpegError:
        return first, None  # told when it is reached


def _starting_at(index: MovieIndex, first: VideoFrame) -> MovieIndex:
    """Drop leading frames that refer to a key frame before the cut, which no decoder can give."""
    if not index.seekable or first.pts is None or first.pts <= index.times[0]:
        return index
    return MovieIndex(index.times[index.times >= first.pts], index.packets, index.keys)


def _describe(ref: MediaRef, stream: VideoStream, first: VideoFrame, turned: bool, count: int) -> ClipInfo:
    """What the picture is; nothing yet about time."""
    mastering = mastering_of(first)
    first = planar(first)
    encoding = h273.encoding_of(first, stream.codec_context, where=str(ref.path))
    if ref.colour_space:
        encoding = named(ref.colour_space, encoding, ref.colour_config)
    aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
    return ClipInfo(
        path=Path(ref.path),
        kind="movie",
        width=first.height if turned else first.width,
        height=first.width if turned else first.height,
        rate=None,
        numbers=range(count),
        encoding=encoding,
        storage="uint8" if encoding.bits <= 8 else "uint16",
        has_alpha=has_alpha(first.format),
        pixel_aspect=1 / aspect if turned else aspect,
        colour_tags=h273.colour_tags(first, stream.codec_context),
        mastering=mastering,
    )


def _timecode(container: InputContainer) -> str | None:
    places = [container.metadata, *(s.metadata for s in container.streams)]
    return next((m["timecode"] for m in places if timecode.valid(m.get("timecode"))), None)


def _orientation(frame: VideoFrame) -> tuple[int, bool]:
    """Quarter turns anticlockwise, and whether to mirror left-right after them, to show a movie upright.

    To be asked once: looking at side data ties a frame into a cycle that only the garbage collector undoes.
    """
    side_data: Any = frame.side_data  # typed as a mapping, but iterates over the data themselves
    found = [bytes(data) for data in side_data if data.type == SideDataType.DISPLAYMATRIX]
    if not found:
        return 0, False
    a, b, _, c, d, *_ = np.frombuffer(found[0], np.int32)
    mirrored = int(a) * int(d) - int(b) * int(c) < 0
    if mirrored:
        a = -a
    turns = round(np.degrees(np.arctan2(-int(b), int(a))) / 90) % 4
    return turns, mirrored


def _upright(image: Image, turns: int, mirrored: bool) -> Image:
    if turns:
        image = np.rot90(image, turns)
    if mirrored:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
