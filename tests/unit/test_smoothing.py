"""Smoothing over time, and the sRGB curve."""

from __future__ import annotations

import numpy as np
import pytest

from anyportal_core.method.smoothing import smooth
from anyportal_core.method.srgb import to_display, to_light


def dense(values: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """The same least squares with whole matrices."""
    second = np.diff(np.eye(len(values)), n=2, axis=0)
    return np.linalg.solve(np.diag(weights) + strength * second.T @ second, weights[:, None] * values)


@pytest.mark.parametrize("count", [3, 4, 5, 40])
@pytest.mark.parametrize("strength", [1e-6, 0.05, 1.0, 2000.0])
def test_it_is_the_least_squares_solution(count: int, strength: float) -> None:
    generator = np.random.default_rng(count)
    values, weights = generator.normal(size=(count, 3)), generator.uniform(0.2, 1, count)
    weights[count // 2] = 0
    np.testing.assert_allclose(smooth(values, weights, strength), dense(values, weights, strength), atol=1e-6)


def test_unknown_values_lie_on_the_line_between_known_ones() -> None:
    values = np.array([0.0, 99, 99, 3, 99, 99]).reshape(-1, 1)
    out = smooth(values, np.array([1.0, 0, 0, 1, 0, 0]), 1e-3)
    np.testing.assert_allclose(out[:, 0], np.arange(6), atol=1e-6)


def test_two_frames_are_left_alone() -> None:
    values = np.array([[1.0], [5.0]])
    np.testing.assert_array_equal(smooth(values, np.ones(2), 100.0), values)


def test_the_srgb_curve_closes_and_has_its_known_points() -> None:
    codes = np.linspace(0, 1.5, 400, dtype=np.float32)
    np.testing.assert_allclose(to_display(to_light(codes)), codes, atol=2e-6)
    np.testing.assert_allclose(to_light(np.float32([0, 0.5, 1])), [0, 0.21404114, 1], atol=1e-6)
    assert to_light(codes).dtype == np.float32
    assert to_light(np.float32([-0.2])) == 0
