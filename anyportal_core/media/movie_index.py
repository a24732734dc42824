"""Which frames a movie has, when each is shown, and where decoding can start.

A frame's number is its place in the order of presentation. The stated number of frames of a container is
no guide (edit lists, missing counts, broken writers): the packets are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media.movie_length import Extents, extend, is_cut, lengths, truncated

_STANDARD_RATES = [Fraction(n, d) for n in (24000, 30000, 48000, 60000, 120000) for d in (1000, 1001)]
_STANDARD_RATES += [Fraction(n) for n in (8, 10, 12, 15, 16, 18, 20, 25, 50, 90, 100)]


def _none() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


# These state the time of presentation of every packet; others are counted by decoding once.
_TIMED_CONTAINERS = ("mov", "matroska", "webm", "mxf")


@dataclass(frozen=True)
class MovieIndex:
    """Presentation times of all frames, ascending, and of the frames that decoding can start from.

    Args:
        times: ``(N,)`` in ticks of the stream's time base; the index is the frame's number. Where frames carry no
            times of use (not ``seekable``), their numbers.
        key_times: ``(K,)`` presentation times of key frames, ascending.
        key_seeks: ``(K,)`` the time to seek to for each of them.
        seekable: whether decoded frames can be told by their times after a seek.
        cuts: ``(C,)`` numbers at which packets can be parted, ascending: what is decoded before is shown before. Empty
            where packets are not known to be frames.
        starts: ``(S,)`` those of the cuts at which a key frame stands, after which none before it is shown.
    """

    times: NDArray[np.int64]
    key_times: NDArray[np.int64]
    key_seeks: NDArray[np.int64]
    seekable: bool = True
    cuts: NDArray[np.int64] = field(default_factory=_none)
    starts: NDArray[np.int64] = field(default_factory=_none)

    def key_before(self, number: int) -> int:
        """Which key frame to decode from to reach a frame."""
        return max(int(np.searchsorted(self.key_times, self.times[number], side="right")) - 1, 0)


def index_movie(container: InputContainer, stream: VideoStream, path: Path) -> MovieIndex:
    """Read through the packets (or decode once, where packets carry no times) and list the frames.

    Raises:
        MediaUnreadableError: no frames, or fewer than the container promises.
    """
    packets, extents = _demuxed(container, stream)
    times = sorted({pts for pts, _, _ in packets if pts is not None})
    if len(times) == len(packets) and any(name in container.format.name for name in _TIMED_CONTAINERS):
        keys = sorted(
            (pts, pts if dts is None else min(pts, dts)) for pts, dts, key in packets if key and pts is not None
        )
        key_times, key_seeks = np.array(keys, np.int64).reshape(-1, 2).T
        found = MovieIndex(np.array(times, np.int64), key_times, key_seeks, True, *_cuts(packets))
    else:
        found = _count(path, container.format.name.split(",")[0], stream.index)
    stated, reached = lengths(container, stream, extents)
    if is_cut(path) or _is_more_than_a_frame(stated - reached, stream, found):
        promised = round(stated * (rate_of(stream, found) or 0))
        raise truncated(path, len(found.times), stream.frames or promised)
    if not len(found.times):
        raise MediaUnreadableError(
            "no frame can be decoded", where=str(path), hint="export the movie again, or use another codec"
        )
    return found


def _cuts(packets: Sequence[tuple[int | None, int | None, bool]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where frames can be parted by parting packets, and which of those places a key frame begins.

    Before place ``i`` in the order of decoding lie exactly the frames 0 to ``i - 1`` where the latest of them is shown
    before the earliest of the rest.
    """
    shown = np.array([pts for pts, _, _ in packets], np.int64)
    keys = np.array([key for *_, key in packets], bool)
    latest = np.maximum.accumulate(shown)
    earliest = np.minimum.accumulate(shown[::-1])[::-1]
    parted = np.concatenate([[True], latest[:-1] < earliest[1:]]) if len(shown) else keys
    return np.append(np.flatnonzero(parted), len(shown)), np.flatnonzero(parted & keys)


def _demuxed(
    container: InputContainer, stream: VideoStream
) -> tuple[list[tuple[int | None, int | None, bool]], Extents]:
    """``(pts, dts, key)`` of the stream's packets that can be shown, and how far every stream's packets reach."""
    packets, extents = [], Extents()
    for packet in container.demux():
        extend(extents, packet)
        if packet.stream.index == stream.index and packet.size and not packet.is_discard and not packet.is_corrupt:
            packets.append((packet.pts, packet.dts, packet.is_keyframe))
    return packets, extents


def _is_more_than_a_frame(seconds: Fraction, stream: VideoStream, index: MovieIndex) -> bool:
    """Whether a time is longer than the longest frame, well: some writers do not count how long the last is shown."""
    longest = 1 / (rate_of(stream, index) or 1)
    if len(index.times) > 1 and stream.time_base:
        longest = max(longest, int(np.diff(index.times).max()) * stream.time_base)
    return seconds > Fraction(3, 2) * longest


def rate_of(stream: VideoStream, index: MovieIndex) -> Fraction | None:
    """Frames a second: the stated rate where the times agree with it, else their average near a standard rate.

    An average within 0.1 % of a standard rate, or a stated rate within one tick of the whole span, is snapped.
    Without times there is only the stated rate; None where there is none either.
    """
    stated = [Fraction(r) for r in (stream.guessed_rate, stream.average_rate) if r]
    times = index.times
    base = stream.time_base
    span = int(times[-1] - times[0]) if len(times) > 1 else 0
    if not span or base is None or not index.seekable:
        return stated[0] if stated else None
    steps = len(times) - 1
    average = steps / (span * base)

    def off(rate: Fraction) -> Fraction:
        return abs(steps / rate - span * base)

    fitting = [r for r in stated if off(r) <= base]
    if fitting:
        return fitting[0]
    nearest = min(_STANDARD_RATES, key=off)
    if abs(nearest / average - 1) <= Fraction(1, 1000):
        return nearest
    return average.limit_denominator(100_000)


def is_variable(stream: VideoStream, index: MovieIndex, rate: Fraction | None) -> bool:
    """Whether some frame is shown more than half a frame away from where an even ``rate`` would show it."""
    times = index.times
    if stream.time_base is None or rate is None or not index.seekable:
        return False
    shown = (times - times[0]) * float(stream.time_base * rate)
    return bool(np.abs(shown - np.arange(len(times))).max() > 0.5)


def _count(path: Path, format_name: str, stream_index: int) -> MovieIndex:
    """List the frames by decoding all of them without looking at the pictures."""
    times: list[int | None] = []
    keys: list[int] = []
    with av.open(str(path), format=format_name) as container:
        stream = container.streams[stream_index]
        assert isinstance(stream, VideoStream)
        stream.thread_type = "AUTO"
        try:
            for frame in container.decode(stream):
                times.append(frame.pts)
                if frame.key_frame and frame.pts is not None:
                    keys.append(frame.pts)
        except av.FFmpegError as error:
            raise MediaUnreadableError(
                f"frame {len(times)} cannot be decoded ({error.strerror})",
                where=str(path),
                hint="copy or export the file again",
            ) from error
    known = [t for t in times if t is not None]
    if len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        seeks = np.array(keys, np.int64)
        return MovieIndex(np.array(known, np.int64), seeks, seeks, seekable=True)
    order = np.arange(len(times), dtype=np.int64)
    return MovieIndex(order, order[:1], order[:1], seekable=False)
