"""Pictures that are too large are refused by their header, before a decoder takes the memory for them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from anyportal_core.errors import InputError, ShotError
from anyportal_core.media import bounds
from anyportal_core.media.clip import open_clip
from anyportal_core.shot import MediaRef


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    bounds.limit(100_000)
    yield
    bounds.limit(None)


def read(path: Path) -> None:
    with open_clip(MediaRef(path)) as clip:
        for _ in clip.frames(clip.info.numbers):
            pass


def black(path: Path, side: int) -> None:
    assert cv2.imwrite(str(path), np.zeros((side, side, 3), np.uint8))


def test_a_large_picture_is_refused(tmp_path: Path) -> None:
    black(tmp_path / "large.png", 2000)
    with pytest.raises(ShotError, match="2000x2000 pixels") as caught:
        read(tmp_path / "large.png")
    assert "picture_megapixels" in caught.value.hint


def test_a_large_picture_in_the_middle_of_a_sequence_is_not_decoded(tmp_path: Path) -> None:
    for number in (1, 2):
        black(tmp_path / f"plate.{number:04d}.png", 20)
    black(tmp_path / "plate.0003.png", 2000)
    with pytest.raises(ShotError, match="2000x2000"):
        read(tmp_path / "plate.%04d.png")


@pytest.mark.parametrize(("side", "fits"), [(160, True), (640, False)])
def test_movies(tmp_path: Path, side: int, fits: bool) -> None:
    path = tmp_path / "plate.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((side, side, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if fits:
        read(path)
        return
    with pytest.raises(ShotError, match=f"{side}x{side} pixels"):
        read(path)


def test_a_stream_that_grows_after_its_header_is_refused_by_the_decoder(tmp_path: Path) -> None:
    path = tmp_path / "plate.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=24)
        stream.width = stream.height = 640
        stream.pix_fmt = "yuvj420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((640, 640, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = path.read_bytes()
    at = data.index(b"strf") + 8
    assert struct.unpack_from("<ii", data, at + 4) == (640, 640)
    smaller = bytearray(data)
    struct.pack_into("<ii", smaller, at + 4, 64, 64)
    path.write_bytes(smaller)
    with pytest.raises(InputError):
        read(path)
