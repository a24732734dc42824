"""The sound of a part of a movie: packets that are heard with its frames, copied as they are."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyportal_client.packets import WholeNeeded, picture

if TYPE_CHECKING:
    from av.container import InputContainer

_BEFORE = 5
"""Packets before the first that is heard, which decoders need to settle."""

_AHEAD = Fraction(1)
"""Seconds to seek before a time, so as to come to lie before all that is needed for it."""

Stretch = tuple[Fraction, Fraction]
"""When the first frame of a part is shown in the whole movie, and when the last is no more, in seconds."""


class SoundCopy:
    """Copies a movie's sound tracks into a part that is being written.

    Args:
        movie: opened for this alone.
        part: open for writing, its picture's stream added.
    """

    def __init__(self, movie: InputContainer, part: Any, stretch: Stretch) -> None:
        self._part, self._stretch = part, stretch
        self._copies: dict[int, Any] = {stream.index: _like(stream, part, movie) for stream in heard(movie)}
        self._coming = packets(movie, stretch)
        self._next = next(self._coming, None)

    def until(self, seconds: Fraction | None) -> None:
        """Copy the packets that begin before a time of the part; None copies all that are left."""
        while self._next is not None:
            packet, (start, _) = self._next, self._stretch
            if seconds is not None and packet.pts * packet.time_base - start >= seconds:
                return
            packet.pts = packet.dts = packet.pts - round(start / packet.time_base)
            packet.stream = self._copies[packet.stream.index]
            self._part.mux(packet)
            self._next = next(self._coming, None)


def heard(movie: InputContainer) -> list[Any]:
    """The sound tracks whose codec is known: nobody could do anything with the others."""
    streams: Sequence[Any] = movie.streams.audio  # typed as having a codec always
    return [stream for stream in streams if stream.codec_context is not None]


def _like(stream: Any, part: Any, movie: InputContainer) -> Any:
    copy = part.add_stream_from_template(stream)
    copy.time_base = stream.time_base
    copy.disposition = stream.disposition
    if "mov" in movie.format.name:
        copy.codec_context.codec_tag = stream.codec_context.codec_tag
    told = {name.lower(): value for name, value in stream.metadata.items()}
    copy.metadata.update({name: told[name] for name in ("language", "handler_name", "title") if told.get(name)})
    return copy


def packets(movie: InputContainer, stretch: Stretch) -> Iterator[Any]:
    """The packets heard in a stretch of time, in the order of the file, led by those that their decoders need.

    Raises:
        WholeNeeded: one has no time.
    """
    streams, (start, stop) = heard(movie), stretch
    if not streams:
        return
    before = {stream.index: deque[Any](maxlen=_BEFORE) for stream in streams}
    begun, over = set[int](), set[int]()
    if start > _AHEAD:
        movie.seek(int((start - _AHEAD) / streams[0].time_base), stream=streams[0])
    for packet in movie.demux(*streams):
        if not packet.size:
            continue
        if packet.pts is None or packet.time_base is None:
            raise WholeNeeded("its sound has no times")
        index, begins = packet.stream.index, packet.pts * packet.time_base
        if begins + (packet.duration or 0) * packet.time_base <= start and index not in begun:
            before[index].append(packet)
        elif begins < stop:
            begun.add(index)
            yield from before[index]
            before[index].clear()
            yield packet
        else:
            over.add(index)
            if len(over) == len(streams):
                return


def check_alike(source: Path, target: Path, stretch: Stretch) -> None:
    """Make sure that a part sounds as the whole does in a stretch of time: the same tracks, packets and times.

    Raises:
        WholeNeeded: it does not.
    """
    import av

    with (
        closing(av.open(str(source), metadata_errors="replace")) as movie,
        closing(av.open(str(target), metadata_errors="replace")) as part,
    ):
        start, stop = stretch
        whole = _told(movie, packets(movie, stretch), start, stop)
        shown: Any = picture(part)
        begun = (shown.start_time or 0) * shown.time_base  # Matroska has no times before 0: all is later by as much
        cut = _told(part, part.demux(*heard(part)) if heard(part) else (), begun, begun + stop - start)
        if len(whole) != len(cut) or not all(map(_same, whole, cut)):
            raise WholeNeeded("its sound cannot be cut without a change")


def _described(stream: Any) -> tuple[object, ...]:
    codec = stream.codec_context
    return codec.name, codec.extradata, codec.sample_rate, codec.layout.name


def _told(movie: InputContainer, found: Iterable[Any], start: Fraction, stop: Fraction) -> list[_Track]:
    """What each sound track says of itself and of its packets that are heard: their bytes, and when after the start."""
    tracks = {stream.index: _Track(stream.time_base, _described(stream)) for stream in heard(movie)}
    for packet in found:
        if packet.size and packet.pts is not None:
            base = packet.time_base
            begins, ends = packet.pts * base, (packet.pts + (packet.duration or 0)) * base
            if ends > start + base and begins < stop - base:
                digest = hashlib.sha256(memoryview(packet)).digest()
                tracks[packet.stream.index].packets.append((begins - start, digest))
    return list(tracks.values())


@dataclass
class _Track:
    tick: Fraction
    described: tuple[object, ...]
    packets: list[tuple[Fraction, bytes]] = field(default_factory=list)


def _same(one: _Track, other: _Track) -> bool:
    """Whether two tracks are alike, times to a tick."""
    if one.described != other.described or len(one.packets) != len(other.packets):
        return False
    near = max(one.tick, other.tick)
    return all(a[1] == b[1] and abs(a[0] - b[0]) <= near for a, b in zip(one.packets, other.packets, strict=True))
