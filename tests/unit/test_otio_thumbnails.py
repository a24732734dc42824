"""Thumbnails: the right frame, the right colours, the right way up."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_client.otio.thumbnails import thumbnails

SIZE = 96, 64


def pixels(jpeg: bytes) -> np.ndarray:
    """A JPEG as ``(H, W, 3)`` 0..255."""
    with av.open(io.BytesIO(jpeg)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)


def movie(path: Path, count: int, options: dict[str, str]) -> Path:
    """Frame N is grey of level 5 N, its left quarter red."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 24, options={"qp": "4", "colorspace": "bt709", **options})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv444p"
        for number in range(count):
            image = np.full((SIZE[1], SIZE[0], 3), 5 * number, np.uint8)
            image[:, : SIZE[0] // 4] = 200, 20, 20
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
                format="yuv444p", src_colorspace="ITU709", dst_colorspace="ITU709"
            )
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def still(path: Path, level: int) -> None:
    """A grey picture."""
    buffer = oiio.ImageBuf(oiio.ImageSpec(*SIZE, 3, "uint8"))
    oiio.ImageBufAlgo.fill(buffer, (level / 255,) * 3)
    assert buffer.write(str(path))


@pytest.mark.parametrize("gop", ["1", "7", "250"])
def test_a_movie_s_frames_are_exact(tmp_path: Path, gop: str) -> None:
    path = movie(tmp_path / "a.mp4", 50, {"g": gop, "bf": "3", "flags": "+cgop" if gop == "7" else "-cgop"})
    wanted = [0, 1, 13, 14, 26, 48, 49]
    found = thumbnails(path, wanted)
    assert sorted(found) == wanted
    levels = {number: pixels(jpeg)[:, 60:].mean() / 5 for number, jpeg in found.items()}
    assert all(abs(level - number) < 0.5 for number, level in levels.items())


def test_colours_of_a_bt709_movie_are_right(tmp_path: Path) -> None:
    jpeg = thumbnails(movie(tmp_path / "a.mp4", 1, {}), [0])[0]
    assert np.abs(pixels(jpeg)[:, 4:20].mean((0, 1)) - (200, 20, 20)).max() < 5


def test_linear_exr_is_shown_as_srgb(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(*SIZE, 5, "half")
    spec.channelnames = ("R", "G", "B", "A", "matte.A")
    image = np.full((SIZE[1], SIZE[0], 5), 0.18, np.float32)
    image[:, 48:, :3] = 7.0
    output = oiio.ImageOutput.create("x.exr")
    assert output.open(str(tmp_path / "x.1001.exr"), spec)
    output.write_image(image)
    output.close()
    found = thumbnails(tmp_path / "x.%04d.exr", [1001, 1002])
    assert list(found) == [1001]
    assert abs(pixels(found[1001])[:, :40].mean() - 118) < 2  # 0.18 is 118 of 255 in sRGB
    assert pixels(found[1001])[:, 60:].mean() > 253


def test_a_thumbnail_fits_its_box_and_is_never_enlarged(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", 1, {})
    assert pixels(thumbnails(path, [0], (48, 48))[0]).shape == (32, 48, 3)
    assert pixels(thumbnails(path, [0])[0]).shape == (64, 96, 3)


def test_a_movie_turned_by_its_header_stands_upright(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", 1, {})
    data = path.read_bytes()
    one = (1 << 16).to_bytes(4, "big")
    still, minus = b"\0" * 4, (-(1 << 16) & 0xFFFFFFFF).to_bytes(4, "big")
    upright = one + still * 3 + one
    assert data.count(upright) == 2  # of the movie and of its track
    at = data.rindex(upright)
    clockwise = still + one + still + minus + still
    path.write_bytes(data[:at] + clockwise + data[at + len(upright) :])
    image = pixels(thumbnails(path, [0])[0])
    assert image.shape == (96, 64, 3)
    assert image[4:16].mean((0, 1))[0] > 180  # the left quarter has become the upper one
    assert image[40:].mean() < 20


@pytest.mark.parametrize("name", ["100%.png", "50% grey.png", "a%20b.png", "100%dark.png"])
def test_a_sign_of_percent_in_a_still_s_name_is_a_letter(tmp_path: Path, name: str) -> None:
    still(tmp_path / name, 100)
    assert abs(pixels(thumbnails(tmp_path / name, [0])[0]).mean() - 100) < 3


def test_a_sign_of_percent_beside_the_counter_is_a_letter(tmp_path: Path) -> None:
    for number in (1, 2):
        still(tmp_path / f"50%off a%20b.{number:04d}.png", 100 * number)
    found = thumbnails(tmp_path / "50%off a%20b.%04d.png", [1, 2, 3])
    assert {number: round(pixels(jpeg).mean(), -1) for number, jpeg in found.items()} == {1: 100, 2: 200}


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no movie")
    assert thumbnails(broken, [0]) == {}
    assert thumbnails(tmp_path / "gone.%04d.exr", [1]) == {}
    assert thumbnails(tmp_path / "\0.png", [0]) == {}
    assert list(thumbnails(movie(tmp_path / "a.mp4", 3, {}), [2, 3])) == [2]
