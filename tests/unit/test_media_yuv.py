"""Y'CbCr against the code values that the standards print, and there and back."""

from __future__ import annotations

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
