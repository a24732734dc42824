"""A frame has the same pixels whether all before it were decoded or skipped."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.stream import VideoStream

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.frames import Image
from anyportal_core.media.clip import Clip, open_clip
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.movie_decoder import Decoder
from anyportal_core.media.movie_index import MovieIndex, index_movie
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import VIDEO, write_movie

COUNT = 80
X265 = "log-level=none:pools=1:keyint=15:min-keyint=15:scenecut=0"
REFRESH = "scenecut=0:intra-refresh=1"
MPEG = {"g": "12", "bf": "2", "b": "2M"}

# What each is made with, and from how many packets decoding may begin.
MOVIES: dict[str, tuple[str, dict[str, str], int]] = {
    "closed.mp4": ("libx264", {"g": "25", "bf": "3"}, 4),
    "closed.ts": ("libx264", {"g": "25", "bf": "3"}, 4),
    "refresh.mp4": ("libx264", {"x264-params": f"{REFRESH}:keyint=20"}, 1),
    "refresh.mkv": ("libx264", {"x264-params": f"{REFRESH}:keyint=20:bframes=3:ref=5:weightp=2"}, 1),
    "often.mp4": ("libx264", {"x264-params": f"{REFRESH}:keyint=8:ref=4"}, 1),
    "open.mp4": ("libx264", {"x264-params": "open-gop=1:keyint=8:bframes=5:ref=16:scenecut=0:b-adapt=0"}, 1),
    "open.ts": ("libx264", {"x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0:b-adapt=0"}, 1),
    "cra.mp4": ("libx265", {"x265-params": f"{X265}:bframes=4"}, 6),
    "cra.ts": ("libx265", {"x265-params": f"{X265}:bframes=4"}, 6),
    "refresh265.mp4": ("libx265", {"x265-params": f"{X265}:intra-refresh=1:bframes=0"}, 1),
    "open.mpg": ("mpeg2video", MPEG, 7),
    "open.mov": ("mpeg2video", MPEG, 7),
    "open.mxf": ("mpeg2video", MPEG, 7),
    "open1.mkv": ("mpeg1video", MPEG, 7),
    "part2.mp4": ("mpeg4", MPEG, 0),
    "part2.avi": ("mpeg4", MPEG, 0),
    "vp8.webm": ("libvpx", {"g": "20", "b": "500k", "auto-alt-ref": "1", "lag-in-frames": "16"}, 0),
    "vp9.webm": ("libvpx-vp9", {"g": "20", "b": "500k", "lag-in-frames": "16", "cpu-used": "8", "aq-mode": "2"}, 4),
    "av1.mp4": ("libsvtav1", {"g": "20", "preset": "12", "crf": "40", "svtav1-params": "lp=1"}, 4),
    "ffv1.mkv": ("ffv1", {"g": "12"}, 7),
    "mjpeg.avi": ("mjpeg", {}, COUNT),
    "prores.mov": ("prores_ks", {}, COUNT),
}
KINDS = {"mjpeg": ("yuvj420p", replace(VIDEO, full_range=True)), "prores_ks": ("yuv422p10le", replace(VIDEO, bits=10))}


def pan(count: int = COUNT, height: int = 96, width: int = 160) -> Image:
    """Frames of a camera that moves over soft noise to the left and down: what a frame shows, earlier ones showed."""
    noise = np.random.default_rng(3).random((400, 600, 3)).astype(np.float32)
    wall = cv2.GaussianBlur(noise, (0, 0), 1.5)
    wall = (wall - wall.min()) / (wall.max() - wall.min())
    corners = [(50 + 2 * i, 50 + -4 * i % 300) for i in range(count)]
    return np.stack([wall[y : y + height, x : x + width] for y, x in corners])


FRAMES = pan()


def movie(path: Path, codec: str, options: dict[str, str]) -> Path:
    layout, encoding = KINDS.get(codec, ("yuv420p", VIDEO))
    return write_movie(path, FRAMES, codec=codec, layout=layout, encoding=encoding, options=options, rate=25)


def hashes(clip: Clip, numbers: list[int] | None = None) -> dict[int, str]:
    return {frame.number: hashlib.sha256(frame.pixels.data).hexdigest() for frame in clip.frames(numbers)}


def sparse(count: int) -> list[list[int]]:
    """Some frames here and there, and each of the last ones alone: where a seek ends early, they are missing."""
    chance = random.Random(0)
    some = [sorted(chance.sample(range(count), chance.randint(1, 4))) for _ in range(25)]
    return [*some, *([number] for number in range(40, 50)), *([number] for number in range(count - 6, count))]


@pytest.mark.parametrize("name", MOVIES)
def test_frames_are_the_same_however_they_are_reached(tmp_path: Path, name: str) -> None:
    codec, options, _ = MOVIES[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this libav cannot write {codec}")
    with open_clip(MediaRef(movie(tmp_path / name, codec, options))) as clip:
        straight = hashes(clip)
        assert list(straight) == list(range(COUNT)) and len(set(straight.values())) == COUNT
        for wanted in sparse(COUNT):
            assert hashes(clip, wanted) == {number: straight[number] for number in wanted}


def indexed(path: Path) -> MovieIndex:
    with av.open(str(path)) as container:
        return index_movie(container, container.streams.video[0], path)


@pytest.mark.parametrize("name", MOVIES)
def test_decoding_begins_where_nothing_before_is_needed(tmp_path: Path, name: str) -> None:
    codec, options, starts = MOVIES[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this libav cannot write {codec}")
    index = indexed(movie(tmp_path / name, codec, options))
    assert len(index.keys) == starts
    assert np.isin(index.keys[:, 0], index.times).all()
    assert np.array_equal(index.packets[index.keys[:, 2], 0], index.keys[:, 0])


class Counting(Decoder):
    """Counts the frames that are decoded."""

    count = 0

    def _following(self) -> av.VideoFrame | None:
        self.count += 1
        return super()._following()


def decoded(path: Path, index: MovieIndex, *numbers: int) -> tuple[list[int], int]:
    """The times of some frames, and how many frames had to be decoded for them."""
    decoder = Counting(path, 0, index)
    try:
        return [decoder.frame(number).pts or 0 for number in numbers], decoder.count
    finally:
        decoder.close()


def test_what_need_not_be_decoded_is_not(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", "libx264", {"g": "20", "bf": "0", "x264-params": "scenecut=0"})
    index = indexed(path)
    assert decoded(path, index, 3, 41, 42, 63) == (index.times[[3, 41, 42, 63]].tolist(), 4 + 2 + 1 + 4)
    assert decoded(path, index, 19)[1] == 20


def too_late(index: MovieIndex) -> MovieIndex:
    keys = index.keys.copy()
    keys[:, 1] = index.times[-1]
    return replace(index, keys=keys)


def of_another_size(index: MovieIndex) -> MovieIndex:
    packets = index.packets.copy()
    packets[45, 1] += 1
    return replace(index, packets=packets)


def at_other_times(index: MovieIndex) -> MovieIndex:
    packets = index.packets.copy()
    packets[index.keys[:, 2], 0] += 1
    return replace(index, packets=packets)


@pytest.mark.parametrize("lie", [too_late, of_another_size, at_other_times], ids=lambda lie: lie.__name__)
def test_all_is_decoded_where_a_seek_leads_astray(tmp_path: Path, lie: Callable[[MovieIndex], MovieIndex]) -> None:
    """Once: later frames are decoded on from there."""
    path = movie(tmp_path / "a.mp4", "libx264", {"g": "20", "bf": "2", "x264-params": "scenecut=0"})
    index = indexed(path)
    times, count = decoded(path, lie(index), 47, 70)
    assert times == index.times[[47, 70]].tolist()
    assert 71 <= count <= 71 + 8


def test_a_frame_that_nothing_leads_to_is_missing(tmp_path: Path) -> None:
    """No other is given in its place."""
    path = movie(tmp_path / "a.mp4", "libx264", {"g": "20"})
    index = indexed(path)
    times = index.times.copy()
    times[50] += 1
    with pytest.raises(MediaUnreadableError, match="frame 50 cannot be decoded"):
        decoded(path, replace(index, times=times), 50)


def test_what_an_edit_list_hides_is_decoded_all_the_same(tmp_path: Path) -> None:
    """The only key frame before most frames is hidden."""
    path = tmp_path / "a.mp4"
    with av.open(str(movie(tmp_path / "whole.mov", "libx264", {"g": "50", "bf": "2"}))) as source:
        stream: VideoStream = source.streams.video[0]
        assert stream.time_base is not None
        shift = int(25 / (25 * stream.time_base))
        with av.open(str(path), "w") as copy:
            target: Any = copy.add_stream_from_template(stream)
            for packet in source.demux(stream):
                if packet.pts is not None and packet.dts is not None:
                    packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, target
                    copy.mux(packet)
    with open_clip(MediaRef(tmp_path / "whole.mov")) as whole, open_clip(MediaRef(path)) as hidden:
        assert hidden.info.numbers == range(COUNT - 25)
        expected = hashes(whole)
        for number in (0, 15, 24, 25, 26, 54):
            assert hashes(hidden, [number]) == {number: expected[number + 25]}


def test_high_bit_depth_and_other_colours_change_nothing(tmp_path: Path) -> None:
    deep = Encoding("pq", "bt2020", "bt2020", False, 10)
    path = write_movie(
        tmp_path / "a.mkv",
        FRAMES,
        codec="libx265",
        layout="yuv420p10le",
        encoding=deep,
        options={"x265-params": X265},
    )
    with open_clip(MediaRef(path)) as clip:
        straight = hashes(clip)
        assert hashes(clip, [33, 71]) == {33: straight[33], 71: straight[71]}
