"""What identifies the frames of a part of a movie, without decoding it: the packets that they are decoded from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from anyportal_core.media.movie_index import MovieIndex, can_be_shown, packets_from

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
    if not len(ends) or not len(starts) or not index.seekable or index.cuts[-1] != len(index.times):
        return None
    start = int(starts[-1])
    key = index.key_before(start)
    if key is None:
        return None
    try:
        packets = filter(can_be_shown, packets_from(container, stream, index, key))
        return _digest(packets, stream, index, range(start, int(ends[0])), wanted, reading)
    except FFmpegError:
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
    for _ in places:
        packet = next(packets, None)
        if packet is None or packet.pts is None:
            return None
        data = memoryview(packet)
        shown = int(np.searchsorted(index.times, packet.pts))
        digest.update(f"{shown - places[0]} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()
