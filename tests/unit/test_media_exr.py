"""Layered EXR: exact values, the comp from what is stored, windows and header."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.media.clip import ClipInfo, Storage, open_clip
from anyportal_core.media.encoding import LINEAR, Encoding, convert, to_linear
from anyportal_core.media.exr import composed, quantised
from anyportal_core.media.writers import Written, open_writer
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import VIDEO, write_image, write_images

ALL = ("comp", "foreground", "background", "matte", "gain")


def plate(storage: Storage = "half", encoding: Encoding = LINEAR, height: int = 12, width: int = 20) -> ClipInfo:
    return ClipInfo(
        Path("/nowhere/plate.%04d.exr"), "sequence", width, height, Fraction(24), range(1001, 1011), encoding, storage
    )


def layers(height: int = 12, width: int = 20, seed: int = 0) -> dict[str, Image]:
    draw = np.random.default_rng(seed)
    made = {name: (draw.random((height, width, 3), np.float32) * 3 - 0.1).astype(np.float32) for name in ALL}
    made["matte"] = draw.random((height, width), np.float32)
    made["foreground"][0, 0] = [40.0, -0.05, 1e-6]
    made["comp"] = composed(made["foreground"], made["background"], made["matte"])
    return made


def write(
    folder: Path, info: ClipInfo, made: dict[str, Image], wanted: tuple[str, ...] = ALL, compression: str = "zip"
) -> Written:
    header = {"anyportal/recipe": "12ab", "anyportal/seed": "7"}
    writer = open_writer("exr", folder, "shot", wanted, info, Fraction(24), header, compression=compression)
    (written,) = writer.write(1003, {name: made[name] for name in wanted})
    assert writer.close() == []
    return written


def channels(path: Path) -> tuple[oiio.ImageSpec, dict[str, NDArray[np.floating]]]:
    file = oiio.ImageInput.open(str(path))
    assert file is not None
    spec = file.spec()
    pixels = file.read_image(0, 0, 0, spec.nchannels, spec.format)
    file.close()
    return spec, {name: pixels[..., i] for i, name in enumerate(spec.channelnames)}


@pytest.mark.parametrize(("storage", "kind"), [("half", np.float16), ("float", np.float32)])
def test_every_layer_is_stored_exactly(tmp_path: Path, storage: Storage, kind: type) -> None:
    made = layers()
    written = write(tmp_path, plate(storage), made)
    assert (written.layers, written.path.name, written.number) == (ALL, "shot.1003.exr", 1003)
    spec, stored = channels(written.path)
    assert str(spec.format) == storage
    for layer in ("foreground", "background", "gain"):
        for i, letter in enumerate("RGB"):
            np.testing.assert_array_equal(stored[f"{layer}.{letter}"], made[layer][..., i].astype(kind))
    np.testing.assert_array_equal(stored["matte.A"], made["matte"].astype(kind))
    np.testing.assert_array_equal(stored["A"], 1)
    assert stored["foreground.R"][0, 0] == 40
    assert stored["foreground.G"][0, 0] == kind(-0.05)


@pytest.mark.parametrize("storage", ["half", "float"])
def test_the_comp_is_made_of_what_is_stored(tmp_path: Path, storage: Storage) -> None:
    made = layers()
    _, stored = channels(write(tmp_path, plate(storage), made).path)
    for letter in "RGB":
        fore, back, cover = (
            stored[name].astype(np.float32) for name in (f"foreground.{letter}", f"background.{letter}", "matte.A")
        )
        np.testing.assert_array_equal((fore * cover + back * (1 - cover)).astype(stored[letter].dtype), stored[letter])
    unrounded = made["comp"].astype(stored["R"].dtype)
    assert storage == "float" or (unrounded[..., 0] != stored["R"]).any()  # so the test above can fail


HOSTILE = (0.0, -0.0, 40.0, -0.05, 65504.0, -65504.0, 1e6, 5.96e-8, 6e-5, 1e-30, 1.0, 0.18)
TINY = (0.0, 5.96e-8, 1e-9, 6.1e-5, 0.3, 0.5, 0.99951, 0.9999, 1.0)
values = st.one_of(st.sampled_from(HOSTILE), st.floats(-70000, 70000, width=32)).map(np.float32)
covers = st.one_of(st.sampled_from(TINY), st.floats(0, 1, width=32)).map(np.float32)


@settings(deadline=None, max_examples=300)
@given(
    arrays(np.float32, (4, 3, 3), elements=values),
    arrays(np.float32, (4, 3, 3), elements=values),
    arrays(np.float32, (4, 3), elements=covers),
    st.sampled_from([np.float16, np.float32]),
)
def test_the_layers_make_the_comp_whatever_is_in_them(fore: Image, back: Image, cover: Image, kind: type) -> None:
    """In float32, product by product, as compositors reckon; bit for bit where one of them is all there is."""
    made = {"comp": fore, "foreground": fore, "background": back, "matte": cover}
    stored = quantised(made, kind)
    assert all(image.dtype == kind and np.isfinite(image).all() for image in stored.values())
    front, behind, alpha = (stored[name].astype(np.float32) for name in ("foreground", "background", "matte"))
    mixed = (front * alpha[..., None] + behind * (1 - alpha[..., None])).astype(kind)
    np.testing.assert_array_equal(stored["comp"], mixed)
    for whole, layer in ((1, "foreground"), (0, "background")):
        there = stored["matte"] == whole
        assert stored["comp"][there].tobytes() == stored[layer][there].tobytes()


@pytest.mark.parametrize("compression", ["zip", "piz", "none"])
def test_lossless_compressions_keep_every_bit_of_hostile_layers(tmp_path: Path, compression: str) -> None:
    draw = np.random.default_rng(1)
    fore, back = (draw.choice(np.float32(HOSTILE), (12, 20, 3)) for _ in range(2))
    cover = draw.choice(np.float32(TINY), (12, 20))
    for storage in ("half", "float"):
        made = {"comp": fore, "foreground": fore, "background": back, "matte": cover}
        folder = tmp_path / storage
        path = write(folder, plate(storage), made, tuple(made), compression=compression).path
        spec, stored = channels(path)
        assert spec.getattribute("compression") == compression
        assert spec.getattribute("anyportal/lossy") is None
        for i, letter in enumerate("RGB"):
            front, behind = (stored[f"{layer}.{letter}"].astype(np.float32) for layer in ("foreground", "background"))
            alpha = stored["matte.A"].astype(np.float32)
            mixed = (front * alpha + behind * (1 - alpha)).astype(stored[letter].dtype)
            np.testing.assert_array_equal(stored[letter], mixed)
            whole = cover == 1
            expected = np.clip(fore[..., i], -65504, 65504) if storage == "half" else fore[..., i]
            assert stored[letter][whole].tobytes() == expected.astype(stored[letter].dtype)[whole].tobytes()


def test_dwab_is_lossy_and_says_so(tmp_path: Path) -> None:
    made = layers(120, 160)
    path = write(tmp_path, plate(height=120, width=160), made, compression="dwab").path
    spec, stored = channels(path)
    assert spec.getattribute("compression") == "dwab"
    assert spec.getattribute("anyportal/lossy").startswith("dwab, level 45")
    assert not np.array_equal(stored["foreground.R"], made["foreground"][..., 0].astype(np.float16))
    zipped = write(tmp_path / "zip", plate(height=120, width=160), made).path
    assert path.stat().st_size < zipped.stat().st_size


def test_informative_layers(tmp_path: Path) -> None:
    """Multipliers and light are stored as they come; pictures as pictures."""
    made = layers()
    made |= {"clean_plate": made["background"] + 1, "shadow": made["matte"] * 0.5, "wrap": made["gain"] * 0.1}
    wanted = (*ALL, "clean_plate", "shadow", "wrap")
    info = replace(plate(encoding=VIDEO), storage="half")
    spec, stored = channels(write(tmp_path, info, made, wanted).path)
    for name in ("clean_plate.R", "clean_plate.G", "clean_plate.B", "shadow.A", "wrap.R", "wrap.G", "wrap.B"):
        assert name in spec.channelnames
    np.testing.assert_array_equal(stored["shadow.A"], made["shadow"].astype(np.float16))
    np.testing.assert_array_equal(stored["wrap.G"], made["wrap"][..., 1].astype(np.float16))
    light = to_linear(made["clean_plate"], VIDEO)
    np.testing.assert_array_equal(stored["clean_plate.B"], light[..., 2].astype(np.float16))


def test_the_comp_alone_is_the_comp_given(tmp_path: Path) -> None:
    made = layers()
    spec, stored = channels(write(tmp_path, plate(), made, ("comp",)).path)
    assert spec.channelnames == ("R", "G", "B", "A")
    np.testing.assert_array_equal(stored["G"], made["comp"][..., 1].astype(np.float16))


def test_header(tmp_path: Path) -> None:
    info = replace(
        plate(encoding=replace(LINEAR, primaries="ap1")),
        timecode="01:00:00:23",
        date="2019:03:04 05:06:07",
        pixel_aspect=Fraction(2),
    )
    spec, _ = channels(write(tmp_path, info, layers()).path)
    assert spec.getattribute("anyportal/recipe") == "12ab"
    assert spec.getattribute("anyportal/seed") == "7"
    assert spec.getattribute("compression") == "zip"
    assert spec.getattribute("DateTime") == "2019:03:04 05:06:07"
    assert tuple(spec.getattribute("framesPerSecond")) == (24, 1)
    clip = open_clip(MediaRef(tmp_path / "shot.1003.exr"))
    assert clip.info.timecode == "01:00:01:01"  # two frames into the plate
    assert clip.info.pixel_aspect == 2
    assert clip.info.encoding.primaries == "ap1"


def test_no_date_where_the_plate_has_none(tmp_path: Path) -> None:
    written = write(tmp_path, plate(), layers())
    spec, _ = channels(written.path)
    assert spec.getattribute("DateTime") is None
    assert b"capDate" not in written.path.read_bytes()


@pytest.mark.parametrize(
    ("display", "data", "expected"),
    [
        ((0, 0, 20, 12), (0, 0, 20, 12), (0, 0, 20, 12)),
        ((10, 5, 20, 12), (10, 5, 20, 12), (10, 5, 20, 12)),
        ((0, 0, 20, 12), (3, 2, 8, 6), (3, 2, 8, 6)),
        ((0, 0, 20, 12), (-4, -4, 40, 40), (0, 0, 20, 12)),
        ((0, 0, 20, 12), (10, 6, 40, 40), (10, 6, 10, 6)),
        ((0, 0, 20, 12), (90, 90, 4, 4), (0, 0, 20, 12)),
    ],
)
def test_windows(tmp_path: Path, display: tuple[int, ...], data: tuple[int, ...], expected: tuple[int, ...]) -> None:
    made = layers()
    info = replace(plate(), display_window=display, data_window=data)
    spec, stored = channels(write(tmp_path, info, made).path)
    assert (spec.x, spec.y, spec.width, spec.height) == expected
    assert (spec.full_x, spec.full_y, spec.full_width, spec.full_height) == display
    left, top = expected[0] - display[0], expected[1] - display[1]
    inside = made["gain"][top : top + expected[3], left : left + expected[2], 0]
    np.testing.assert_array_equal(stored["gain.R"], inside.astype(np.float16))


def test_every_frame_has_its_own_windows(tmp_path: Path) -> None:
    """Data windows move and grow through a sequence, and lie partly or wholly outside the display window."""
    draw = np.random.default_rng(0)
    files = {  # display window, size of the data, which lies at 0, 0
        1001: ((0, 0, 20, 12), (8, 6)),
        1002: ((-3, -2, 20, 12), (17, 10)),
        1003: ((0, 0, 20, 12), (24, 18)),
        1004: ((2, 1, 20, 12), (9, 7)),
        1005: ((30, 0, 20, 12), (9, 7)),
    }
    for number, (display, (width, height)) in files.items():
        data = draw.random((height, width, 3), np.float32)
        write_image(tmp_path / f"plate.{number}.exr", data, "half", window=display)
    clip = open_clip(MediaRef(tmp_path / "plate.%04d.exr"))
    clip.describe_by(list(files))
    writer = open_writer("exr", tmp_path / "out", "shot", ("comp",), clip.info, Fraction(24), {}, clip.windows)
    for frame in clip.frames():
        display, (width, height) = files[frame.number]
        (written,) = writer.write(frame.number, {"comp": frame.pixels})
        spec, stored = channels(written.path)
        assert (spec.x, spec.y, spec.width, spec.height) == (0, 0, width, height)
        assert (spec.full_x, spec.full_y, spec.full_width, spec.full_height) == display
        _, source = channels(tmp_path / f"plate.{frame.number}.exr")
        for letter in "RGB":
            np.testing.assert_array_equal(stored[letter], source[letter])


def test_a_movie_plate_becomes_linear_light(tmp_path: Path) -> None:
    made = layers()
    info = replace(plate(encoding=VIDEO), kind="movie", storage="uint8", numbers=range(1000, 1100))
    _, stored = channels(write(tmp_path, info, made).path)
    light = to_linear(made["background"], VIDEO)
    np.testing.assert_array_equal(stored["background.B"], light[..., 2].astype(np.float16))
    np.testing.assert_array_equal(stored["gain.B"], made["gain"][..., 2].astype(np.float16))
    np.testing.assert_array_equal(stored["matte.A"], made["matte"].astype(np.float16))


def test_a_plate_comes_back_bit_for_bit(tmp_path: Path) -> None:
    """In, and out again as a comp under full cover."""
    pixels = layers()["foreground"].astype(np.float16).astype(np.float32)
    write_images(tmp_path / "plate.%04d.exr", np.stack([pixels] * 3), storage="half")
    clip = open_clip(MediaRef(tmp_path / "plate.%04d.exr"))
    frame = next(clip.frames([1003]))
    cover = np.ones(frame.pixels.shape[:2], np.float32)
    made = {"comp": frame.pixels, "foreground": frame.pixels, "background": frame.pixels * 0, "matte": cover}
    write(tmp_path / "out", clip.info, made, ("comp", "foreground", "background", "matte"))
    back = next(open_clip(MediaRef(tmp_path / "out" / "shot.1003.exr")).frames())
    np.testing.assert_array_equal(back.pixels, pixels)


def test_primaries_without_a_name_are_kept(tmp_path: Path) -> None:
    """The header describes the pixels that are in the file: the plate's, and backdrops converted to be like them."""
    wide = (0.6840, 0.3130, 0.2210, 0.8480, 0.0861, -0.1020, 0.3127, 0.3290)  # ARRI Wide Gamut 3
    attributes = {"chromaticities": (oiio.TypeDesc("float[8]"), wide)}
    write_images(tmp_path / "plate.%04d.exr", layers()["comp"][None], storage="half", attributes=attributes)
    info = open_clip(MediaRef(tmp_path / "plate.%04d.exr")).info
    made = layers()
    spec, stored = channels(write(tmp_path / "out", replace(info, numbers=range(1001, 1011)), made).path)
    np.testing.assert_array_equal(spec.getattribute("chromaticities"), np.float32(wide))
    np.testing.assert_array_equal(stored["background.R"], made["background"][..., 0].astype(np.float16))
    backdrop = convert(np.ones((4, 4, 3), np.float32) * [1, 0, 0], Encoding("srgb"), info.encoding)
    assert 0.4 < backdrop[0, 0, 0] < 0.7 and 0 < backdrop[0, 0, 1] < 0.1
