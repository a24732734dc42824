"""The sound of a movie, passed on as it is: what is heard in a stretch of time, copied into a result unchanged.

Packets of codecs are copied whole, so that up to one of them reaches over the end; what lies before the beginning is
hidden by an edit list. Plain samples are cut where the picture begins and ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from anyportal_core.media.movie_file import open_file
from anyportal_core.media.sound_samples import Samples, countable
from anyportal_core.media.sound_tracks import HELD, holds, track_like

_BEFORE = {"opus": 5, "mp3": 3, "flac": 0, "alac": 0}
"""Packets before the first that is heard, which its decoder needs to settle; an edit list hides them."""

_SEEKABLE = ("mov", "matroska")

_BEGINNING = Fraction(1)
"""Seconds to seek before a time, so as to come to lie before all that is needed for it."""


@dataclass(frozen=True)
class Track:
    """A sound track: its place among the file's streams, and its codec."""

    index: int
    codec: str


@dataclass(frozen=True)
class Sound:
    """The sound of a part of a movie.

    Args:
        path: the movie.
        tracks: those that are taken, in the file's order.
        start, stop: when the first frame is shown in the movie, and when the last is no more, in seconds.
        origin: when, in the whole movie, the file begins: a part of it, whose sound was moved by whole ticks.
    """

    path: Path
    tracks: tuple[Track, ...]
    start: Fraction
    stop: Fraction
    origin: Fraction = Fraction(0)

    def ticks_before(self, tick: Fraction) -> int:
        """The time of the first frame in ticks of the file, rounded as it is in the whole movie."""
        return round((self.origin + self.start) / tick) - round(self.origin / tick)

    def fitting(self, container: str) -> tuple[Sound | None, list[str]]:
        """The tracks that a container (``mp4`` or ``mov``) holds, and what to say of the others."""
        held = tuple(track for track in self.tracks if holds(container, self.path, track.index, track.codec))
        if len(held) == len(self.tracks):
            return self, []
        lost = {track.codec for track in self.tracks if track not in held}
        name, other, format = {"mp4": ("MP4", "mov", "prores"), "mov": ("QuickTime", "mp4", "mp4")}[container]
        text = (
            f"the sound of {self.path.name} ({', '.join(sorted(lost))}) does not go into {name} as it is, "
            "so the result has none of it"
        )
        if lost <= HELD[other]:
            text += f"; {format} holds it"
        return (replace(self, tracks=held) if held else None), [text]


def sound_of(
    path: Path,
    numbers: Sequence[int],
    shown: tuple[Fraction, Fraction] | None,
    rate: Fraction,
    own_rate: Fraction | None,
    origin: Fraction = Fraction(0),
) -> tuple[Sound | None, list[str]]:
    """The sound of some frames of a movie, and what to say where there is one that cannot go along.

    It goes along only where it stays with its frames: they follow each other, at the rate that the movie has.

    Args:
        numbers: of the frames, ascending.
        shown: when the first is shown and the last is no more, in seconds, where the movie says so.
        rate: of the result.
        own_rate: the movie's.
        origin: see ``Sound``.
    """
    tracks, unknown = _tracks(path)
    said = (
        [f"{unknown} of the sound tracks of {path.name} are of a kind that is not known: left out"] if unknown else []
    )
    if not tracks:
        return None, said
    if shown is None or own_rate is None:
        return None, [*said, f"{path.name} does not say when its frames are shown: the result has no sound"]
    if numbers[-1] - numbers[0] + 1 != len(numbers):
        return None, [*said, "the frames do not follow each other: the result has no sound"]
    if abs(len(numbers) / rate - len(numbers) / own_rate) > 1 / (2 * own_rate):
        rates = f"{path.name} has {float(own_rate):.3f} frames a second, the result {float(rate):.3f}"
        return None, [*said, f"{rates}: it has no sound, which would not stay with its frames"]
    return Sound(path, tracks, *shown, origin), said


def _tracks(path: Path) -> tuple[tuple[Track, ...], int]:
    """A movie's sound tracks, and how many more there are of codecs that are not known here."""
    with open_file(path) as container:
        known = [stream for stream in container.streams.audio if _codec(stream)]
        return tuple(Track(s.index, _codec(s)) for s in known), len(container.streams.audio) - len(known)


def _codec(stream: AudioStream) -> str:
    context: Any = stream.codec_context  # typed as always there
    return context.codec.canonical_name if context is not None else ""


class SoundCopy:
    """Copies sound into a movie that is being written: streams at once, packets as its time goes on.

    Args:
        container: open for writing, its picture's stream added.
        mux: takes each packet.
    """

    def __init__(self, sound: Sound, container: Any, mux: Callable[[Packet[Any]], None]) -> None:
        self._mux = mux
        self._source = open_file(sound.path)
        streams: dict[int, Any] = {track.index: self._source.streams[track.index] for track in sound.tracks}
        self._copies = {index: track_like(stream, container) for index, stream in streams.items()}
        self._samples = {
            index: Samples(stream, sound.stop - sound.start) for index, stream in streams.items() if countable(stream)
        }
        self._last: dict[int, int] = {}
        self._coming = self._timed(sound)
        self._next = next(self._coming, None)

    def until(self, seconds: Fraction | None) -> None:
        """Copy the packets that begin before a time of the result; None copies all that are left."""
        while self._next is not None:
            index, packet = self._next
            time = packet.pts
            if seconds is not None and time * packet.time_base >= seconds:
                return
            time = max(time, self._last.get(index, time - 1) + 1)  # muxers want times that rise
            self._last[index] = packet.pts = packet.dts = time
            packet.stream = self._copies[index]
            self._mux(packet)
            self._next = next(self._coming, None)

    def close(self) -> None:
        with suppress(OSError, av.FFmpegError):
            self._source.close()

    def _timed(self, sound: Sound) -> Iterator[tuple[int, Any]]:
        """Packets, and which track they are of, with times of the result."""
        for packet in _packets(self._source, sound):
            index = packet.stream.index
            packet.pts -= sound.ticks_before(packet.time_base)
            samples = self._samples.get(index)
            for made in (packet,) if samples is None else samples.take(packet):
                yield index, made
        for index, samples in self._samples.items():
            for made in samples.rest():
                yield index, made


def _packets(source: InputContainer, sound: Sound) -> Iterator[Any]:
    """The packets heard from start to stop, in the order of the file, led by those that their decoders need."""
    streams = [source.streams[track.index] for track in sound.tracks]
    before = {t.index: deque[Any](maxlen=_before(t.codec)) for t in sound.tracks}
    heard, over = set[int](), set[int]()
    _seek(source, streams[0], sound.start)
    with suppress(av.FFmpegError):  # as where the file is cut short: there is no more
        for packet in source.demux(*streams):
            if not packet.size or packet.pts is None or packet.time_base is None:
                continue
            index, begins = packet.stream.index, packet.pts * packet.time_base
            if begins + (packet.duration or 0) * packet.time_base <= sound.start and index not in heard:
                before[index].append(packet)
            elif begins < sound.stop:
                heard.add(index)
                yield from before[index]
                before[index].clear()
                yield packet
            else:
                over.add(index)
                if len(over) == len(streams):
                    return


def _before(codec: str) -> int:
    return 0 if codec.startswith("pcm_") else _BEFORE.get(codec, 1)


def _seek(source: InputContainer, stream: Any, start: Fraction) -> None:
    """Go to a place before a time, where the container can be trusted to know one."""
    if not any(name in source.format.name for name in _SEEKABLE) or start <= _BEGINNING:
        return
    with suppress(av.FFmpegError):
        source.seek(int((start - _BEGINNING) / stream.time_base), stream=stream)
