"""Stored numbers, in and out: every code of every storage is read so that it becomes the same code again."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from anyportal_core.media.clip import open_clip
from anyportal_core.media.writers import open_writer
from anyportal_core.shot import MediaRef


@pytest.fixture(autouse=True)
def half_tiffs() -> Iterator[None]:
    """By default OpenImageIO writes none."""
    oiio.attribute("tiff:half", 1)
    yield
    oiio.attribute("tiff:half", 0)


ONE = {8: "uint8", 10: "uint16", 12: "uint16", 16: "uint16"}


def every_code(bits: int) -> NDArray[np.int64]:
    """All codes of so many bits, ``(H, W, 3)``, in another order in each channel."""
    side = 1 << bits // 2
    codes = np.arange(1 << bits).reshape(side, -1)
    return np.stack([codes, codes[::-1], codes[:, ::-1]], axis=-1)


def write(path: Path, pixels: NDArray[Any], kind: str, bits: int = 0) -> Path:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, kind)
    if bits:
        spec.attribute("oiio:BitsPerSample", bits)
    file: Any = oiio.ImageOutput.create(str(path))
    assert file.open(str(path), spec) and file.write_image(np.ascontiguousarray(pixels)), file.geterror()
    file.close()
    return path


def stored(path: Path) -> NDArray[Any]:
    file: Any = oiio.ImageInput.open(str(path))
    pixels = file.read_image(0, 0, 0, 3, file.spec().format)
    file.close()
    return np.asarray(pixels)


@pytest.mark.parametrize(
    ("suffix", "bits"),
    [("png", 8), ("png", 16), ("tif", 8), ("tif", 10), ("tif", 12), ("tif", 16), ("dpx", 10), ("dpx", 12), ("dpx", 16)],
)
def test_integers(tmp_path: Path, suffix: str, bits: int) -> None:
    codes, most = every_code(bits), (1 << bits) - 1
    whole = np.iinfo(ONE[bits]).max
    path = write(tmp_path / f"a.{suffix}", np.rint(codes / most * whole).astype(ONE[bits]), ONE[bits], bits)
    clip = open_clip(MediaRef(path))
    assert clip.info.encoding.bits == bits
    pixels = next(clip.frames()).pixels
    np.testing.assert_array_equal(np.rint(pixels * most), codes)
    assert (pixels[codes == 0] == 0).all() and (pixels[codes == most] == 1).all()


def every_half() -> NDArray[np.float16]:
    """All that are numbers, denormal ones and both zeros among them."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    return np.where(np.isfinite(halves), halves, np.float16(1)).reshape(256, -1)[..., None].repeat(3, -1)


def some_floats() -> NDArray[np.float32]:
    bits = np.random.default_rng(0).integers(0, 1 << 32, (64, 64, 3), np.uint32)
    floats = bits.view(np.float32)
    return np.where(np.isfinite(floats), floats, np.float32(-0.0)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["exr", "tif"])
@pytest.mark.parametrize("kind", ["half", "float"])
def test_floats(tmp_path: Path, suffix: str, kind: str) -> None:
    values = every_half() if kind == "half" else some_floats()
    path = write(tmp_path / f"a.{suffix}", values, kind)
    clip = open_clip(MediaRef(path))
    assert clip.info.storage == kind
    pixels = next(clip.frames()).pixels
    assert pixels.astype(values.dtype).tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("suffix", "kind", "form"),
    [
        ("png", "uint8", "png"),
        ("png", "uint16", "png"),
        ("tif", "uint16", "tiff"),
        ("exr", "half", "exr"),
        ("exr", "float", "exr"),
        ("tif", "half", "exr"),
        ("tif", "float", "exr"),
    ],
)
def test_what_is_only_foreground_comes_out_as_it_went_in(tmp_path: Path, suffix: str, kind: str, form: str) -> None:
    """A plate under full cover, from a file to a file: the same stored numbers."""
    if kind.startswith("uint"):
        values: NDArray[Any] = every_code(8 if kind == "uint8" else 16).astype(kind)
    else:
        values = every_half() if kind == "half" else some_floats()
    clip = open_clip(MediaRef(write(tmp_path / f"plate.{suffix}", values, kind)))
    pixels = next(clip.frames()).pixels
    layers = {"comp": pixels, "foreground": pixels, "background": np.ones_like(pixels)}
    layers["matte"] = np.ones(pixels.shape[:2], np.float32)
    writer = open_writer(form, tmp_path / "out", "shot", ("comp",), clip.info, Fraction(24), {})
    path = writer.write(0, layers)[0].path
    writer.close()
    assert stored(path).tobytes() == values.tobytes()
