"""Movies with sound for tests: a picture that is there already, and tracks whose samples are known."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48_000


@dataclass(frozen=True)
class Heard:
    """A sound track as it is decoded: when its first sample is heard, in seconds; ``samples`` ``(C, N)``, -1..1."""

    begins: Fraction
    samples: NDArray[np.float32]
    codec: str
    metadata: dict[str, str]


def tones(seconds: Fraction, seed: int = 0) -> NDArray[np.float32]:
    """Two channels ``(2, N)`` in which no two moments are alike: a rising and a falling tone."""
    steps = np.linspace(0.01 + 0.005 * seed, 0.2, round(seconds * RATE))
    return np.stack([0.5 * np.sin(np.cumsum(steps)), 0.3 * np.sin(np.cumsum(steps[::-1]))]).astype(np.float32)


def add_sound(
    source: Path,
    target: Path,
    codec: str,
    seconds: Fraction,
    tracks: int = 1,
    begins: int = 0,
    kind: str | None = None,
    layout: str = "stereo",
) -> Path:
    """Copy a movie's picture and add tracks of ``tones``, in English, Italian and German.

    Args:
        begins: samples after the picture that sound begins; before it where negative.
        kind: of container, where the name does not say.
        layout: of channels, as libav names it; beyond two, they repeat the two.
    """
    with closing(av.open(str(source))) as movie, av.open(str(target), "w", format=kind) as made:
        pictures = made.add_stream_from_template(movie.streams.video[0])
        sounds: list[Any] = [made.add_stream(codec, rate=RATE, layout=layout) for _ in range(tracks)]
        for place, stream in enumerate(sounds):
            stream.metadata["language"] = ("eng", "ita", "deu")[place]
            stream.metadata["handler_name"] = f"Boom {place}"
        for packet in movie.demux(video=0):
            if packet.size:
                packet.stream = pictures
                made.mux(packet)
        for place, stream in enumerate(sounds):
            channels = np.arange(stream.codec_context.layout.nb_channels) % 2
            _encode(made, stream, tones(seconds, place)[channels], begins)
    return target


def _encode(made: Any, stream: Any, samples: NDArray[np.float32], begins: int) -> None:
    codec = stream.codec_context
    step, form = codec.frame_size or 1024, codec.format.name
    for first in range(0, samples.shape[1], step):
        data: NDArray[Any] = samples[:, first : first + step]
        if form.startswith("u8"):
            data = np.rint(data * 127 + 128).astype(np.uint8)
        elif form.startswith("dbl"):
            data = data.astype(np.float64)
        elif form.startswith("s"):
            kind = np.dtype(np.int16 if form.startswith("s16") else np.int32)
            data = np.rint(data.astype(np.float64) * (2 ** (8 * kind.itemsize - 1) - 1)).astype(kind)
        if not form.endswith("p"):
            data = data.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=form, layout=codec.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = RATE, first + begins, Fraction(1, RATE)
        made.mux(stream.encode(frame))
    made.mux(stream.encode(None))


def hear(path: Path, track: int = 0) -> Heard:
    """Decode a sound track; its beginning is told from that of the picture."""
    with closing(av.open(str(path))) as movie:
        picture = next(movie.decode(video=0))
        shown = Fraction(picture.pts or 0) * (picture.time_base or 0)
    with closing(av.open(str(path))) as movie:
        stream: Any = movie.streams.audio[track]
        begins, parts = None, []
        for frame in movie.decode(stream):
            begins = frame.pts * frame.time_base - shown if begins is None else begins
            parts.append(_floats(frame))
        if begins is None:
            raise ValueError("there is no sound")
        codec = stream.codec_context.codec.canonical_name
        return Heard(begins, np.concatenate(parts, axis=1), codec, dict(stream.metadata))


def _floats(frame: Any) -> NDArray[np.float32]:
    data = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    if data.dtype.kind == "i":
        return np.asarray(data / float(np.iinfo(data.dtype).max), np.float32)
    return np.asarray(data, np.float32)


def payloads(path: Path, track: int = 0) -> list[bytes]:
    """The bytes of a sound track's packets."""
    with closing(av.open(str(path))) as movie:
        return [bytes(packet) for packet in movie.demux(movie.streams.audio[track]) if packet.size]
