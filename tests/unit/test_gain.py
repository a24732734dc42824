"""The light gain: measured, continued, enlarged, applied."""

from __future__ import annotations

import numpy as np
import pytest

from anyportal_core.method.gain import apply_gain, extend, log_gain
from anyportal_core.ops import opencv as ops


def texture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, 0.6, (height, width, 3)).astype(np.float32)


def block(height: int = 48, width: int = 64) -> np.ndarray:
    matte = np.zeros((height, width, 1), np.float32)
    matte[14:36, 20:46] = 1
    return matte


def test_the_ratio_of_the_light_is_found_whatever_the_surface() -> None:
    plate, light = texture(), np.float32([1.8, 0.9, 0.5])
    gain = np.exp(log_gain(plate * light, plate, block(), ops, 3.0))
    np.testing.assert_allclose(gain, np.broadcast_to(light, gain.shape), rtol=0.02)


def test_no_background_mixes_into_the_gain() -> None:
    plate, matte = texture(), block()
    relit = np.where(matte > 0, plate * np.float32(1.5), 50).astype(np.float32)
    gain = np.exp(log_gain(relit, plate, matte, ops, 4.0))
    np.testing.assert_allclose(gain, 1.5, rtol=0.02)


def test_only_the_low_band_becomes_gain() -> None:
    plate, matte = np.full((48, 64, 3), 0.3, np.float32), block()
    wobble = np.random.default_rng(3).uniform(-0.1, 0.1, plate.shape).astype(np.float32)
    gain = log_gain(plate + wobble, plate, matte, ops, 5.0)
    assert np.abs(gain).max() < 0.08
    assert np.abs(np.log((plate + wobble) / plate)).max() > 0.25


def test_black_frames_and_empty_mattes_give_a_finite_gain() -> None:
    black, matte = np.zeros((48, 64, 3), np.float32), block()
    assert np.isfinite(log_gain(texture(), black, matte, ops, 3.0)).all()
    assert np.isfinite(log_gain(black, texture(), matte, ops, 3.0)).all()
    np.testing.assert_allclose(log_gain(black, black, matte, ops, 3.0), 0, atol=1e-5)
    np.testing.assert_array_equal(log_gain(texture(), black, 0 * matte, ops, 3.0), np.zeros_like(black))


def test_noise_in_black_is_no_gain() -> None:
    black = np.full((48, 64, 3), 1e-5, np.float32)
    assert np.abs(log_gain(8 * black, black, block(), ops, 3.0)).max() < 0.1
    assert log_gain(8 * texture(), texture(), block(), ops, 3.0).min() > 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 5), (48, 64)])
def test_extension_keeps_what_is_known_and_fills_the_rest_from_it(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(1).uniform(1, 2, (*shape, 2)).astype(np.float32)
    weight = np.zeros((*shape, 1), np.float32)
    weight[: shape[0] // 2 + 1, : shape[1] // 2 + 1] = 1
    known = weight[..., 0] == 1
    out = extend(np.where(weight > 0, values, -99).astype(np.float32), weight, ops)
    np.testing.assert_allclose(out[known], values[known], atol=1e-6)
    assert out.min() >= values[known].min() - 1e-4
    assert out.max() <= values[known].max() + 1e-4


def test_extension_is_smooth_across_the_edge() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32)[:, None], (48, 64, 1))
    out = extend(np.ascontiguousarray(ramp), block(), ops)
    assert np.abs(np.diff(out[25, :, 0])).max() < 0.08


def test_strength_0_and_gain_0_return_the_input_bit_for_bit() -> None:
    pixels = np.float32([[[np.inf, -0.0, 1e-40], [-0.3, 7.0, 0.1]]])
    gain = np.full_like(pixels, 0.7)
    assert apply_gain(pixels, gain, 0.0).tobytes() == pixels.tobytes()
    assert apply_gain(pixels, 0 * gain).tobytes() == pixels.tobytes()
    half = gain.copy()
    half[0, 0] = 0
    out = apply_gain(pixels, half)
    assert out[0, 0].tobytes() == pixels[0, 0].tobytes()
    assert (out[0, 1] != pixels[0, 1]).all()


def test_strength_is_the_exponent_of_the_gain() -> None:
    pixels, gain = texture(4, 4), np.log(np.full((4, 4, 3), 4, np.float32))
    np.testing.assert_allclose(apply_gain(pixels, gain, 0.5), 2 * pixels, rtol=1e-6)
    assert apply_gain(pixels, gain, 0.5).dtype == np.float32
