"""Whether a movie is all there: what its container says of its length, against what can be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from anyportal_core.errors import MediaUnreadableError

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")

_MOST_HEADER = 1 << 16
"""Bytes before the first packet, which libav does not count when it estimates how long a file is."""

Extents = dict[int, tuple[int, int]]
"""Stream's index to the times of its first packet and of the end of its last, in ticks of its time base."""


def extend(extents: Extents, packet: Packet[Stream]) -> None:
    """Widen the extent of a packet's stream by the packet; empty packets, which repeat a picture, count too."""
    at, index = packet.dts if packet.pts is None else packet.pts, packet.stream.index
    if at is not None:
        first, end = extents.get(index, (at, at))
        extents[index] = min(first, at), max(end, at + (packet.duration or 0))


def lengths(container: InputContainer, stream: VideoStream, extents: Extents) -> tuple[Fraction, Fraction]:
    """Seconds of picture that the container states (0 where it states nothing), and how many its packets reach.

    Times, not numbers of frames: what an edit list hides, or a variable rate leaves out, is not missing. Where the
    first frame is not at 0, containers differ in whether that counts; here it does.
    """
    if not extents or stream.time_base is None:
        return Fraction(0), Fraction(0)
    stated, whole = _stated(container, stream)
    first, end = (ticks * stream.time_base for ticks in extents.get(stream.index, (0, 0)))
    if whole:
        end = max(end * (container.streams[index].time_base or Fraction(0)) for index, (_, end) in extents.items())
    return stated, end - min(first, Fraction(0))


def _stated(container: InputContainer, stream: VideoStream) -> tuple[Fraction, bool]:
    """The stream's length in seconds, and whether it is rather that of the longest one; 0 where nothing is stated.

    Only what is known to be in a header: other containers are measured by libav from what is there, or carry what
    a live source once hoped for. A fragmented MP4 has one length for all, and so has Matroska, but for writers that
    leave a tag for each.
    """
    assert stream.time_base is not None
    if "matroska" in container.format.name:
        own, tick = _clock(stream.metadata), Fraction(1, 1000)
        stated = Fraction(container.duration or 0, av.time_base)
        whole = own is None
        stated = min(stated, own or stated)
    elif any(name in container.format.name for name in ("mov", "mxf")):
        stated, tick = (stream.duration or 0) * stream.time_base, stream.time_base
        whole = "mov" in container.format.name
    else:
        return Fraction(0), False
    return (Fraction(0) if _estimated(container, stated, tick) else stated), whole


def _estimated(container: InputContainer, stated: Fraction, tick: Fraction) -> bool:
    """Whether a duration is what libav makes up, from size and bit rate, where the file has none (a recording)."""
    rates = sum(_bit_rate(stream) for stream in container.streams)
    least, most = (Fraction(8 * size, max(rates, 1)) for size in (container.size - _MOST_HEADER, container.size))
    return rates > 0 and least <= stated <= most + tick


def _bit_rate(stream: Stream) -> int:
    return getattr(stream.codec_context, "bit_rate", None) or 0


def _clock(metadata: Mapping[str, str]) -> Fraction | None:
    """The length of a Matroska track as its writer's statistics tag says."""
    found = _CLOCK.fullmatch(metadata.get("DURATION", "").strip())
    return int(found[1]) * 3600 + int(found[2]) * 60 + Fraction(found[3]) if found else None


def truncated(path: Path, readable: int, promised: int = 0) -> MediaUnreadableError:
    """The error for a movie that ends too early, with how much of it is there, as far as known."""
    count = f"{readable} of {promised}" if promised > readable else str(readable) if readable else "no"
    return MediaUnreadableError(
        f"the file is cut short or damaged: {count} frames can be read",
        where=str(path),
        hint="copy or export it again",
    )


def is_cut(path: Path) -> bool:
    """Whether the outermost boxes of an MP4, QuickTime, Matroska or RIFF file reach beyond its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        if head[:4] in (b"RIFF", b"RF64"):
            return head[:4] == b"RIFF" and int.from_bytes(head[4:8], "little") + 8 > size
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _matroska_end(head) > size
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
            return _boxes_end(file, size) > size
    return False


def _matroska_end(head: bytes) -> int:
    """Where the segment of an EBML file ends by its own account; 0 where it does not say (a recording)."""
    header, at = _ebml_size(head, 4)
    start = at + header
    length, at = _ebml_size(head, start + 4)
    known = head[start : start + 4] == b"\x18\x53\x80\x67" and length >= 0
    return at + length if known else 0


def _ebml_size(head: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer, -1 for "unknown", and the offset behind it."""
    if at >= len(head) or not head[at]:
        return -1, at
    width = 9 - head[at].bit_length()
    value = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
    return (-1 if value == (1 << 7 * width) - 1 else value), at + width


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last top-level box of an ISO media file ends by its own account."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return size
        at += length
    return at
