"""Which frames a movie has, when each is shown, and where decoding can start.

A frame's number is its place in the order of presentation. The stated number of frames of a container is
no guide (edit lists, missing counts, broken writers): the packets are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media.movie_file import open_file
from anyportal_core.media.movie_length import Extents, extend, is_cut, lengths, truncated
from anyportal_core.media.movie_starts import begins_anew

_STANDARD_RATES = [Fraction(n, d) for n in (24000, 30000, 48000, 60000, 120000) for d in (1000, 1001)]
_STANDARD_RATES += [Fraction(n) for n in (8, 10, 12, 15, 16, 18, 20, 25, 50, 90, 100)]

_UNTIMED = np.iinfo(np.int64).min
"""In place of the time of a packet that has none."""

# These state the time of presentation of every packet; others are counted by decoding once.
_TIMED_CONTAINERS = ("mov", "matroska", "webm", "mxf")

# Codecs with packets that are decoded and never shown.
_WITH_HIDDEN = frozenset({"vp8"})

Packets = NDArray[np.int64]
"""``(P, 2)``, in the order of decoding: when the packet's frame is shown, in ticks, and its size in bytes."""


def _none(*shape: int) -> NDArray[np.int64]:
    return np.empty(shape or 0, np.int64)


class Key(NamedTuple):
    """A packet that decoding can begin with: when its frame is shown, the time to seek to, its place among packets."""

    time: int
    seek: int
    place: int


@dataclass(frozen=True)
class MovieIndex:
    """Presentation times of all frames, ascending, and of the packets that decoding can begin with.

    Args:
        times: ``(N,)`` in ticks of the stream's time base; the index is the frame's number. Where frames carry no
            times of use (not ``seekable``), their numbers.
        packets: all that can be shown.
        keys: ``(K, 3)``, each a ``Key``, ascending.
        seekable: whether decoded frames can be told by their times after a seek.
        cuts: ``(C,)`` numbers at which packets can be parted, ascending: what is decoded before is shown before. Empty
            where packets are not known to be frames.
        starts: ``(S,)`` those of the cuts at which decoding can begin, after which no frame before it is shown.
    """

    times: NDArray[np.int64]
    packets: Packets = field(default_factory=lambda: _none(0, 2))
    keys: NDArray[np.int64] = field(default_factory=lambda: _none(0, 3))
    seekable: bool = True
    cuts: NDArray[np.int64] = field(default_factory=_none)
    starts: NDArray[np.int64] = field(default_factory=_none)

    def key_before(self, number: int) -> Key | None:
        """What to begin with to reach a frame; None for the beginning of the file."""
        row = int(np.searchsorted(self.keys[:, 0], self.times[number], side="right")) - 1
        return Key(*self.keys[row].tolist()) if row >= 0 else None


def index_movie(container: InputContainer, stream: VideoStream, path: Path) -> MovieIndex:
    """Read through the packets (or decode once, where packets carry no times) and list the frames.

    Raises:
        MediaUnreadableError: no frames, or fewer than the container promises.
    """
    packets, keys, extents = _demuxed(container, stream)
    times = np.unique(packets[:, 0])
    timed = any(name in container.format.name for name in _TIMED_CONTAINERS)
    found = MovieIndex(times, packets, keys, True, *_cuts(packets, keys))
    hidden = stream.codec_context.codec.canonical_name in _WITH_HIDDEN
    if not timed or hidden or len(times) < len(packets) or _UNTIMED in times:
        found = counted(path, stream, found)
    stated, reached = lengths(container, stream, extents)
    if is_cut(path) or _is_more_than_a_frame(stated - reached, stream, found):
        promised = round(stated * (rate_of(stream, found) or 0))
        raise truncated(path, len(found.times), stream.frames or promised)
    if not len(found.times):
        raise MediaUnreadableError(
            "no frame can be decoded", where=str(path), hint="export the movie again, or use another codec"
        )
    return found


def _cuts(packets: Packets, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where frames can be parted by parting packets, and at which of those places decoding can begin.

    Before place ``i`` in the order of decoding lie exactly the frames 0 to ``i - 1`` where the latest of them is shown
    before the earliest of the rest.
    """
    shown = packets[:, 0]
    latest = np.maximum.accumulate(shown)
    earliest = np.minimum.accumulate(shown[::-1])[::-1]
    parted = np.flatnonzero(np.concatenate([np.ones(len(shown[:1]), bool), latest[:-1] < earliest[1:]]))
    return np.append(parted, len(shown)), np.intersect1d(parted, keys[:, 2])


def _demuxed(container: InputContainer, stream: VideoStream) -> tuple[Packets, NDArray[np.int64], Extents]:
    """The stream's packets that can be shown, as ``MovieIndex`` has them, and how far every stream's packets reach."""
    packets: list[tuple[int, int]] = []
    keys: list[Key] = []
    extents = Extents()
    for packet in container.demux():
        extend(extents, packet)
        if packet.stream.index != stream.index or not can_be_shown(packet):
            continue
        if packet.pts is not None and begins_anew(packet, stream):
            seek = packet.pts if packet.dts is None else min(packet.pts, packet.dts)
            keys.append(Key(packet.pts, seek, len(packets)))
        packets.append(_row(packet))
    return np.array(packets, np.int64).reshape(-1, 2), np.array(sorted(keys), np.int64).reshape(-1, 3), extents


def can_be_shown(packet: Packet[Any]) -> bool:
    """Whether a packet is in the index: it holds something that is whole and not hidden by an edit list."""
    return bool(packet.size and not packet.is_discard and not packet.is_corrupt)


def _row(packet: Packet[Any]) -> tuple[int, int]:
    return _UNTIMED if packet.pts is None else packet.pts, packet.size


def packets_from(
    container: InputContainer, stream: VideoStream, index: MovieIndex, key: Key
) -> Iterator[Packet[VideoStream]]:
    """The packets from one on, as long as they are those that came after it when the movie was listed.

    Others come where the file's own index leads astray, or where times that a container leaves out are guessed anew.
    """
    container.seek(key.seek, stream=stream)
    place, begun = key.place, False
    for packet in container.demux(stream):
        if can_be_shown(packet):
            begun = begun or (packet.pts == key.time and packet.is_keyframe)
            if begun and (place == len(index.packets) or _row(packet) != tuple(index.packets[place])):
                return
            if not begun and packet.is_keyframe and packet.pts is not None and packet.pts > key.time:
                return
            place += begun
        if begun:
            yield packet


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


def counted(path: Path, stream: VideoStream, index: MovieIndex) -> MovieIndex:
    """List the frames anew by decoding all of them without looking at the pictures.

    Raises:
        MediaUnreadableError: one cannot be decoded.
    """
    times: list[int | None] = []
    with open_file(path) as again:
        pictures = again.streams[stream.index]
        assert isinstance(pictures, VideoStream)
        pictures.thread_type = "AUTO"
        try:
            for frame in again.decode(pictures):
                times.append(frame.pts)
        except av.FFmpegError as error:
            raise MediaUnreadableError(
                f"frame {len(times)} cannot be decoded ({error.strerror})",
                where=str(path),
                hint="copy or export the file again",
            ) from error
    known = [t for t in times if t is not None]
    if len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        return MovieIndex(np.array(known, np.int64), index.packets, index.keys[np.isin(index.keys[:, 0], known)])
    return MovieIndex(np.arange(len(times), dtype=np.int64), seekable=False)
