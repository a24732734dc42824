"""Noise schedules and the moves between their levels, in numpy alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from anyportal_core.method.schedule import first_step, scaled_linear, swinging_guidance
from anyportal_core.method.sdedit import cleaned, guided, moved, noised, renoised

SCHEDULE = scaled_linear()


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(2, 3, 4)), generator.normal(size=(2, 3, 4))


def test_a_run_begins_in_pure_noise_and_ends_clean() -> None:
    levels = SCHEDULE.levels(50)
    assert levels[0] == 0.0
    assert levels[-1] == 1.0
    assert list(levels) == sorted(levels)
    assert len(levels) == 51


def test_a_shifted_schedule_is_noisier_everywhere() -> None:
    shifted = scaled_linear(snr_shift=3.0)
    assert all(a < b for a, b in zip(shifted.alphas[1:-1], SCHEDULE.alphas[1:-1], strict=True))
    assert shifted.alphas[-1] == 0.0


def test_guidance_is_what_the_exact_angle_gives() -> None:
    # (50 - 519) / 50 to the fifth, in exact integers: the angle's fraction of a turn decides.
    fraction = ((50 - 519) ** 5 % (2 * 50**5)) / 50**5
    expected = 1 + 6 * (1 - math.cos(math.pi * fraction)) / 2
    assert swinging_guidance(6.0, 50, 519) == pytest.approx(expected, abs=1e-8)
    assert all(1 <= swinging_guidance(6.0, 25, t) <= 7 for t in SCHEDULE.timesteps(25))


@pytest.mark.parametrize(("strength", "first"), [(1.0, 0), (0.7, 15), (0.0, 50)])
def test_strength_says_where_an_sdedit_run_begins(strength: float, first: int) -> None:
    assert first_step(50, strength) == first


def test_a_true_velocity_gives_the_clean_sample_at_every_level() -> None:
    clean, noise = draw(1)
    for alpha in SCHEDULE.levels(10)[:-1]:
        velocity = math.sqrt(alpha) * noise - math.sqrt(1 - alpha) * clean
        np.testing.assert_allclose(cleaned(noised(clean, noise, alpha), velocity, alpha), clean, atol=1e-12)


def test_a_move_keeps_clean_sample_and_noise() -> None:
    clean, noise = draw(2)
    levels = SCHEDULE.levels(10)
    for alpha, to_alpha in itertools.pairwise(levels):
        there = moved(noised(clean, noise, alpha), clean, alpha, to_alpha)
        np.testing.assert_allclose(there, noised(clean, noise, to_alpha), atol=1e-12)


def test_going_back_leaves_as_much_noise_as_the_level_has() -> None:
    alpha, to_alpha = 0.6, 0.2
    ones, zeros = np.ones(1), np.zeros(1)
    signal = renoised(noised(ones, zeros, alpha), zeros, alpha, to_alpha)
    old = renoised(noised(zeros, ones, alpha), zeros, alpha, to_alpha)
    fresh = renoised(zeros, ones, alpha, to_alpha)
    assert signal[0] ** 2 == pytest.approx(to_alpha)
    assert old[0] ** 2 + fresh[0] ** 2 == pytest.approx(1 - to_alpha)


def test_coefficients_do_not_promote() -> None:
    clean, noise = (a.astype(np.float32) for a in draw(3))
    levels = SCHEDULE.levels(10)
    results = [
        noised(clean, noise, levels[3]),
        cleaned(clean, noise, levels[3]),
        moved(clean, noise, levels[3], levels[4]),
        renoised(clean, noise, levels[4], levels[3]),
        guided(clean, noise, swinging_guidance(6.0, 10, 599)),
    ]
    assert {result.dtype for result in results} == {np.dtype(np.float32)}
