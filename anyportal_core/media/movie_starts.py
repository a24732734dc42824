"""Which packets of a movie decoding can begin with, so that all that is shown from there on has its true pixels.

The key frames that a container names promise less: those of H.264 may be any picture some time after which a viewer
sees nothing wrong any more (open groups, intra refresh). Told here are the pictures of codecs whose standard lets
nothing that is shown after them refer to what lies before. Movies of other codecs are decoded from their beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from av.packet import Packet
from av.video.stream import VideoStream

_ALONE = frozenset({"png", "cfhd", "ffv1"})
"""Codecs that are not known to libav as such, but whose key frames stand alone."""

_H264_IDR = 5
_HEVC_IRAP = range(16, 24)
"""IDR, BLA and CRA: what follows a CRA and is shown after it refers to nothing before it; HEVC demands it."""


def begins_anew(packet: Packet[Any], stream: VideoStream) -> bool:
    """Whether decoding can begin with a packet: no frame that is shown after its own needs anything before it."""
    codec, name = stream.codec_context, stream.codec_context.codec.canonical_name
    if not packet.is_keyframe or codec.pix_fmt == "pal8":  # a palette may lie in an earlier packet
        return False
    if codec.codec.intra_only or name in _ALONE:
        return True
    told = _TOLD.get(name)
    return told is not None and told(bytes(packet), codec.extradata)


def _is_h264_start(data: bytes, extradata: bytes | None) -> bool:
    return any(unit & 31 == _H264_IDR for unit in _units(data, extradata, 4))


def _is_hevc_start(data: bytes, extradata: bytes | None) -> bool:
    return any(unit >> 1 & 63 in _HEVC_IRAP for unit in _units(data, extradata, 21))


def _units(data: bytes, extradata: bytes | None, width_at: int) -> Iterator[int]:
    """The first byte of each NAL unit, led by its length (whose width the extradata say) or by a start code."""
    if extradata and extradata[0] == 1 and len(extradata) > width_at:
        width, at = (extradata[width_at] & 3) + 1, 0
        while at + width < len(data):
            yield data[at + width]
            at += width + int.from_bytes(data[at : at + width], "big")
        return
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        yield data[at + 3]
        at = data.find(b"\0\0\1", at + 3)


def _is_mpeg_start(data: bytes, _: bytes | None) -> bool:
    """An intra picture behind a sequence header, which sets all that lasts from picture to picture."""
    header, picture = data.find(b"\0\0\1\xb3"), data.find(b"\0\0\1\0")
    return 0 <= header < picture < len(data) - 5 and data[picture + 5] >> 3 & 7 == 1


def _is_vp9_start(data: bytes, _: bytes | None) -> bool:
    """A key frame, which is no earlier one shown again. The bits of profile 3 lie one further back."""
    shift = int(data[0] >> 4 & 3 == 3)
    return data[0] >> 6 == 2 and not (data[0] << shift) & 0b1100


def _is_av1_start(data: bytes, _: bytes | None) -> bool:
    """A key frame that is shown, in the first frame header among the units."""
    at = 0
    while at < len(data):
        kind, sized = data[at] >> 3 & 15, data[at] & 2
        at += 2 if data[at] & 4 else 1
        size, shift = len(data) - at, 0
        if sized:
            size = 0
            while at < len(data):
                size |= (data[at] & 127) << shift
                at, shift = at + 1, shift + 7
                if data[at - 1] < 128:
                    break
        if kind in (3, 6):
            return at < len(data) and data[at] >> 4 == 0b0001
        at += size
    return False


_TOLD: dict[str, Callable[[bytes, bytes | None], bool]] = {
    "h264": _is_h264_start,
    "hevc": _is_hevc_start,
    "mpeg1video": _is_mpeg_start,
    "mpeg2video": _is_mpeg_start,
    "vp9": _is_vp9_start,
    "av1": _is_av1_start,
}
