"""The frequency bands and the transfer of detail."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anyportal_core.method.frequency import split, transfer_detail
from anyportal_core.ops import opencv as ops


def noise(seed: int, low: float = 0, high: float = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (24, 32, 3)).astype(np.float32)


@given(st.integers(0, 10_000), st.floats(0.5, 6), st.sampled_from([1.0, 1e-4, 300.0]))
def test_the_bands_sum_to_the_picture_exactly(seed: int, sigma: float, size: float) -> None:
    image = noise(seed, -0.2, 1) * np.float32(size)
    image[3, 4] = 0
    low, high = split(image, ops, sigma)
    np.testing.assert_array_equal(low + high, image)


def test_each_band_holds_its_own_frequencies() -> None:
    x = np.arange(64, dtype=np.float32)
    waves = {period: np.sin(2 * np.pi * x / period) for period in (4, 32)}
    image = np.broadcast_to((waves[4] + waves[32])[None, :, None], (64, 64, 3)).astype(np.float32)
    low, high = split(image, ops, 2.0)
    inside = np.s_[8:-8, 8:-8, 0]
    assert np.abs(low[inside] - waves[32][8:-8]).mean() < 0.08
    assert np.abs(high[inside] - waves[4][8:-8]).mean() < 0.08


def test_detail_is_carried_over_and_light_is_not() -> None:
    source = noise(1, 0.3, 0.7)
    target = np.full_like(source, 0.2)
    out = transfer_detail(source, target, np.ones((24, 32, 1), np.float32), ops, 2.0)
    _, detail = split(source, ops, 2.0)
    np.testing.assert_allclose(out, target + detail, atol=1e-6)
    assert abs(out.mean() - 0.2) < 0.01


def test_outside_the_matte_nothing_changes_bit_for_bit() -> None:
    source, target = noise(1), noise(2)
    matte = np.zeros((24, 32, 1), np.float32)
    matte[8:16, 8:16] = 1
    out = transfer_detail(source, target, matte, ops, 2.0)
    outside = matte[..., 0] == 0
    assert out[outside].tobytes() == target[outside].tobytes()
    assert (out[~outside] != target[~outside]).mean() > 0.9


def test_giving_a_picture_its_own_detail_gives_the_picture() -> None:
    image = noise(5)
    out = transfer_detail(image, image, np.ones((24, 32, 1), np.float32), ops, 3.0)
    np.testing.assert_array_equal(out, image)
