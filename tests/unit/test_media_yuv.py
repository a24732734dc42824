"""Y'CbCr against the code values that the standards print, and there and back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyportal_core.media import yuv
from anyportal_core.media.encoding import Encoding

COLOURS = np.float32([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]]])
# 8-bit codes of red, green, blue, white, black, from the equations of BT.601, BT.709 and BT.2020.
KNOWN = {
    ("bt601", False): [[81, 90, 240], [145, 54, 34], [41, 240, 110], [235, 128, 128], [16, 128, 128]],
    ("bt601", True): [[76, 85, 255], [150, 44, 21], [29, 255, 107], [255, 128, 128], [0, 128, 128]],
    ("bt709", False): [[63, 102, 240], [173, 42, 26], [32, 240, 118], [235, 128, 128], [16, 128, 128]],
    ("bt709", True): [[54, 99, 255], [182, 30, 12], [18, 255, 116], [255, 128, 128], [0, 128, 128]],
    ("bt2020", False): [[74, 97, 240], [164, 47, 25], [29, 240, 119], [235, 128, 128], [16, 128, 128]],
}


@pytest.mark.parametrize(("matrix", "full"), KNOWN)
def test_codes_of_the_standards(matrix: str, full: bool) -> None:
    encoding = Encoding("bt709", "bt709", matrix, full, 8)
    planes = yuv.from_rgb(COLOURS, encoding, (1, 1))
    np.testing.assert_array_equal(np.stack(planes, -1)[0], KNOWN[matrix, full])


@settings(deadline=None)
@given(
    st.sampled_from(["rgb", *yuv.LUMA_WEIGHTS]),
    st.booleans(),
    st.sampled_from([8, 10, 12, 16]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_there_and_back_within_half_a_code(matrix: str, full: bool, bits: int, size: tuple[int, int]) -> None:
    encoding = Encoding("bt709", "bt709", matrix, full, bits)
    pixels = np.random.default_rng(bits).random((*size, 3), np.float32)
    back = yuv.to_rgb(yuv.from_rgb(pixels, encoding, (1, 1)), encoding)
    assert np.abs(back - pixels).max() <= 2.0 / 219 / 2 ** (bits - 8) + 2e-6


def random_planes(bits: int, size: tuple[int, int], ratio: tuple[int, int] = (1, 1)) -> list[yuv.Plane]:
    """Codes without any order, among them the least and the greatest: most are no colour that a monitor shows."""
    generator, kind = np.random.default_rng(bits), np.uint8 if bits == 8 else np.uint16
    small = -(-size[0] // ratio[1]), -(-size[1] // ratio[0])
    planes = [generator.integers(0, 2**bits, each, dtype=kind) for each in (size, small, small)]
    if ratio == (1, 1):
        ends = np.array(list(itertools.product((0, 1, 2 ** (bits - 1), 2**bits - 2, 2**bits - 1), repeat=3)))
        for plane, codes in zip(planes, ends.T, strict=True):
            plane.flat[: len(codes)] = codes
    return planes


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", ["rgb", *yuv.LUMA_WEIGHTS])
def test_all_codes_come_back(matrix: str, full: bool, bits: int) -> None:
    """Whatever a file holds, super-white and super-black too, is delivered as it was, and nothing bounds it."""
    encoding = Encoding("bt709", "bt709", matrix, full, bits)
    planes = random_planes(bits, (512, 512))
    pixels = yuv.to_rgb(planes, encoding)
    for made in (pixels, yuv.bounded(pixels, encoding)):
        for before, after in zip(planes, yuv.from_rgb(made, encoding, (1, 1)), strict=True):
            np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("size", [(2, 2), (64, 96), (130, 70), (66, 33), (4, 1)], ids=str)
@pytest.mark.parametrize("ratio", [(2, 1), (2, 2)], ids=["4:2:2", "4:2:0"])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_subsampled_planes_come_back_as_they_were(bits: int, ratio: tuple[int, int], size: tuple[int, int]) -> None:
    """Chroma too: the samples are found again in what was interpolated from them."""
    encoding = Encoding("bt709", "bt709", "bt709", False, bits)
    planes = random_planes(bits, size, ratio)
    pixels = yuv.bounded(yuv.to_rgb(planes, encoding), encoding)
    for before, after in zip(planes, yuv.from_rgb(pixels, encoding, ratio), strict=True):
        np.testing.assert_array_equal(after, before)


def test_of_an_odd_height_only_the_last_line_of_chroma_is_another() -> None:
    encoding = Encoding("bt709", "bt709", "bt709", False, 8)
    planes = random_planes(8, (65, 96), (2, 2))
    luma, *chroma = yuv.from_rgb(yuv.to_rgb(planes, encoding), encoding, (2, 2))
    np.testing.assert_array_equal(luma, planes[0])
    for before, after in zip(planes[1:], chroma, strict=True):
        np.testing.assert_array_equal(after[:-1], before[:-1])


@pytest.mark.parametrize("ratio", [(2, 1), (2, 2)], ids=["4:2:2", "4:2:0"])
def test_chroma_of_new_pictures_is_averaged_without_ringing(ratio: tuple[int, int]) -> None:
    encoding = Encoding("bt709", "bt709", "bt709", False, 8)
    for shift in range(4):
        for axis in (0, 1):
            pixels = np.zeros((32, 32, 3), np.float32)
            pixels[(slice(None),) * axis + (slice(13 + shift, None),)] = (0, 0, 1)
            _, blue, _ = yuv.from_rgb(pixels, encoding, ratio)
            assert blue.min() == 128 and blue.max() == 240
    noise = np.random.default_rng(0).random((64, 64, 3), np.float32)
    full = yuv.from_rgb(noise, encoding, (1, 1))[1].astype(float)
    half = yuv.from_rgb(noise, encoding, ratio)[1].astype(float)
    # The mean stays, and what does not fit into fewer samples goes instead of turning into other patterns.
    assert abs(half.mean() - full.mean()) < 0.5 and half.std() < 0.75 * full.std()


def test_what_no_code_can_hold_keeps_its_hue() -> None:
    encoding = Encoding("bt709", "bt709", "bt709", False, 8)
    low, high = yuv.reach(encoding)
    pixels = np.float32([[[9, 0.5, 0.5], [1.05, 1.05, 1.05], [0.2, 0.3, 0.4]]])
    np.testing.assert_allclose(yuv.bounded(pixels, encoding), [[[high, 0.5, 0.5], [1.05] * 3, [0.2, 0.3, 0.4]]])
    held = np.ascontiguousarray(pixels[:, 1:])
    assert yuv.bounded(held, encoding) is held and low < 0


@settings(deadline=None)
@given(st.sampled_from([(2, 1), (2, 2)]), st.integers(1, 12), st.integers(1, 12))
def test_flat_colour_survives_subsampling_at_any_size(ratio: tuple[int, int], height: int, width: int) -> None:
    encoding = Encoding("bt709", "bt709", "bt709", False, 16)
    pixels = np.broadcast_to(np.float32([0.8, 0.3, 0.1]), (height, width, 3))
    planes = yuv.from_rgb(pixels, encoding, ratio)
    assert planes[1].shape == (-(-height // ratio[1]), -(-width // ratio[0]))
    np.testing.assert_allclose(yuv.to_rgb(planes, encoding), pixels, atol=1e-4)


@pytest.mark.parametrize("matrix", ["rgb", "bt709"])
def test_grey_alone_gives_the_codes_of_grey_colours(matrix: str) -> None:
    encoding = Encoding("bt709", "bt709", matrix, False, 10)
    ramp = np.tile(np.linspace(0, 1, 35, dtype=np.float32), (5, 1))
    ratio = (1, 1) if matrix == "rgb" else (2, 2)
    colours = yuv.from_rgb(np.repeat(ramp[..., None], 3, axis=-1), encoding, ratio)
    for one, two in zip(yuv.from_rgb(ramp, encoding, ratio), colours, strict=True):
        np.testing.assert_array_equal(one, two)


def test_chroma_is_sited_on_the_left() -> None:
    """A horizontal ramp of chroma comes back without a shift (the edges repeat)."""
    encoding = Encoding("bt709", "bt709", "bt709", False, 16)
    ramp = np.zeros((8, 64, 3), np.float32)
    ramp[..., 0] = np.linspace(0.2, 0.8, 64)
    ramp[..., 2] = np.linspace(0.6, 0.3, 64)
    back = yuv.to_rgb(yuv.from_rgb(ramp, encoding, (2, 2)), encoding)
    np.testing.assert_allclose(back[:, 4:-4], ramp[:, 4:-4], atol=2e-4)


def test_whiter_than_white_survives() -> None:
    encoding = Encoding("bt709", "bt709", "bt709", False, 8)
    planes = [np.full((2, 2), code, np.uint8) for code in (254, 128, 128)]
    assert yuv.to_rgb(planes, encoding).max() == pytest.approx((254 - 16) / 219)


def test_codes_stay_within_the_bits() -> None:
    for bits in (8, 10, 12, 16):
        encoding = Encoding("bt709", "bt709", "bt709", True, bits)
        for plane in yuv.from_rgb(np.float32([[[9, -9, 9], [-9, 9, -9]]]), encoding, (1, 1)):
            assert plane.min() >= 0
            assert plane.max() <= 2**bits - 1


def test_fit_averages_areas() -> None:
    image = np.random.default_rng(1).random((64, 96, 3), np.float32)
    small = yuv.fit(image, 8, 12)
    np.testing.assert_allclose(small, image.reshape(8, 8, 12, 8, 3).mean((1, 3)), atol=1e-6)
    assert yuv.fit(image, 27, 41).mean() == pytest.approx(image.mean(), abs=2e-3)
