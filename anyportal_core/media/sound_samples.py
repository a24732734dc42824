"""Sound of plain samples (PCM), cut to the sample and dealt out in packets of even length.

Containers hand out such sound in any portions: in these, the same samples are the same packets, whatever file they
come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from av.packet import Packet

_PORTION = 1024
"""Samples of a packet."""


def countable(stream: Any) -> bool:
    """Whether a sound track is of plain samples, and its times count them."""
    codec = stream.codec_context
    return _bytes_of(codec) > 0 and stream.time_base == Fraction(1, codec.sample_rate or 1)


def _bytes_of(codec: Any) -> int:
    """Bytes of a sample of all channels; 0 where samples have no length of their own."""
    name = codec.codec.canonical_name
    if not name.startswith("pcm_"):
        return 0
    bits = {"pcm_alaw": 8, "pcm_mulaw": 8, "pcm_u8": 8, "pcm_s8": 8}.get(name)
    digits = "".join(c for c in name.removeprefix("pcm_") if c.isdigit())
    return int(bits or digits or 0) // 8 * int(codec.layout.nb_channels)


class Samples:
    """Cuts one track to the time from 0 to ``length`` seconds."""

    def __init__(self, stream: Any, length: Fraction) -> None:
        self._size = _bytes_of(stream.codec_context)
        self._tick: Fraction = stream.time_base
        self._end = round(length / self._tick)
        self._held = bytearray()
        self._place = 0
        """Of the first sample that is held."""

    def take(self, packet: Any) -> Iterator[Any]:
        """The packets that are full with another one, whose time is that of the result."""
        first, data = packet.pts, memoryview(packet)
        last = first + len(data) // self._size
        begin, end = max(first, 0), min(last, self._end)
        if begin >= end:
            return
        if begin != self._place + len(self._held) // self._size:  # silence between: the file has no samples there
            yield from self.rest()
            self._place = begin
        self._held += data[(begin - first) * self._size : (end - first) * self._size]
        while len(self._held) >= _PORTION * self._size:
            yield self._dealt(_PORTION)

    def rest(self) -> Iterator[Any]:
        """What is held still."""
        if self._held:
            yield self._dealt(len(self._held) // self._size)

    def _dealt(self, samples: int) -> Any:
        portion = samples * self._size
        packet: Any = Packet(bytes(self._held[:portion]))
        del self._held[:portion]
        packet.time_base = self._tick
        packet.pts = packet.dts = self._place
        packet.duration = samples
        packet.is_keyframe = True
        self._place += samples
        return packet
