"""What identifies the frames of a part of a movie, without decoding it: the packets that they are decoded from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from anyportal_core.media.movie_index import MovieIndex

_IDR = 5
"""The type of an H.264 picture after which nothing before it is referred to: other key frames promise less."""


_TOLD = frozenset({"h264", "prores", "dnxhd", "mjpeg", "png", "v210", "cfhd"})
"""Codecs whose packets, with the codec's own header, say all that the pixels hang on."""


def packets_digest(
    container: InputContainer, stream: VideoStream, index: MovieIndex, wanted: range, reading: str
) -> str | None:
    """SHA-256 over the packets from the key frame before ``wanted`` to the last that its frames need.

    The same for a span that was cut out of the movie as for the movie itself, and for both in another container.

    Args:
        wanted: indices of frames, from the first to the last.
        reading: how the pixels are to be understood, as text.

    Returns:
        None where packets and frames cannot be matched.
    """
    codec = stream.codec_context
    if codec.name not in _TOLD or codec.pix_fmt == "pal8":
        return None
    ends = index.cuts[index.cuts > wanted[-1]]
    starts = index.starts[index.starts <= wanted[0]]
    if not len(ends) or not index.seekable or index.cuts[-1] != len(index.times):
        return None
    for start in starts[::-1].tolist():
        places = range(start, int(ends[0]))
        try:
            found = _digest(_from(container, stream, index, start), stream, index, places, wanted, reading)
        except FFmpegError:
            return None
        if found:
            return found
    return None


def _digest(
    packets: Iterator[Packet[VideoStream]],
    stream: VideoStream,
    index: MovieIndex,
    places: range,
    wanted: range,
    reading: str,
) -> str | None:
    """The digest over as many packets as there are places; None where they are not those of these frames."""
    codec = stream.codec_context
    head = (codec.name, codec.pix_fmt, wanted[0] - places[0], len(wanted), reading)
    digest = hashlib.sha256(f"{head}\n".encode() + (codec.extradata or b"") + b"\n")
    for place in places:
        packet = next(packets, None)
        if packet is None or packet.pts is None:
            return None
        data = memoryview(packet)
        if place == places[0] and codec.name == "h264" and not _is_idr(bytes(data), codec.extradata):
            return None
        shown = int(np.searchsorted(index.times, packet.pts))
        digest.update(f"{shown - places[0]} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def _from(
    container: InputContainer, stream: VideoStream, index: MovieIndex, start: int
) -> Iterator[Packet[VideoStream]]:
    """The packets from that of a key frame on, in the order of decoding."""
    time = int(index.times[start])
    container.seek(int(index.key_seeks[index.key_before(start)]), stream=stream)
    begun = False
    for packet in container.demux(stream):
        begun = begun or packet.pts == time
        if begun and packet.size and not packet.is_discard and not packet.is_corrupt:
            yield packet


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
