"""Parts of movies: the packets that a range of frames is decoded from, in a file of their own, not encoded anew.

A part stands for the whole movie as far as its frames go: it carries their numbers, the whole movie's rate and
timecode, and the same packets of picture and sound, so the same pixels; sound stays with them to one of its ticks.
Where that cannot be promised there is no part, and a reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyportal_client.packets import Shown, WholeNeeded, exact, listed, packets_from, picture
from anyportal_client.sounds import SoundCopy, Stretch, check_alike

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_WORTH = 0.9
"""A part is made where it has at most this share of the movie's bytes."""


@dataclass(frozen=True)
class Span:
    """A part's place in the whole movie: its first frame's number and the whole's frames, rate and timecode."""

    first: int
    count: int
    rate: Fraction
    timecode: str


def cut_span(source: Path, first: int, last: int, target: Path, checkpoint: Callable[[], None] = lambda: None) -> Span:
    """Write the packets that some frames of a movie need to a file.

    Args:
        first, last: numbers of frames, both ends included; as far as the movie has them.
        checkpoint: called often; may raise to stop.

    Raises:
        WholeNeeded: the movie has to be sent as it is.
    """
    import av

    try:
        with closing(av.open(str(source), metadata_errors="replace")) as movie:
            stream = picture(movie)
            packets = listed(movie, stream, checkpoint)
            _check_frames(source, packets)
            span, stop = _place(movie, stream, packets, first, last)
            stretch = _stretch(stream, packets, span, stop)
        _check_worth(packets, span.first, stop, source)
        _copy(source, target, packets, (span.first, stop), stretch, checkpoint)
        _check_alike(source, target, packets, span.first, stop)
        check_alike(source, target, stretch)
    except (av.FFmpegError, OSError, ValueError) as error:
        target.unlink(missing_ok=True)
        raise WholeNeeded(f"its container cannot be cut ({getattr(error, 'strerror', None) or error})") from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return span


def _place(
    movie: InputContainer, stream: VideoStream, packets: Sequence[Shown], first: int, last: int
) -> tuple[Span, int]:
    """The span that holds these frames, and the number after its last frame.

    Packets can be parted where all that were decoded so far are shown before all that follow: before place ``i`` lie
    exactly the frames 0 to ``i - 1`` then. A part begins at such a place with a key frame: none after it needs, or is
    shown before, anything that came earlier.
    """
    count = len(packets)
    first, last = max(first, 0), min(last, count - 1)
    if first > last:
        raise WholeNeeded("")
    rate = _rate(stream, sorted(each.time for each in packets))
    latest = list(accumulate((each.time for each in packets), max))
    earliest = list(accumulate((each.time for each in reversed(packets)), min))[::-1]
    cuts = [0, *(i for i in range(1, count) if latest[i - 1] < earliest[i]), count]
    starts = [i for i in cuts[:-1] if packets[i].key and packets[i].time == earliest[i]]
    if not starts or starts[0] != 0:
        raise WholeNeeded("it does not begin with a key frame")
    start = max(i for i in starts if i <= first)
    return Span(start, count, rate, _timecode(movie)), next(i for i in cuts if i > last)


def _check_frames(source: Path, packets: Sequence[Shown]) -> None:
    """Make sure that packets are frames: of interlaced movies, each may hold one of two fields."""
    import av

    with closing(av.open(str(source), metadata_errors="replace")) as movie:
        begun = [frame.pts for frame in islice(movie.decode(picture(movie)), 2)]
    if begun != sorted(each.time for each in packets)[:2]:
        raise WholeNeeded("its packets are not its frames")


def _check_worth(packets: Sequence[Shown], start: int, stop: int, source: Path) -> None:
    """Refuse, without a word, what would save little."""
    if sum(each.size for each in packets[start:stop]) > _WORTH * source.stat().st_size:
        raise WholeNeeded("")


def _rate(stream: VideoStream, times: Sequence[int]) -> Fraction:
    """The stated rate, where every frame is shown when it says: the daemon would find the same in the whole movie."""
    base = stream.time_base
    if base is None:
        raise WholeNeeded("it does not say how fast it runs")
    steps, length = len(times) - 1, (times[-1] - times[0]) * base
    for rate in (Fraction(each) for each in (stream.guessed_rate, stream.average_rate) if each):
        if steps and abs(steps / rate - length) <= base:
            if all(abs((time - times[0]) * base - i / rate) <= min(base, 1 / rate / 2) for i, time in enumerate(times)):
                return rate
            break
    raise WholeNeeded("its frame rate varies")


def _timecode(movie: InputContainer) -> str:
    places = [movie.metadata, *(stream.metadata for stream in movie.streams)]
    return next((place["timecode"] for place in places if place.get("timecode")), "")


def _stretch(stream: VideoStream, packets: Sequence[Shown], span: Span, stop: int) -> Stretch:
    """When the frames of a part are shown in the whole movie."""
    times, base = sorted(each.time for each in packets), stream.time_base or Fraction(1)
    end = times[stop] * base if stop < len(times) else times[-1] * base + 1 / span.rate
    return times[span.first] * base, end


def _copy(
    source: Path,
    target: Path,
    packets: Sequence[Shown],
    places: tuple[int, int],
    stretch: Stretch,
    checkpoint: Callable[[], None],
) -> None:
    """Write some packets, and the sound that is heard with them, to a file of the same kind.

    Nothing of it depends on when it is made.
    """
    import av

    first, stop = places
    times = sorted(each.time for each in packets[first:stop])
    delay = max(shown - each.time for shown, each in zip(times, packets[first:stop], strict=True))
    with (
        closing(av.open(str(source), metadata_errors="replace")) as movie,
        closing(av.open(str(source), metadata_errors="replace")) as again,
    ):
        stream = picture(movie)
        kind = "matroska" if "matroska" in movie.format.name else _movie_kind(source)
        with av.open(str(target), "w", format=kind, options={"fflags": "+bitexact"}) as part:
            copy = part.add_stream_from_template(stream)
            copy.time_base = stream.time_base
            if "mov" in movie.format.name:  # it tells kinds of ProRes apart, and so how deep the pixels are
                copy.codec_context.codec_tag = stream.codec_context.codec_tag
            sound = SoundCopy(again, part, stretch)
            for packet, shown in zip(
                islice(packets_from(movie, stream, packets[first].time), stop - first), times, strict=True
            ):
                checkpoint()
                packet.pts = exact(packet.pts) - times[0]
                packet.dts = shown - delay - times[0]  # Matroska has none; these rise, and come before they are shown
                packet.stream = copy
                sound.until(packet.pts * (stream.time_base or Fraction(1)))
                part.mux(packet)
            sound.until(None)


def _movie_kind(source: Path) -> str:
    return "mov" if source.suffix.lower() in (".mov", ".qt") else "mp4"


def _check_alike(source: Path, target: Path, packets: Sequence[Shown], first: int, stop: int) -> None:
    """Make sure that the part says the same as the whole about every packet of it, and about how to show them."""
    import av

    with (
        closing(av.open(str(source), metadata_errors="replace")) as movie,
        closing(av.open(str(target), metadata_errors="replace")) as part,
    ):
        ours, theirs = picture(part), picture(movie)
        copied = [each for each in part.demux(ours) if each.size]
        original = islice(packets_from(movie, theirs, packets[first].time), stop - first)
        if _told(copied, ours) != _told(original, theirs) or _described(ours) != _described(theirs):
            raise WholeNeeded("its container cannot be cut without a change")
    wanted = packets[first].time
    whole, cut, start = _decoded(source, wanted), _decoded(target, None), _decoded(source, None)
    if whole is None or whole != cut or start is None or whole[:-1] != start[:-1]:
        raise WholeNeeded("a part of it would be shown in another way")


def _told(packets: Any, stream: VideoStream) -> list[tuple[Fraction, bool, bytes]]:
    """Of each packet: seconds after the first, whether it is a key frame, and the digest of its bytes."""
    base, start, told = stream.time_base or Fraction(1), None, []
    for packet in packets:
        start = packet.pts if start is None else start
        digest = hashlib.sha256(memoryview(packet)).digest()
        told.append(((packet.pts - start) * base, packet.is_keyframe, digest))
    return told


def _described(stream: VideoStream) -> tuple[object, ...]:
    codec = stream.codec_context
    colours = codec.color_primaries, codec.color_trc, codec.colorspace, codec.color_range
    aspect = stream.sample_aspect_ratio or 1
    return codec.name, codec.extradata, codec.pix_fmt, codec.width, codec.height, colours, aspect


def _decoded(path: Path, time: int | None) -> tuple[object, ...] | None:
    """A frame's form, colours, turn, and last its pixels: of the first one, or of a key frame."""
    import av

    with closing(av.open(str(path), metadata_errors="replace")) as movie:
        stream = picture(movie)
        if time is not None:
            movie.seek(time, stream=stream)
        for frame in movie.decode(stream):
            if time is None or frame.pts == time:
                colours = frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range
                pixels = hashlib.sha256(b"".join(bytes(plane) for plane in frame.planes)).digest()
                return frame.format.name, frame.width, frame.height, *colours, _turn(frame), pixels
    return None


def _turn(frame: VideoFrame) -> list[bytes]:
    """How a player has to turn the picture."""
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data  # typed as a mapping, but iterates over the data themselves
    return [bytes(data) for data in side_data if data.type == Type.DISPLAYMATRIX]
