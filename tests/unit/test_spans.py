"""Parts of movies: the same frames, numbers, rate, timecode and colours as the whole, or the whole and a reason."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anyportal_client import packets
from anyportal_client.packets import WholeNeeded
from anyportal_client.spans import cut_span
from anyportal_core.errors import FrameRangeError, MediaUnreadableError
from anyportal_core.media.clip import open_clip
from anyportal_core.media.encoding import Encoding
from anyportal_core.shot import MediaRef
from anyportal_core.shot import Span as CoreSpan
from anyportal_core.testing.clips import VIDEO, moving_scene, write_movie

FRAMES = np.repeat(np.repeat(moving_scene(40, 32, 48).plate, 3, 1), 3, 2)
NTSC = Fraction(24000, 1001)
X264 = {"crf": "20", "g": "10", "bf": "3"}
X265 = {"x265-params": "keyint=10:open-gop=0:log-level=none"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=12:scenecut=0"}
DEEP = replace(VIDEO, bits=10)

MOVIES: dict[str, dict[str, Any]] = {
    "h264.mp4": {"codec": "libx264", "options": X264},
    "h264.mov": {"codec": "libx264", "options": X264, "timecode": "01:00:00:10"},
    "h264.mkv": {"codec": "libx264", "options": X264},
    "turned.mp4": {"codec": "libx264", "options": X264, "rotation": 90, "pixel_aspect": Fraction(4, 3)},
    "untagged.mp4": {"codec": "libx264", "options": X264, "tags": False},
    "wide.mp4": {"codec": "libx264", "options": X264, "encoding": Encoding("pq", "bt2020", "bt2020", False, 8)},
    "prores.mov": {"codec": "prores_ks", "layout": "yuv422p10le", "encoding": DEEP, "options": {}},
    "prores4444.mov": {
        "codec": "prores_ks",
        "layout": "yuva444p10le",
        "encoding": DEEP,
        "alpha": np.linspace(0, 1, FRAMES[..., 0].size, dtype=np.float32).reshape(FRAMES.shape[:3]),
        "options": {},
    },
    "mjpeg.mov": {"codec": "mjpeg", "layout": "yuvj420p", "encoding": replace(VIDEO, full_range=True), "options": {}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("movies")


def movie(folder: Path, name: str, **more: Any) -> Path:
    path = folder / name
    return path if path.exists() else write_movie(path, FRAMES, **{"rate": NTSC, **MOVIES.get(name, {}), **more})


def part_of(source: Path, first: int, last: int) -> MediaRef:
    target = source.with_name(f"part_{first}_{last}_{source.name}")
    span = cut_span(source, first, last, target)
    return MediaRef(target, span=CoreSpan(span.first, span.count, span.rate, span.timecode))


@pytest.mark.parametrize("wanted", [(23, 27), (20, 29), (0, 3), (38, 39)], ids=str)
@pytest.mark.parametrize("name", MOVIES)
def test_a_part_is_as_the_whole(folder: Path, name: str, wanted: tuple[int, int]) -> None:
    source = movie(folder, name)
    ref = part_of(source, *wanted)
    assert ref.path.stat().st_size < 0.7 * source.stat().st_size
    numbers = range(wanted[0], wanted[1] + 1)
    with open_clip(MediaRef(source)) as whole, open_clip(ref) as part:
        assert replace(part.info, path=source) == whole.info
        assert whole.info.rate == NTSC and len(whole.info.numbers) == 40
        assert part.content(numbers) == whole.content(numbers) != whole.digest()
        for theirs, ours in zip(whole.frames(numbers, alpha=True), part.frames(numbers, alpha=True), strict=True):
            assert ours.number == theirs.number and np.array_equal(ours.pixels, theirs.pixels)


def test_the_bytes_of_a_part_are_the_same_every_time(folder: Path) -> None:
    source = movie(folder, "h264.mov")
    first, second = folder / "first.mov", folder / "second.mov"
    assert cut_span(source, 12, 14, first) == cut_span(source, 12, 14, second)
    assert first.read_bytes() == second.read_bytes()


def test_frames_that_were_not_sent_are_refused(folder: Path) -> None:
    ref = part_of(movie(folder, "h264.mp4"), 23, 27)
    with open_clip(ref) as part:
        for number in (5, 35):
            with pytest.raises(FrameRangeError, match="were sent"):
                part.frames([number])
        with pytest.raises(FrameRangeError, match="clip has 0-39"):
            part.frames([40])


def test_a_part_that_does_not_fit_its_whole_is_refused(folder: Path) -> None:
    ref = part_of(movie(folder, "h264.mp4"), 23, 27)
    assert ref.span is not None
    with pytest.raises(MediaUnreadableError, match="of 22"):
        open_clip(replace(ref, span=replace(ref.span, count=22)))


def test_the_content_of_frames_tells_them_apart(folder: Path) -> None:
    """By pixels and by place, not by what else lies in the movie."""
    other = np.flip(FRAMES, 2)
    movies = {"one": FRAMES, "two": other, "tail": np.concatenate([FRAMES[:20], other[20:]])}
    clips = {
        name: open_clip(MediaRef(write_movie(folder / f"{name}.mov", frames, NTSC, **MOVIES["mjpeg.mov"])))
        for name, frames in movies.items()
    }
    content = {name: clip.content(range(12, 15)) for name, clip in clips.items()}
    assert content["one"] == content["tail"] != content["two"]
    assert clips["one"].content(range(13, 16)) != content["one"]
    assert clips["one"].content(range(22, 25)) != clips["tail"].content(range(22, 25))
    assert clips["one"].digest() != clips["tail"].digest()


def test_the_content_does_not_hang_on_the_container(folder: Path) -> None:
    with open_clip(MediaRef(movie(folder, "h264.mp4"))) as one, open_clip(MediaRef(movie(folder, "h264.mkv"))) as two:
        assert one.content(range(12, 15)) == two.content(range(12, 15))
        assert one.digest() != two.digest()


def test_no_frame_is_decoded_to_tell_the_content(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_clip(MediaRef(movie(folder, "h264.mp4"))) as clip:
        monkeypatch.setattr(clip, "frames", None)
        monkeypatch.setattr(type(clip), "_read", None)
        assert clip.content(range(3, 5))


def uneven(folder: Path) -> Path:
    times = [1000 * i + (700 if i > 20 else 0) for i in range(40)]
    return movie(folder, "uneven.mp4", times=times, options=X264)


def open_groups(folder: Path) -> Path:
    return movie(folder, "open.mp4", options=X264 | {"x264-params": "open-gop=1:scenecut=0:no-deblock=1"})


def shifted(folder: Path) -> Path:
    """The first five frames lie before the beginning: QuickTime hides them by an edit list."""
    path = folder / "hidden.mov"
    with av.open(str(movie(folder, "h264.mov"))) as source, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is not None and packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - 5 * 1001, packet.dts - 5 * 1001, stream
                copy.mux(packet)
    return path


REFUSED: dict[str, tuple[Any, str]] = {
    "variable rate": (uneven, "rate varies"),
    "open groups": (open_groups, "open GOP"),
    "edit list": (shifted, "edit list"),
    "avi": (lambda folder: movie(folder, "plain.avi", codec="mpeg4", options={"g": "5"}), "of the kind avi"),
    "ts": (lambda folder: movie(folder, "plain.ts", options=X264), "of the kind mpegts"),
    "codec": (lambda folder: movie(folder, "old.mov", codec="mpeg2video", options={"g": "5"}), "codec mpeg2video"),
    "hevc": (lambda folder: movie(folder, "hevc.mp4", codec="libx265", options=X265), "codec hevc"),
    "mpeg4": (lambda folder: movie(folder, "m4.mov", codec="mpeg4", options={"g": "12", "bf": "2"}), "codec mpeg4"),
    "refresh": (lambda folder: movie(folder, "refresh.mp4", options=X264 | REFRESH), "beyond its key frames"),
    "raw": (lambda folder: movie(folder, "raw.h264", options=X264), "of the kind h264"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exact_is_sent_whole(folder: Path, name: str) -> None:
    make, why = REFUSED[name]
    with pytest.raises(WholeNeeded, match=why):
        cut_span(make(folder), 33, 39, folder / "none.mov")
    assert not (folder / "none.mov").exists()


@pytest.mark.parametrize("wanted", [(0, 39), (0, 99), (40, 50), (2, 38)], ids=str)
def test_what_saves_nothing_is_sent_whole_without_a_word(folder: Path, wanted: tuple[int, int]) -> None:
    with pytest.raises(WholeNeeded) as caught:
        cut_span(movie(folder, "h264.mp4"), *wanted, folder / "none.mp4")
    assert str(caught.value) == ""


@pytest.mark.parametrize("calls", [3, 45], ids=["while it is read", "while it is copied"])
def test_cutting_can_be_stopped(folder: Path, calls: int) -> None:
    left = iter(range(calls))

    def checkpoint() -> None:
        if next(left, None) is None:
            raise InterruptedError

    with pytest.raises(WholeNeeded):
        cut_span(movie(folder, "h264.mp4"), 23, 27, folder / "none.mp4", checkpoint)
    assert next(left, None) is None and not (folder / "none.mp4").exists()


def test_a_container_that_changes_a_packet_is_not_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a muxer does, the part is read again and compared."""
    from anyportal_client import spans

    told = spans._told
    calls: list[int] = []

    def tampered(packets: Any, stream: Any) -> Any:
        found = told(packets, stream)
        calls.append(len(found))
        return found[:-1] if len(calls) == 1 else found

    monkeypatch.setattr(spans, "_told", tampered)
    with pytest.raises(WholeNeeded, match="without a change"):
        cut_span(movie(folder, "h264.mp4"), 23, 27, folder / "none.mp4")
    assert calls and not (folder / "none.mp4").exists()


def test_packets_that_are_no_frames_are_not_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each of two fields is a packet, counting packets would give other frames."""
    from anyportal_client import spans

    def fields(*arguments: Any) -> list[packets.Shown]:
        return [
            half for each in packets.listed(*arguments) for half in (each, replace(each, time=each.time + 1, key=False))
        ]

    monkeypatch.setattr(spans, "listed", fields)
    with pytest.raises(WholeNeeded, match="its packets are not its frames"):
        cut_span(movie(folder, "h264.mp4"), 23, 27, folder / "none.mp4")


@pytest.mark.parametrize(("name", "codec", "other"), [("h264.mp4", b"avc1", b"zzzz"), ("h264.mkv", b"MPEG4", b"ZZZZ4")])
def test_an_unknown_codec_is_not_cut(folder: Path, name: str, codec: bytes, other: bytes) -> None:
    path = folder / f"unknown_{name}"
    path.write_bytes(movie(folder, name).read_bytes().replace(codec, other))
    with pytest.raises(WholeNeeded, match="not known here"):
        cut_span(path, 23, 27, folder / "none.mp4")
