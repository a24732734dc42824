"""Sequences and stills: notation, numbers, formats, windows, and what is wrong with broken ones."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.errors import (
    FrameRangeError,
    MediaNotFoundError,
    MediaUnreadableError,
    MissingFramesError,
    NonFinitePixelsError,
    ShotError,
    SizeMismatchError,
)
from anyportal_core.frames import Image
from anyportal_core.media import bounds
from anyportal_core.media.clip import Clip, open_clip
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.windows import Margins, Window
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import numbered_frames, read_number, write_image, write_images


def opened(path: Path) -> Clip:
    return open_clip(MediaRef(path))


def picture(height: int = 12, width: int = 20, seed: int = 0) -> Image:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


@pytest.mark.parametrize(
    "notation",
    [
        "plate.%04d.png",
        "plate.####.png",
        "plate.#.png",
        "plate.@@@@.png",
        "plate.1001-1012#.png",
        "plate.1001-1012####.png",
        "",
    ],
)
def test_notations(tmp_path: Path, notation: str) -> None:
    write_images(tmp_path / "plate.%04d.png", numbered_frames(12))
    (tmp_path / "notes.txt").write_text("not a frame")
    clip = opened(tmp_path / notation)
    assert clip.info.kind == "sequence"
    assert clip.info.numbers == range(1001, 1013)
    assert clip.info.path == tmp_path / "plate.%04d.png"
    assert [(f.number, read_number(f.pixels)) for f in clip.frames([1003, 1010])] == [(1003, 2), (1010, 9)]


@pytest.mark.parametrize(
    ("pattern", "first"), [("a_%05d.png", 99998), ("a%d.png", 8), ("a.%03d.png", 0), ("a-1.%04d.png", 5)]
)
def test_numbers_of_the_files_are_kept(tmp_path: Path, pattern: str, first: int) -> None:
    write_images(tmp_path / pattern, numbered_frames(4), first=first)
    clip = opened(tmp_path / pattern)
    assert clip.info.numbers == range(first, first + 4)
    assert [read_number(f.pixels) for f in clip.frames()] == [0, 1, 2, 3]


def test_a_range_in_the_pattern_is_the_clip(tmp_path: Path) -> None:
    write_images(tmp_path / "a.%04d.png", numbered_frames(10), first=1)
    clip = opened(tmp_path / "a.3-5#.png")
    assert clip.info.numbers == range(3, 6)
    assert [read_number(f.pixels) for f in clip.frames()] == [2, 3, 4]
    with pytest.raises(FrameRangeError, match="3-5"):
        clip.frames([6])


def test_one_numbered_file_is_a_still(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "a.%04d.png", numbered_frames(4))
    clip = opened(paths[2])
    assert (clip.info.kind, clip.info.numbers) == ("still", range(1))
    assert [read_number(f.pixels) for f in clip.frames()] == [2]


def test_a_sequence_of_one(tmp_path: Path) -> None:
    write_images(tmp_path / "a.%04d.png", numbered_frames(1))
    assert opened(tmp_path / "a.%04d.png").info.numbers == range(1001, 1002)


def write_windowed(path: Path, pixels: Image, at: tuple[int, int], display: Window) -> Path:
    """A half float EXR whose data window begins ``at`` x, y."""
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, "half")
    spec.x, spec.y = at
    spec.full_x, spec.full_y, spec.full_width, spec.full_height = display
    file = oiio.ImageOutput.create(str(path))
    assert file is not None
    assert file.open(str(path), spec)
    file.write_image(pixels)
    file.close()
    return path


def test_holes_are_listed(tmp_path: Path) -> None:
    for path in write_images(tmp_path / "a.%04d.png", numbered_frames(12))[3:9:2]:
        path.unlink()
    clip = opened(tmp_path / "a.####.png")
    assert list(clip.info.numbers) == [1001, 1002, 1003, 1005, 1007, 1009, 1010, 1011, 1012]
    with pytest.raises(MissingFramesError, match="1004,1006,1008"):
        clip.frames()
    with pytest.raises(MissingFramesError, match="1 of the frames is missing: 1006"):
        clip.frames(range(1005, 1008))
    assert [f.number for f in clip.frames(range(1009, 1013))] == [1009, 1010, 1011, 1012]
    assert [f.number for f in clip.frames([1012, 1003])] == [1003, 1012]
    with pytest.raises(MissingFramesError, match="1004"):
        opened(tmp_path / "a.1003-1005#.png")


def test_a_file_that_goes_away_later(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "a.%04d.png", numbered_frames(3))
    clip = opened(tmp_path / "a.%04d.png")
    paths[1].unlink()
    with pytest.raises(MediaNotFoundError, match="1002"):
        list(clip.frames())


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(MediaNotFoundError):
        opened(tmp_path)
    write_images(tmp_path / "a.%04d.png", numbered_frames(2))
    write_images(tmp_path / "b.%04d.png", numbered_frames(2))
    with pytest.raises(ShotError, match=r"2 sequences.*a\.1001-1002.*b\.1001-1002"):
        opened(tmp_path)


def test_nothing_fits(tmp_path: Path) -> None:
    for name in ("a.%04d.png", "no/where.%04d.png", "a.png", "no/folder/"):
        with pytest.raises(MediaNotFoundError):
            opened(tmp_path / name)


def test_a_frame_of_another_size(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "a.%04d.png", numbered_frames(5))
    write_image(paths[3], picture(12, 20))
    with pytest.raises(SizeMismatchError, match="frame 1004 is 20x12, but the first one wanted is 96x64"):
        list(opened(tmp_path / "a.%04d.png").frames())


@pytest.mark.parametrize("suffix", [".png", ".exr", ".tif", ".jpg"])
@pytest.mark.parametrize("damage", ["empty", "garbage", "truncated"])
def test_damaged_images(tmp_path: Path, suffix: str, damage: str) -> None:
    path = write_image(tmp_path / f"a{suffix}", picture(64, 64), "half" if suffix == ".exr" else "uint8")
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "garbage": b"garbage" * 99, "truncated": content[: len(content) // 2]}[damage])
    with pytest.raises(MediaUnreadableError) as caught:
        list(opened(path).frames())
    assert caught.value.where == str(path)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("suffix", "storage", "bits"),
    [
        (".png", "uint8", 8),
        (".png", "uint16", 16),
        (".tif", "uint8", 8),
        (".tif", "uint16", 16),
        (".tiff", "uint16", 16),
    ],
)
def test_integers_are_exact(tmp_path: Path, suffix: str, storage: str, bits: int) -> None:
    pixels = np.rint(picture() * (2**bits - 1)).astype(np.float32) / np.float32(2**bits - 1)
    clip = opened(write_image(tmp_path / f"a{suffix}", pixels, storage))
    assert clip.info.encoding == Encoding("srgb", "bt709", "rgb", True, bits)
    assert clip.info.storage == storage
    np.testing.assert_allclose(next(clip.frames()).pixels, pixels, atol=1e-7)


def test_jpeg(tmp_path: Path) -> None:
    pixels = np.broadcast_to(np.float32([0.8, 0.4, 0.1]), (16, 16, 3))
    clip = opened(write_image(tmp_path / "a.jpg", pixels))
    assert clip.info.encoding.transfer == "srgb"
    np.testing.assert_allclose(next(clip.frames()).pixels, pixels, atol=0.01)


@pytest.mark.parametrize(("storage", "kind"), [("half", np.float16), ("float", np.float32)])
def test_exr_is_bit_exact_and_unclamped(tmp_path: Path, storage: str, kind: type) -> None:
    pixels = picture() * 50 - 1
    pixels[0, 0] = [40.0, -0.05, 1e-7]
    pixels = pixels.astype(kind).astype(np.float32)
    clip = opened(write_image(tmp_path / "a.exr", pixels, storage, names=("R", "G", "B")))
    assert (clip.info.storage, clip.info.encoding.transfer) == (storage, "linear")
    np.testing.assert_array_equal(next(clip.frames()).pixels, pixels)


def test_alpha_does_not_touch_the_colours(tmp_path: Path) -> None:
    """OpenImageIO multiplies the colours of PNG and TIFF by their alpha unless it is told not to."""
    pixels = np.rint(picture() * 255).astype(np.float32) / 255
    alpha = np.zeros((12, 20), np.float32)
    alpha[:, 10:] = 0.5
    for suffix in (".png", ".tif"):
        clip = opened(write_image(tmp_path / f"a{suffix}", pixels, "uint16", alpha=alpha))
        assert clip.info.has_alpha
        frame = next(clip.frames(alpha=True))
        np.testing.assert_allclose(frame.pixels, pixels, atol=1e-5)
        np.testing.assert_allclose(frame.alpha, alpha, atol=1e-5)
        assert next(clip.frames()).alpha is None


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("B", "G", "R"), (2, 1, 0)),
        (("beauty.R", "beauty.G", "beauty.B"), (0, 1, 2)),
        (("red", "green", "blue"), (0, 1, 2)),
        (("depth.Z", "R", "G", "B"), (1, 2, 3)),
        (("Y",), (0, 0, 0)),
    ],
)
def test_channels_are_found_by_name(tmp_path: Path, names: tuple[str, ...], order: tuple[int, int, int]) -> None:
    values = np.float32([0.25, 0.5, 0.75, 1.0])[: len(names)]
    file = write_image(tmp_path / "a.exr", np.broadcast_to(values, (4, 4, len(names))), "half", names=names)
    np.testing.assert_array_equal(next(opened(file).frames()).pixels[0, 0], values[list(order)])


def test_plain_channels_win_over_layers(tmp_path: Path) -> None:
    names = ("R", "G", "B", "A", "foreground.R", "foreground.G", "foreground.B", "matte.A")
    values = np.arange(8, dtype=np.float32) / 8
    file = write_image(tmp_path / "a.exr", np.broadcast_to(values, (4, 4, 8)), "half", names=names)
    frame = next(opened(file).frames(alpha=True))
    np.testing.assert_array_equal(frame.pixels[0, 0], values[:3])
    assert frame.alpha is not None
    assert frame.alpha[0, 0] == values[3]


def rgb(*layers: str) -> tuple[str, ...]:
    return tuple(f"{layer}.{letter}" for layer in layers for letter in "RGB")


@pytest.mark.parametrize(
    ("names", "first", "layer"),
    [
        (rgb("albedo", "rgba"), 3, "rgba"),
        (rgb("AO", "Combined"), 3, "Combined"),
        (rgb("ViewLayer.AO", "ViewLayer.Combined"), 3, "ViewLayer.Combined"),
        (rgb("diffuse", "Beauty", "specular"), 3, "Beauty"),
        (rgb("two", "one"), 3, "one"),
        (("depth.Y", *rgb("shot")), 1, "shot"),
        (rgb("beauty"), 0, ""),
        ((*rgb("rgba"), "R", "G", "B"), 3, ""),
    ],
)
def test_the_beauty_layer_is_taken(tmp_path: Path, names: tuple[str, ...], first: int, layer: str) -> None:
    values = np.arange(len(names), dtype=np.float32) / 16
    file = write_image(tmp_path / "a.exr", np.broadcast_to(values, (4, 4, len(names))), "half", names=names)
    clip = opened(file)
    np.testing.assert_array_equal(next(clip.frames()).pixels[0, 0], values[first : first + 3])
    assert clip.info.layer == layer


@pytest.mark.parametrize(
    ("titles", "taken", "layer"),
    [(("albedo", "rgba"), 1, ""), (("left", "right"), 0, "left"), (("beauty", "depth"), 0, "")],
)
def test_the_beauty_part_is_taken(tmp_path: Path, titles: tuple[str, ...], taken: int, layer: str) -> None:
    specs = []
    for title in titles:
        specs.append(oiio.ImageSpec(4, 4, 3, "half"))
        specs[-1].attribute("oiio:subimagename", title)
    file = oiio.ImageOutput.create("a.exr")
    assert file is not None
    assert file.open(str(tmp_path / "a.exr"), tuple(specs))
    for part, spec in enumerate(specs):
        if part:
            assert file.open(str(tmp_path / "a.exr"), spec, "AppendSubimage")
        file.write_image(np.full((4, 4, 3), part + 1, np.float32))
    file.close()
    clip = opened(tmp_path / "a.exr")
    assert next(clip.frames()).pixels[0, 0, 0] == taken + 1
    assert clip.info.layer == layer


def test_luminance_and_chroma(tmp_path: Path) -> None:
    file = write_image(tmp_path / "a.exr", np.zeros((4, 4, 3), np.float32), "half", names=("Y", "RY", "BY"))
    with pytest.raises(MediaUnreadableError, match=r"luminance and chroma \(Y, RY, BY\)"):
        opened(file)


def test_no_colour_at_all(tmp_path: Path) -> None:
    file = write_image(tmp_path / "a.exr", np.zeros((4, 4, 2), np.float32), "half", names=("U", "V"))
    with pytest.raises(MediaUnreadableError, match="no channels red, green and blue"):
        opened(file)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    frames = np.zeros((3, 8, 8, 3), np.float32)
    frames[1, 5, 3, 1] = frames[1, 6, 6] = value
    write_images(tmp_path / "a.%04d.exr", frames, storage="half", names=("R", "G", "B"))
    clip = opened(tmp_path / "a.%04d.exr")
    with pytest.raises(NonFinitePixelsError, match=r"frame 1002 has 2 pixels.*x=3, y=5"):
        list(clip.frames())
    assert len(list(clip.frames([1001, 1003]))) == 2


def test_non_numbers_in_other_channels_do_not_matter(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 5), np.float32)
    pixels[..., 3:] = np.inf
    file = write_image(tmp_path / "a.exr", pixels, "float", names=("R", "G", "B", "A", "depth.Z"))
    assert len(list(opened(file).frames())) == 1


@pytest.mark.parametrize(
    ("window", "margins"),  # display window against a data window of (3, 2, 20, 12); what goes beyond it
    [
        ((3, 2, 20, 12), (0, 0, 0, 0)),
        ((0, 0, 30, 18), (0, 0, 0, 0)),
        ((5, 4, 10, 6), (2, 2, 8, 4)),
        ((0, 5, 12, 40), (0, 3, 11, 0)),
        ((-4, -4, 10, 10), (0, 0, 17, 8)),
        ((100, 100, 8, 8), (97, 98, 0, 0)),
    ],
)
def test_the_picture_is_the_display_window_and_all_data_around_it(
    tmp_path: Path, window: Window, margins: Margins
) -> None:
    pixels = picture().astype(np.float16).astype(np.float32)
    path = write_windowed(tmp_path / "a.exr", pixels, (3, 2), window)
    clip = opened(path)
    assert (clip.info.display_window, clip.info.data_window) == (window, (3, 2, 20, 12))
    assert clip.info.margins == margins
    assert clip.info.shown_size == window[2:]
    assert (clip.info.width, clip.info.height) == (
        margins[0] + window[2] + margins[2],
        margins[1] + window[3] + margins[3],
    )
    expected = np.zeros((clip.info.height, clip.info.width, 3), np.float32)
    for y in range(12):
        for x in range(20):
            expected[y + 2 - window[1] + margins[1], x + 3 - window[0] + margins[0]] = pixels[y, x]
    frame = next(clip.frames())
    np.testing.assert_array_equal(frame.pixels, expected)
    there = np.zeros(expected.shape[:2], bool)
    there[slice(None) if frame.extent is None else frame.extent] = True
    assert there.sum() == 20 * 12 and expected[there].all() and not expected[~there].any()


def test_the_picture_holds_the_data_of_all_frames_that_are_wanted(tmp_path: Path) -> None:
    """Data windows differ from frame to frame, and display windows need not begin at the same place."""
    pixels = np.ones((12, 20, 3), np.float32)
    places = {1001: (0, 0), 1002: (-4, 2), 1003: (3, -5), 1004: (-400, 0)}
    for number, (x, y) in places.items():
        origin = number - 1001
        write_windowed(tmp_path / f"a.{number}.exr", pixels, (x + origin, y), (origin, 0, 20, 12))
    clip = opened(tmp_path / "a.%04d.exr")
    clip.describe_by([1001, 1002, 1003])
    assert clip.info.margins == (4, 5, 3, 2)
    for frame in clip.frames([1001, 1002, 1003]):
        x, y = places[frame.number]
        assert np.argwhere(frame.pixels[..., 0]).min(axis=0).tolist() == [y + 5, x + 4]
        assert frame.pixels.sum() == pixels.sum()
    small = next(clip.frames([1002], size=(19, 27)))
    np.testing.assert_array_equal(small.pixels, next(clip.frames([1002])).pixels)


def test_a_data_window_too_far_away_is_refused(tmp_path: Path) -> None:
    """A few pixels may make a picture that no memory holds."""
    path = write_windowed(tmp_path / "a.1001.exr", picture(), (0, 0), (0, 0, 20, 12))
    write_windowed(tmp_path / "a.1002.exr", picture(), (30000, 30000), (0, 0, 20, 12))
    clip = opened(tmp_path / "a.%04d.exr")
    bounds.limit(100 * bounds.MEGAPIXEL)
    try:
        with pytest.raises(ShotError, match="30020x30012"):
            clip.describe_by([1001, 1002])
        with pytest.raises(ShotError, match="30020x30012"):
            opened(path.with_name("a.1002.exr"))
        clip.describe_by([1001])
    finally:
        bounds.limit(None)


def test_header_of_an_exr(tmp_path: Path) -> None:
    attributes = {
        "DateTime": "2021:05:06 07:08:09",
        "PixelAspectRatio": 2.0,
        "framesPerSecond": (oiio.TypeDesc("rational"), (24000, 1001)),
        "smpte:TimeCode": (oiio.TypeDesc("timecode"), (0x01020304, 0)),
        "chromaticities": (oiio.TypeDesc("float[8]"), (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)),
    }
    info = opened(write_image(tmp_path / "a.exr", picture(), "half", attributes=attributes)).info
    assert info.date == "2021:05:06 07:08:09"
    assert info.pixel_aspect == 2
    assert info.rate == Fraction(24000, 1001)
    assert info.timecode == "01:02:03:04"
    assert info.encoding.primaries == "ap1"


def test_dpx(tmp_path: Path) -> None:
    pixels = np.rint(picture() * 1023).astype(np.float32) / 1023
    attributes = {"oiio:BitsPerSample": 10, "dpx:Transfer": "Printing density"}
    info = opened(write_image(tmp_path / "log.dpx", pixels, "uint16", attributes=attributes)).info
    assert (info.encoding.transfer, info.encoding.bits) == ("cineon", 10)
    clip = opened(write_image(tmp_path / "video.dpx", pixels, "uint16", attributes={"oiio:BitsPerSample": 10}))
    np.testing.assert_allclose(next(clip.frames()).pixels, pixels, atol=6e-4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((16, 32, 3), np.float32)
    upright[:8, :8, 0], upright[:8, -8:, 1], upright[-8:, :8, 2] = 1, 1, 1
    stored = {  # what a camera stores for an upright picture, by EXIF's table
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    path = write_image(tmp_path / "a.tif", np.ascontiguousarray(stored), attributes={"Orientation": orientation})
    clip = opened(path)
    assert (clip.info.width, clip.info.height) == (32, 16)
    np.testing.assert_array_equal(next(clip.frames()).pixels, upright)


def test_reading_at_a_size_averages(tmp_path: Path) -> None:
    pixels = picture(48, 64)
    clip = opened(write_image(tmp_path / "a.exr", pixels, "float"))
    small = next(clip.frames(size=(12, 16))).pixels
    np.testing.assert_allclose(small, pixels.reshape(12, 4, 16, 4, 3).mean((1, 3)), atol=1e-6)


def test_digest_is_of_numbers_and_contents(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        write_images(folder / "a.%04d.png", numbered_frames(3))
    assert opened(one).digest() == opened(two).digest()
    shutil.move(two / "a.1003.png", two / "a.1004.png")
    assert opened(one).digest() != opened(two / "a.%04d.png").digest()
    changed = opened(one).digest()
    cv2.imwrite(str(one / "a.1002.png"), np.zeros((64, 96, 3), np.uint8))
    assert opened(one).digest() != changed
