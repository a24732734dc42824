"""Movies that are not all there are refused; those that only look shorter than they say are not."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import pytest

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media.clip import open_clip
from anyportal_core.media.planes import video_frame
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import VIDEO, moving_scene, numbered_frames, write_movie

COUNT = 30


def opened(path: Path) -> int:
    with open_clip(MediaRef(path)) as clip:
        return len(clip.info.numbers)


def muxed(
    path: Path,
    times: Sequence[int] = tuple(range(0, COUNT * 1000, 1000)),
    shown: Sequence[int] = (),
    sound: float = 0,
    options: Mapping[str, str] | None = None,
) -> Path:
    """A movie of frames at ``times`` in 1/24000 s, ``shown`` as long as that, with seconds of ``sound``."""
    base = Fraction(1, 24000)
    with av.open(str(path), "w", options=dict(options or {})) as container:
        stream: Any = container.add_stream("libx264", rate=24, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.codec_context.time_base = base
        voice: Any = container.add_stream("aac", rate=48000) if sound else None
        for number, pixels in enumerate(numbered_frames(len(times), 32, 64)):
            frame = video_frame(pixels, "yuv420p", VIDEO)
            frame.pts, frame.time_base = times[number], base
            if shown:
                frame.duration = shown[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for start in range(0, int(sound * 48000), 1024):
            piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            piece.sample_rate, piece.pts, piece.time_base = 48000, start, Fraction(1, 48000)
            container.mux(voice.encode(piece))
        if voice:
            container.mux(voice.encode(None))
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".mxf", "mpeg2video", {"b": "5000000"}),
        (".mkv", "libx264", {}),
        (".webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_a_movie_that_lost_frames(tmp_path: Path, suffix: str, codec: str, options: dict[str, str]) -> None:
    """Cut where the outermost structure does not tell; or so damaged that all behind the hole is lost."""
    path = write_movie(
        tmp_path / f"a{suffix}", moving_scene(COUNT, 72, 96).plate, rate=25, codec=codec, options=options
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if suffix == ".mxf":
        del content[middle:]
    else:
        content[middle : middle + 300] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(MediaUnreadableError, match=rf"\d+ of {COUNT} frames can be read"):
        opened(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_picture_may_be_shorter_than_the_sound(tmp_path: Path, suffix: str) -> None:
    path = muxed(tmp_path / f"a{suffix}", sound=4)
    assert opened(path) == COUNT
    untagged = tmp_path / f"untagged{suffix}"
    untagged.write_bytes(path.read_bytes().replace(b"DURATION", b"DURATIOX"))
    assert opened(untagged) == COUNT


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ((0, 24000, 48000), (24000, 24000, 240000)),
        ((0,), (240000,)),
        ((0, 500, 9000, 9500, 30000, 31000), ()),
        (range(240000, 270000, 1000), ()),
    ],
    ids=["a last frame held", "one frame held", "an uneven rate", "a late start"],
)
def test_times_out_of_the_ordinary(tmp_path: Path, suffix: str, times: Sequence[int], shown: Sequence[int]) -> None:
    assert opened(muxed(tmp_path / f"a{suffix}", times, shown)) == len(times)


@pytest.mark.parametrize("sound", [0, 4])
def test_fragments_have_one_length_for_all_tracks(tmp_path: Path, sound: float) -> None:
    path = muxed(tmp_path / "a.mp4", sound=sound, options={"movflags": "frag_keyframe+dash+delay_moov+global_sidx"})
    assert opened(path) == COUNT


def test_an_edit_list_that_ends_before_the_frames_do(tmp_path: Path) -> None:
    path = muxed(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12
    (length,) = struct.unpack_from(">I", content, entry)
    struct.pack_into(">I", content, entry, length // 3)
    path.write_bytes(content)
    assert opened(path) == COUNT // 3


class Pipe:
    """A file that cannot be gone back in, so that no writer fills in lengths."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, content: bytes) -> int:
        return self._file.write(content)


def test_a_recording_that_was_not_finished(tmp_path: Path) -> None:
    """Its length is an estimate by the bit rate, which the noise exceeds, and no promise."""
    path = tmp_path / "a.mxf"
    noise = np.random.default_rng(0).random((COUNT, 64, 96, 3), np.float32)
    options = {"b": "1M", "minrate": "1M", "maxrate": "1M", "bufsize": "400k"}
    with path.open("wb") as file, av.open(Pipe(file), "w", format="mxf") as container:
        stream: Any = container.add_stream("mpeg2video", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for pixels in noise:
            container.mux(stream.encode(video_frame(pixels, "yuv420p", VIDEO)))
        container.mux(stream.encode(None))
    assert opened(path) == COUNT


def test_real_clips_are_taken(shared: Path) -> None:
    clips = sorted((shared / "data" / "clips").glob("*.mp4"))
    assert clips
    for path in clips:
        with av.open(str(path)) as container:
            stated = container.streams.video[0].frames
        assert opened(path) == stated
