"""Sound tracks that containers hold, and tracks of results that are as those of their source."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.packet import Packet

from anyportal_core.media.movie_file import open_file

_COMMON = frozenset({"aac", "alac", "mp3", "ac3", "eac3"})
_NUMBERS = frozenset(f"pcm_{kind}{order}" for kind in ("s16", "s24", "s32", "f32", "f64") for order in ("le", "be"))
HELD = {
    "mp4": _COMMON | _NUMBERS | {"opus", "flac"},
    "mov": _COMMON | _NUMBERS | {"pcm_u8", "pcm_s8", "pcm_alaw", "pcm_mulaw"},
}
"""Codecs that players look for in a container; PCM in MP4 is that of ISO/IEC 23003-5."""

# QuickTime's list of languages, as libav spells it, names each in one of its two ways.
_QUICKTIME_LANGUAGES = {
    "cze": "ces",
    "deu": "ger",
    "ell": "gre",
    "fre": "fra",
    "isl": "ice",
    "nld": "dut",
    "rum": "ron",
    "slo": "slk",
    "sqi": "alb",
    "swe": "sve",
    "zho": "chi",
}

_SAMPLES_OF_ANY_KIND = 24
"""Bytes that are whole samples of 2, 3, 4 and 8 bytes."""


def holds(container: str, path: Path, index: int, codec: str) -> bool:
    """Whether a container (``mp4`` or ``mov``) holds a track of a movie, given by its index and codec, as it is."""
    if codec not in HELD[container]:
        return False
    return container != "mp4" or codec not in _NUMBERS or _is_written(path, index)


def _is_written(path: Path, index: int) -> bool:
    """Whether PCM can be written into MP4, which says where each channel is heard: not every number of them can be.

    libav finds that out at the end of a file, so one is made.
    """
    with closing(open_file(path)) as source:
        stream: Any = source.streams[index]
        made = av.open(BytesIO(), "w", format="mp4")
        packet: Any = Packet(bytes(_SAMPLES_OF_ANY_KIND * stream.codec_context.layout.nb_channels))
        packet.stream, packet.pts, packet.dts, packet.time_base = track_like(stream, made), 0, 0, Fraction(1, 1)
        try:
            made.mux(packet)
            made.close()
        except (av.FFmpegError, ValueError):
            return False
    return True


def track_like(stream: AudioStream, container: Any) -> Any:
    """A stream as the one given, added to a container, with its language and name."""
    copy = container.add_stream_from_template(stream)
    copy.time_base = stream.time_base
    copy.disposition = stream.disposition
    copy.codec_context.bit_rate = 0  # the muxer finds what is true of the part that is copied
    if container.format.name == "mp4" and stream.codec_context.layout.name == "2 channels":
        copy.codec_context.layout = "stereo"  # MP4 wants a name for what AVI and Matroska only count
    told = {name.lower(): value for name, value in stream.metadata.items()}
    for name in ("language", "handler_name", "title"):
        if told.get(name):
            copy.metadata[name] = told[name]
    if container.format.name == "mov":
        language = told.get("language", "")
        copy.metadata["language"] = _QUICKTIME_LANGUAGES.get(language, language or "und")
    return copy
