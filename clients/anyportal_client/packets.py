"""The packets of a movie's picture: in which order they lie, where decoding may start, read from any of them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_KEYED = frozenset({"h264"})
"""Codecs whose packets tell the key frames after which nothing refers to what came before. HEVC and MPEG-4 have frames
that follow a key frame, are shown before it and need the group before; those are not told apart here."""

_INTRA = frozenset({"prores", "dnxhd", "mjpeg", "png", "v210", "cfhd"})
"""Codecs of which every frame stands alone, and whose packets say all that its pixels hang on."""

_IDR = 5


class WholeNeeded(Exception):
    """No part of this movie can be sent in its place; the text says why. Empty: it would not be worth it."""


@dataclass(frozen=True)
class Shown:
    """A packet: when its frame is shown, in ticks; whether decoding may start there; its size in bytes."""

    time: int
    key: bool
    size: int


def picture(movie: InputContainer) -> VideoStream:
    """The stream that is looked at.

    Raises:
        WholeNeeded: there is none, or of a kind that is not cut.
    """
    from av.stream import Disposition

    if not any(name in movie.format.name for name in ("mov", "matroska")):
        raise WholeNeeded(f"a container of the kind {movie.format.name.split(',')[0]} is not cut")
    for stream in movie.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            break
    else:
        raise WholeNeeded("it has no picture")
    context: Any = stream.codec_context  # typed as always there
    if context is None:
        raise WholeNeeded("its codec is not known here")
    if context.name not in _KEYED | _INTRA:
        raise WholeNeeded(f"movies of the codec {context.name} are not cut")
    return stream


def listed(movie: InputContainer, stream: VideoStream, checkpoint: Callable[[], None]) -> list[Shown]:
    """The packets in the order of decoding.

    Raises:
        WholeNeeded: they are not all frames, each with its time, or frames refer to others beyond a key frame.
    """
    found, codec = [], stream.codec_context
    for packet in movie.demux(stream):
        checkpoint()
        if not packet.size and packet.pts is None and packet.dts is None:  # the end
            continue
        if not packet.size or packet.pts is None or packet.is_corrupt:
            raise WholeNeeded("its index is incomplete")
        if packet.is_discard:
            raise WholeNeeded("an edit list hides some of its frames")
        if packet.is_keyframe and codec.name == "h264" and not _is_idr(bytes(packet), codec.extradata):
            raise WholeNeeded("frames refer to others beyond its key frames (open GOP)")
        found.append(Shown(packet.pts, packet.is_keyframe, packet.size))
    times = {each.time for each in found}
    if not found or len(times) < len(found):
        raise WholeNeeded("its frames cannot be told apart by their times")
    return found


def _is_idr(data: bytes, extradata: bytes | None) -> bool:
    """Whether an H.264 packet, its parts led by their lengths (as the extradata say) or by start codes, has an IDR."""
    if not extradata or extradata[0] != 1:
        return any(part[:1] and part[0] & 31 == _IDR for part in data.split(b"\0\0\1")[1:])
    width, at = (extradata[4] & 3) + 1, 0
    while at + width < len(data):
        if data[at + width] & 31 == _IDR:
            return True
        at += width + int.from_bytes(data[at : at + width], "big")
    return False


def packets_from(movie: InputContainer, stream: VideoStream, time: int) -> Iterator[Packet[VideoStream]]:
    """The packets from the one that is shown at a time on, in the order of decoding."""
    for place in (time, 0):  # from the very start, where the file's index leads astray
        movie.seek(place, stream=stream)
        begun = False
        for packet in movie.demux(stream):
            begun = begun or packet.pts == time
            if begun and packet.size:
                yield packet
            elif packet.is_keyframe and exact(packet.pts) > time:
                break
        if begun:
            return


def exact(time: int | None) -> int:
    """A time that is known.

    Raises:
        WholeNeeded: it is not.
    """
    if time is None:
        raise WholeNeeded("its index is incomplete")
    return time
