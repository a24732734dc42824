"""Grain: found as strong and as coarse as it is, whatever else is in the picture, and made anew alike."""

from __future__ import annotations

import numpy as np
import pytest

from anyportal_core.method.grain import BINS, NO_GRAIN, Grain, add_grain, measure_grain, missing_level
from anyportal_core.ops import opencv as ops

SIZE = (360, 640)
CENTRES = (np.arange(BINS) + 0.5) / BINS
LUMA = np.float32([0.2126, 0.7152, 0.0722])


def scene(seed: int = 1) -> np.ndarray:
    """A ramp of brightness with edges and a textured half, free of grain."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    picture = np.repeat((0.05 + 0.85 * x / SIZE[1])[..., None], 3, -1)
    picture[(y > 180) & ((x // 40 + y // 40) % 2 == 0)] *= 0.8
    picture[300:] += 0.1 * np.sin(x[300:, :, None] * 1.3) * np.cos(y[300:, :, None] * 0.9)
    return picture.astype(np.float32)


def noise(coarse: float, seed: int = 2) -> np.ndarray:
    white = np.random.default_rng(seed).standard_normal((*SIZE, 3), np.float32)
    white = ops.gaussian(white, coarse) if coarse else white
    return white / (white @ LUMA).std()


def everywhere(picture: np.ndarray) -> np.ndarray:
    return np.ones(picture.shape[:2], np.float32)


def measured(*pictures: np.ndarray) -> Grain:
    return measure_grain(pictures, [everywhere(picture) for picture in pictures], ops)


@pytest.mark.parametrize("coarse", [0.0, 0.8, 1.5])
@pytest.mark.parametrize("strength", [0.004, 0.02])
def test_grain_is_found_as_strong_as_it_is(coarse: float, strength: float) -> None:
    found = measured(scene() + strength * noise(coarse))
    np.testing.assert_allclose(found.level[2:13], strength, rtol=0.25)


def test_its_strength_over_brightness_is_found() -> None:
    plain = scene()
    wanted = 0.004 + 0.02 * (plain @ LUMA)
    found = measured(plain + wanted[..., None] * noise(0.7))
    np.testing.assert_allclose(found.level[2:13], (0.004 + 0.02 * CENTRES)[2:13], rtol=0.25)


def test_a_clean_picture_has_none() -> None:
    assert measured(scene()).level.max() < 5e-4
    assert measured(np.full((64, 64, 3), 0.4, np.float32)).none
    assert measure_grain([np.zeros((8, 8, 3), np.float32)], [np.ones((8, 8), np.float32)], ops) is NO_GRAIN
    assert measure_grain([scene()], [np.zeros(SIZE, np.float32)], ops) is NO_GRAIN


@pytest.mark.parametrize("coarse", [0.0, 0.8, 1.4])
def test_what_is_made_anew_measures_like_what_was_found(coarse: float) -> None:
    grain = measured(scene() + 0.02 * noise(coarse))
    white = np.random.default_rng(5).standard_normal((*SIZE, 3), np.float32)
    clean = scene()
    again = measured(add_grain(clean, grain, grain.level, white, ops))
    np.testing.assert_allclose(again.level[2:13], grain.level[2:13], rtol=0.2)
    assert abs(neighbours(again) - neighbours(grain)) < 0.08
    np.testing.assert_allclose(again.colour @ again.colour.T, grain.colour @ grain.colour.T, atol=0.25)


def neighbours(grain: Grain) -> float:
    """The correlation of pixels side by side."""
    return float((grain.kernel[:, 1:] * grain.kernel[:, :-1]).sum())


def test_grey_grain_stays_grey() -> None:
    white = noise(0.6)[..., :1] @ np.ones((1, 3), np.float32)
    grain = measured(scene() + 0.02 * white / (white @ LUMA).std())
    laid = add_grain(scene(), grain, grain.level, np.random.default_rng(3).standard_normal((*SIZE, 3), np.float32), ops)
    rest = laid - scene()
    assert np.corrcoef(rest[..., 0].ravel(), rest[..., 2].ravel())[0, 1] > 0.98


def test_grain_that_is_there_is_not_added_again() -> None:
    grainy = measured(scene() + 0.02 * noise(0.0))
    half = measured(scene() + 0.01 * noise(0.0, 7))
    added = add_grain(
        scene() + 0.01 * noise(0.0, 7),
        grainy,
        missing_level(grainy, half),
        np.random.default_rng(9).standard_normal((*SIZE, 3), np.float32),
        ops,
    )
    np.testing.assert_allclose(measured(added).level[2:13], 0.02, rtol=0.2)
    assert not missing_level(half, grainy).any()


def test_what_is_not_counted_does_not_count() -> None:
    picture, weight = scene() + 0.01 * noise(0.0), np.ones(SIZE, np.float32)
    picture[100:] += 0.1 * noise(0.0, 8)[100:]
    weight[100:] = 0
    np.testing.assert_allclose(measure_grain([picture], [weight], ops).level[2:13], 0.01, rtol=0.2)
