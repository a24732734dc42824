"""Images that are no plain picture: each is read as what it is, or refused in a line that says what is there."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.errors import MediaUnreadableError, SizeMismatchError
from anyportal_core.media.clip import Clip, open_clip
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import write_image, write_images
from tests.unit.exr_bytes import FLOAT, HALF, UINT, write_exr

H = (HALF, 1, 1)
CMYK_JPEG = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoKCgYICwwLCgwJ"
    "CgoK/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAE"
    "EQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6"
    "g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkA"
    "SwAAPwD9/K/n/r+f+v38r//Z"
)
"""8x8 pixels of pure red: no cyan, all magenta and yellow, no black."""


def opened(path: Path) -> Clip:
    return open_clip(MediaRef(path))


def write(path: Path, spec: oiio.ImageSpec, pixels: np.ndarray) -> Path:
    file: Any = oiio.ImageOutput.create(str(path))
    assert file.open(str(path), spec) and file.write_image(pixels), file.geterror()
    file.close()
    return path


@pytest.mark.parametrize(
    ("channels", "said", "advice"),
    [
        ({"X": H, "Y": H, "Z": H}, "no channels red, green and blue: it has X, Y, Z", "write R, G, B"),
        ({"flow.u": H, "flow.v": H}, "it has flow.u, flow.v", "write R, G, B"),
        (
            {"diffuse.R": H, "diffuse.G": H, "depth.Z": H, "spec.B": H},
            "it has depth.Z, diffuse.R, diffuse.G, spec.B",
            "nearest is the layer 'diffuse', with R, G",
        ),
        ({f"{i:02}.u": H for i in range(12)}, "it has 00.u, .*07.u and 4 more", "write R, G, B"),
        (dict.fromkeys("RGB", (UINT, 1, 1)), r"whole numbers of 32 bits \(UINT\)", "half or float"),
        ({"Y": H, "RY": (HALF, 2, 2), "BY": (HALF, 2, 2)}, "luminance and chroma.*BY", "all of full size"),
        ({"R": H, "G": H, "B": (HALF, 2, 1)}, 'smaller than others.*"B" has sampling 2,1', "all of full size"),
    ],
)
def test_an_exr_without_a_picture_says_what_it_has(
    tmp_path: Path, channels: dict[str, tuple[int, int, int]], said: str, advice: str
) -> None:
    with pytest.raises(MediaUnreadableError, match=said) as caught:
        opened(write_exr(tmp_path / "a.exr", channels))
    assert advice in caught.value.hint
    assert caught.value.where == str(tmp_path / "a.exr")


def test_channels_beside_the_picture_do_not_matter(tmp_path: Path) -> None:
    channels = {"R": H, "G": (FLOAT, 1, 1), "B": H, "id": (UINT, 1, 1), "N.X": H, "N.Y": H, "N.Z": H}
    clip = opened(write_exr(tmp_path / "a.exr", channels))
    assert clip.info.layer == ""
    np.testing.assert_array_equal(next(clip.frames()).pixels, 1)


def test_a_deep_image(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(4, 4, 5, "float")
    spec.deep, spec.channelnames = True, ("R", "G", "B", "A", "Z")
    data = oiio.DeepData()
    data.init(16, 5, "float", ("R", "G", "B", "A", "Z"))
    file: Any = oiio.ImageOutput.create("exr")
    assert file.open(str(tmp_path / "a.exr"), spec) and file.write_deep_image(data)
    file.close()
    with pytest.raises(MediaUnreadableError, match="the image is deep") as caught:
        opened(tmp_path / "a.exr")
    assert "DeepToImage" in caught.value.hint


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 8), (8, 0)])
def test_an_image_without_pixels(tmp_path: Path, width: int, height: int) -> None:
    with pytest.raises(MediaUnreadableError, match=r"Invalid d.* window"):
        opened(write_exr(tmp_path / "a.exr", {"R": H, "G": H, "B": H}, width, height))


@pytest.mark.parametrize("suffix", ["exr", "png", "tif", "dpx", "jpg"])
def test_a_single_pixel(tmp_path: Path, suffix: str) -> None:
    clip = opened(write_image(tmp_path / f"a.{suffix}", np.full((1, 1, 3), 0.6, np.float32)))
    assert (clip.info.width, clip.info.height) == (1, 1)
    np.testing.assert_allclose(next(clip.frames()).pixels, 0.6, atol=0.003)
    assert next(clip.frames(size=(1, 1))).pixels.shape == (1, 1, 3)


@pytest.mark.parametrize("mips", [False, True])
def test_tiles_and_mipmaps(tmp_path: Path, mips: bool) -> None:
    """The largest level is the picture."""
    pixels = np.random.default_rng(0).random((96, 160, 3), np.float32).astype(np.float16)
    spec = oiio.ImageSpec(160, 96, 3, "half")
    spec.tile_width = spec.tile_height = 32
    path = write(tmp_path / "a.exr", spec, pixels)
    if mips:
        config = oiio.ImageSpec()
        config.attribute("maketx:filtername", "box")
        source = oiio.ImageBuf(str(path))
        assert oiio.ImageBufAlgo.make_texture(oiio.MakeTxTexture, source, str(path.with_name("b.exr")), config)
        path = path.with_name("b.exr")
        made = oiio.ImageBuf(str(path))
        assert made.nmiplevels > 1
    clip = opened(path)
    assert (clip.info.width, clip.info.height) == (160, 96)
    np.testing.assert_array_equal(next(clip.frames()).pixels, pixels.astype(np.float32))


def test_parts_of_different_windows(tmp_path: Path) -> None:
    """Of a file in parts, the windows are those of the part that is read."""
    specs = [oiio.ImageSpec(4, 4, 3, "half"), oiio.ImageSpec(12, 8, 3, "half")]
    for spec, title in zip(specs, ("depth", "rgba"), strict=True):
        spec.attribute("oiio:subimagename", title)
        spec.full_width, spec.full_height = 10, 6
    file: Any = oiio.ImageOutput.create("exr")
    assert file.open(str(tmp_path / "a.exr"), tuple(specs))
    file.write_image(np.zeros((4, 4, 3), np.float32))
    assert file.open(str(tmp_path / "a.exr"), specs[1], "AppendSubimage")
    file.write_image(np.ones((8, 12, 3), np.float32))
    file.close()
    clip = opened(tmp_path / "a.exr")
    assert clip.windows(0) == ((0, 0, 10, 6), (0, 0, 12, 8))
    np.testing.assert_array_equal(next(clip.frames()).pixels, np.ones((8, 12, 3)))


def test_alpha_that_some_frames_of_a_render_lack(tmp_path: Path) -> None:
    frames, alpha = np.full((3, 8, 8, 3), 0.5, np.float32), np.full((3, 8, 8), 0.5, np.float32)
    for suffix in ("exr", "png"):
        paths = write_images(tmp_path / f"a.%04d.{suffix}", frames, alpha=alpha)
        write_image(paths[1], frames[1])
    clip = opened(tmp_path / "a.%04d.exr")
    assert len(list(clip.frames())) == 3
    with pytest.raises(MediaUnreadableError, match="frame 1002 has no alpha channel"):
        list(clip.frames(alpha=True))
    assert len(list(opened(tmp_path / "a.%04d.png").frames(alpha=True))) == 3  # opaque ones are saved without


def test_frames_whose_display_windows_differ(tmp_path: Path) -> None:
    """Data windows may: these are the same picture; display windows are its size."""
    for number, display in ((1001, (0, 0, 8, 8)), (1002, (0, 0, 8, 9))):
        write_image(tmp_path / f"a.{number}.exr", np.ones((8, 8, 3), np.float32), "half", window=display)
    with pytest.raises(SizeMismatchError, match="frame 1002 is 8x9, but the first one wanted is 8x8"):
        list(opened(tmp_path / "a.%04d.exr").frames())


def test_sixteen_bit_grey_with_alpha(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(4, 4, 2, "uint16")
    spec.channelnames, spec.alpha_channel = ("Y", "A"), 1
    spec.attribute("oiio:UnassociatedAlpha", 1)
    path = write(tmp_path / "a.png", spec, np.full((4, 4, 2), [30001, 20001], np.uint16))
    frame = next(opened(path).frames(alpha=True))
    assert frame.alpha is not None
    np.testing.assert_array_equal(np.rint(frame.pixels * 65535), 30001)
    np.testing.assert_array_equal(np.rint(frame.alpha * 65535), 20001)


def test_palettes(tmp_path: Path) -> None:
    """A PNG of two bits a pixel, each the number of a colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head, palette = struct.pack(">IIBBBBB", 4, 2, 2, 3, 0, 0, 0), bytes([255, 0, 0, 0, 128, 0, 0, 0, 255, 9, 9, 9])
    rows = zlib.compress(b"\0\x1b\0\x1b")  # numbers 0, 1, 2, 3 in each of two rows
    content = chunk(b"IHDR", head) + chunk(b"PLTE", palette) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    pixels = np.rint(next(opened(tmp_path / "a.png").frames()).pixels * 255)
    np.testing.assert_array_equal(pixels[1], [[255, 0, 0], [0, 128, 0], [0, 0, 255], [9, 9, 9]])


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_printing_colours_become_red_green_and_blue(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "jpg":
        path.write_bytes(CMYK_JPEG)
    else:
        spec = oiio.ImageSpec(8, 8, 4, "uint8")
        spec.channelnames = ("C", "M", "Y", "K")
        for name in ("tiff:ColorSpace", "oiio:ColorSpace"):
            spec.attribute(name, "CMYK")
        write(path, spec, np.full((8, 8, 4), [0, 255, 255, 0], np.uint8))
    np.testing.assert_allclose(next(opened(path).frames()).pixels, np.full((8, 8, 3), [1, 0, 0]), atol=0.02)


def test_a_photograph_is_turned_and_an_exr_is_not(tmp_path: Path) -> None:
    pixels = np.zeros((16, 32, 3), np.float32)
    pixels[:, :16] = 1
    for suffix, size in (("jpg", (16, 32)), ("exr", (32, 16))):
        path = write_image(tmp_path / f"a.{suffix}", pixels, attributes={"Orientation": 6})
        clip = opened(path)
        assert (clip.info.width, clip.info.height) == size
        assert next(clip.frames()).pixels.shape[:2] == size[::-1]
