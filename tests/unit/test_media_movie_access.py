"""Frame-accurate access, in whatever order and container; and movies that are cut short."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from anyportal_core.errors import MediaUnreadableError, SizeMismatchError
from anyportal_core.media.clip import Clip, open_clip
from anyportal_core.media.movie_index import MovieIndex, is_variable, rate_of
from anyportal_core.media.planes import video_frame
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import VIDEO, numbered_frames, read_number, write_movie

COUNT = 90
Packet: TypeAlias = "av.Packet[VideoStream]"

# Long and short groups of pictures, closed and open, with B-frames as references.
H264 = {
    "closed": {"bf": "3", "g": "25", "x264-params": "b-pyramid=2"},
    "open": {"bf": "3", "g": "12", "x264-params": "open-gop=1"},
    "short": {"bf": "2", "g": "3"},
    "one key frame": {"bf": "3", "g": "500"},
}
WANTED = ([0], [89], [40], [11, 12, 13], [24, 25, 26], [0, 50, 89], [3, 47, 48, 49, 80], [88, 89])


def read(clip: Clip, wanted: list[int] | None = None) -> list[int]:
    return [read_number(frame.pixels) for frame in clip.frames(wanted)]


def movie(path: Path, options: dict[str, str], **more: Any) -> Path:
    return write_movie(path, numbered_frames(COUNT, 32, 64), options={"crf": "20", **options}, **more)


@pytest.fixture(scope="module", params=[(g, s) for g in H264 for s in (".mp4", ".mkv")] + [("closed", ".ts")])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clip]:
    group, suffix = request.param
    path = movie(tmp_path_factory.mktemp("access") / f"a{suffix}", H264[group])
    with open_clip(MediaRef(path)) as opened:
        yield opened


def test_all_frames_in_order(clip: Clip) -> None:
    assert clip.info.numbers == range(COUNT)
    assert read(clip) == list(range(COUNT))


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_any_frames(clip: Clip, wanted: list[int]) -> None:
    assert read(clip, wanted) == wanted


def test_readers_do_not_disturb_each_other(clip: Clip) -> None:
    one, two = clip.frames(range(5, 80)), clip.frames(range(30, 80))
    for number in range(5, 20):
        assert read_number(next(one).pixels) == number
        assert read_number(next(two).pixels) == number + 25


def test_frames_are_let_go_of_at_once(tmp_path: Path) -> None:
    """Not only when the garbage collector comes by: a frame is megabytes, and it comes rarely."""
    path = movie(tmp_path / "a.mp4", H264["closed"])
    with open_clip(MediaRef(path)) as clip:
        gc.collect()
        gc.disable()
        try:
            for _ in clip.frames():
                pass
            alive = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
        finally:
            gc.enable()
    assert alive < 10


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".avi", "mpeg4"), (".avi", "mjpeg"), (".mpg", "mpeg2video"), (".webm", "libvpx-vp9")]
)
def test_other_containers(tmp_path: Path, suffix: str, codec: str) -> None:
    layout = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = {"g": "12", "b": "3M", "bf": "2"} if "mpeg" in codec and codec != "mjpeg" else {"b": "1M"}
    path = write_movie(
        tmp_path / f"a{suffix}", numbered_frames(30, 32, 64), codec=codec, layout=layout, options=options, rate=25
    )
    with open_clip(MediaRef(path)) as clip:
        assert clip.info.numbers == range(30)
        assert read(clip) == list(range(30))
        assert read(clip, [13, 14, 29]) == [13, 14, 29]
        assert clip.info.rate == 25


def test_raw_stream_without_times(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.h264", H264["closed"])
    with open_clip(MediaRef(path)) as clip:
        assert read(clip) == list(range(COUNT))
        assert read(clip, [30, 60]) == [30, 60]


@pytest.mark.parametrize("rate", [24, 25])
@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".h264", "libx264", {}),
        (".hevc", "libx265", {"x265-params": "log-level=0:pools=1"}),
        (".mpg", "mpeg2video", {"b": "5000000", "bf": "2"}),
    ],
)
def test_rates_of_streams_without_times(
    tmp_path: Path, rate: int, suffix: str, codec: str, options: dict[str, str]
) -> None:
    frames = numbered_frames(80, 64, 96)
    path = write_movie(tmp_path / f"a{suffix}", frames, rate=rate, codec=codec, options=options)
    with open_clip(MediaRef(path)) as clip:
        assert (clip.info.rate, clip.info.variable_rate, len(clip.info.numbers)) == (rate, False, 80)


def test_a_stream_that_says_no_rate_has_none() -> None:
    silent: Any = SimpleNamespace(guessed_rate=None, average_rate=None, time_base=Fraction(1, 1_200_000))
    index = MovieIndex(np.arange(10), seekable=False)
    assert rate_of(silent, index) is None
    assert not is_variable(silent, index, None)


def remuxed(source: Path, target: Path, change: Callable[[int, Packet], Iterable[Packet]]) -> Path:
    """The same movie with each packet made into others."""
    with av.open(str(source)) as movie, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(movie.streams.video[0])
        for place, packet in enumerate(movie.demux(video=0)):
            for made in change(place, packet) if packet.size else ():
                made.stream = stream
                copy.mux(made)
    return target


def packet_of(data: bytes, like: Packet, later: int = 0) -> Any:
    packet: Any = av.Packet(data)
    assert like.pts is not None
    packet.pts = packet.dts = like.pts + later
    packet.time_base, packet.is_keyframe = like.time_base, like.is_keyframe and not later
    return packet


def test_packets_that_are_never_shown_have_no_number(tmp_path: Path) -> None:
    """VP8 may hold pictures that later ones alone refer to."""

    def hidden(place: int, packet: Packet) -> list[Packet]:
        data = bytearray(bytes(packet))
        if place % 10 == 5:
            data[0] &= ~0x10
        return [packet_of(bytes(data), packet)]

    options = {"g": "100", "b": "1M", "auto-alt-ref": "0"}
    source = write_movie(tmp_path / "a.webm", numbered_frames(40, 32, 64), codec="libvpx", options=options)
    with open_clip(MediaRef(remuxed(source, tmp_path / "b.webm", hidden))) as clip:
        shown = [number for number in range(40) if number % 10 != 5]
        assert clip.info.numbers == range(36)
        assert read(clip) == shown
        assert read(clip, [4, 5, 30]) == [shown[4], shown[5], shown[30]]


def test_two_packets_to_a_frame_are_one(tmp_path: Path) -> None:
    """As those of interlaced movies that hold one field each."""

    def halves(place: int, packet: Packet) -> list[Packet]:
        data = bytes(packet)
        third = data.find(b"\0\0\1\3")
        return [packet_of(data[:third], packet), packet_of(data[third:], packet, 20)]

    options = {"g": "12", "b": "2M", "bf": "0"}
    source = write_movie(tmp_path / "a.mkv", numbered_frames(30, 64, 96), codec="mpeg2video", options=options, rate=25)
    with open_clip(MediaRef(remuxed(source, tmp_path / "b.mkv", halves))) as clip:
        assert clip.info.numbers == range(30) and clip.info.rate == 25 and not clip.info.variable_rate
        assert [frame.number for frame in clip.frames([3, 20])] == [3, 20]


@pytest.mark.parametrize(("bits", "size"), [(8, (64, 96)), (10, (32, 64))])
def test_a_movie_that_changes_on_the_way(tmp_path: Path, bits: int, size: tuple[int, int]) -> None:
    layout = "yuv420p10le" if bits == 10 else "yuv420p"
    first = write_movie(tmp_path / "a.ts", numbered_frames(20, 32, 64), options={"g": "10"})
    second = write_movie(
        tmp_path / "b.ts",
        numbered_frames(20, *size),
        layout=layout,
        encoding=replace(VIDEO, bits=bits),
        options={"g": "10"},
    )
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with open_clip(MediaRef(both)) as clip:
        assert read(clip, [0, 19]) == [0, 19]
        with pytest.raises(SizeMismatchError, match=rf"frame 20 .* {size[1]}x{size[0]} pixels of {bits} bits"):
            read(clip, [19, 20])


@pytest.mark.parametrize(("suffix", "codec", "other"), [(".mp4", b"avc1", b"zzzz"), (".mkv", b"MPEG4", b"ZZZZ4")])
def test_a_codec_that_nobody_knows(tmp_path: Path, suffix: str, codec: bytes, other: bytes) -> None:
    path = movie(tmp_path / f"a{suffix}", {})
    path.write_bytes(path.read_bytes().replace(codec, other))
    with pytest.raises(MediaUnreadableError, match="of a codec that is not known here"):
        open_clip(MediaRef(path))


def test_an_edit_list_hides_frames(tmp_path: Path) -> None:
    """Frames before the edit are in the file and in its count, but are not shown: they have no number."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=24, options={"bf": "2", "g": "30"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for number, pixels in enumerate(numbered_frames(40, 32, 64)):
            frame = video_frame(pixels, "yuv420p", VIDEO)
            frame.pts = number - 10
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_clip(MediaRef(path)) as clip:
        numbers = read(clip)
        assert len(clip.info.numbers) == len(numbers)
        assert numbers == list(range(10, 40))
        assert read(clip, [0, 20]) == [10, 30]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_movie_that_is_cut_short(tmp_path: Path, suffix: str, share: float) -> None:
    whole = movie(tmp_path / f"whole{suffix}", {"g": "12", "movflags": "faststart"}, rate=24)
    if suffix == ".mp4":
        whole = _with_index_first(whole)
    cut = tmp_path / f"cut{suffix}"
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MediaUnreadableError, match=rf"\d+ of {COUNT} frames can be read") as caught:
        list(open_clip(MediaRef(cut)).frames())
    assert caught.value.where == str(cut)
    assert caught.value.hint


def test_a_movie_without_its_index(tmp_path: Path) -> None:
    whole = movie(tmp_path / "whole.mp4", {})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:-1500])
    with pytest.raises(MediaUnreadableError, match="cut short"):
        open_clip(MediaRef(cut))


def test_garbage_in_the_middle_is_noticed_or_shown_but_never_miscounted(tmp_path: Path) -> None:
    whole = bytearray(movie(tmp_path / "a.mp4", {"g": "12"}).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 200] = np.random.default_rng(0).bytes(200)
    path = tmp_path / "b.mp4"
    path.write_bytes(whole)
    clip = open_clip(MediaRef(path))
    assert read(clip, [0, 1]) == [0, 1]
    try:
        numbers = read(clip)
    except MediaUnreadableError:
        return
    assert numbers[:20] == list(range(20))
    assert numbers[-12:] == list(range(COUNT - 12, COUNT))


def _with_index_first(path: Path) -> Path:
    """The same movie with its table of samples before the samples."""
    target = path.with_name("first" + path.suffix)
    with av.open(str(path)) as source, av.open(str(target), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return target
