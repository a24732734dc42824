"""Small JPEG pictures of frames of movies and sequences, decoded exactly, with PyAV alone."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from anyportal_client.patterns import file_of, is_pattern
from anyportal_client.request import IMAGE_ENDINGS

BOX = (640, 480)
_QUALITY = 3  # of 2, best, to 31


def thumbnails(path: Path, numbers: Sequence[int], box: tuple[int, int] = BOX) -> dict[int, bytes]:
    """JPEGs of some frames, each at most ``box`` wide and high, never enlarged.

    Linear light (EXR) is shown as sRGB; values above 1 are clipped.

    Args:
        path: a movie, whose frames count from 0, a still, which has frame 0 alone, or a printf pattern of a sequence.
        numbers: the frames wanted.

    Returns:
        By number; frames that are not there or cannot be decoded are left out: a report does without them.
    """
    read = _image_frames if path.suffix.lower() in IMAGE_ENDINGS else _movie_frames
    found: dict[int, bytes] = {}
    try:
        for number, frame, aspect in read(path, sorted(set(numbers))):
            found[number] = _jpeg(frame, aspect, box)
    except Exception:  # whatever a decoder makes of it: no picture is worth the report
        pass
    return found


def frames_from(path: Path, first: int, count: int) -> Iterator[VideoFrame]:
    """Neighbouring frames, decoded one after another; those that are not there are left out at the end.

    Args:
        path: a movie, or a printf pattern; a still stands for each of its frames.
    """
    if path.suffix.lower() in IMAGE_ENDINGS:
        for number in range(first, first + count):
            yield from (frame for _, frame, _ in _image_frames(path, [number]))
        return
    with av.open(str(path), metadata_errors="replace") as container:
        times, keys = _index(container, container.streams.video[0])
    wanted = times[first : first + count]
    if not wanted:
        return
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        container.seek(_key_before(keys, wanted[0]), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= wanted[0]:
                yield frame
                count -= 1
            if count <= 0:
                return


def _key_before(keys: list[tuple[int, int]], time: int) -> int:
    """Where to seek for a frame: the key frame at or before it."""
    return keys[max(0, bisect.bisect_right(keys, (time, time)) - 1)][1] if keys else 0


def _image_frames(path: Path, numbers: Sequence[int]) -> Iterator[tuple[int, VideoFrame, Fraction]]:
    for number in numbers if is_pattern(path) else numbers[:1]:
        with av.open(str(file_of(path, number))) as container:
            stream = container.streams.video[0]
            if path.suffix.lower() == ".exr":
                stream.codec_context.options = {"apply_trc": "iec61966_2_1"}
            yield number, next(container.decode(stream)), Fraction(1)


def _movie_frames(path: Path, numbers: Sequence[int]) -> Iterator[tuple[int, VideoFrame, Fraction]]:
    """Frames by their place in the order of presentation; each is decoded from the key frame before it."""
    with av.open(str(path), metadata_errors="replace") as container:
        times, keys = _index(container, container.streams.video[0])
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for number in (n for n in numbers if n < len(times)):
            container.seek(_key_before(keys, times[number]), stream=stream)
            for frame in container.decode(stream):
                if frame.pts is not None and frame.pts >= times[number]:
                    yield number, frame, Fraction(stream.sample_aspect_ratio or 1)
                    break


def _index(container: Any, stream: Any) -> tuple[list[int], list[tuple[int, int]]]:
    """Presentation times of all frames, and of key frames with the time to seek to."""
    packets = [p for p in container.demux(stream) if p.size and not p.is_discard and p.pts is not None]
    keys = [(p.pts, min(p.pts, p.pts if p.dts is None else p.dts)) for p in packets if p.is_keyframe]
    return sorted(p.pts for p in packets), sorted(keys)


def _jpeg(frame: VideoFrame, aspect: Fraction, box: tuple[int, int]) -> bytes:
    rgb = _upright(frame.reformat(format="rgb24"))
    stretch = aspect if rgb.width == frame.width else 1 / aspect
    scale = min(Fraction(1), Fraction(box[0]) / (rgb.width * stretch), Fraction(box[1], rgb.height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (rgb.width * stretch, rgb.height))
    # JPEG knows BT.601 in full range alone.
    small = rgb.reformat(
        width, height, "yuvj420p", interpolation="AREA" if scale < 1 else "BICUBIC", dst_colorspace="ITU601"
    )
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.qmin = encoder.qmax = _QUALITY
    small.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(small), *encoder.encode(None)))


def _upright(frame: VideoFrame) -> VideoFrame:
    """The picture as players show it, where the camera was held sideways."""
    turn = round(frame.rotation / 90) * 90
    if turn == 0:
        return frame
    graph = Graph()
    steps = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))]
    for _ in range(abs(turn) // 90):
        steps.append(graph.add("transpose", "cclock" if turn > 0 else "clock"))
    steps.append(graph.add("buffersink"))
    graph.link_nodes(*steps).configure()
    frame.pts = 0
    graph.push(frame)
    turned = graph.pull()
    assert isinstance(turned, VideoFrame)
    return turned
