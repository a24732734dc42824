"""The cross-fade of overlapping windows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anyportal_core.method.blend import joined, weights
from anyportal_core.windows import Window, cut


@given(st.integers(1, 300), st.sampled_from([5, 9, 13, 49]), st.integers(0, 12))
def test_the_weights_sum_to_1_exactly_and_none_is_negative(count: int, length: int, overlap: int) -> None:
    windows = cut(count, length, min(overlap, length - 1))
    total = np.zeros(count, np.float32)
    for window, weight in zip(windows, weights(windows), strict=True):
        assert weight.dtype == np.float32
        assert len(weight) == window.stop - window.start
        assert weight.min() >= 0
        total[window.start : window.stop] += weight
    np.testing.assert_array_equal(total, np.ones(count, np.float32))


def test_windows_fade_into_each_other_gently() -> None:
    first, second = weights([Window(0, 9, ()), Window(6, 15, ())])
    np.testing.assert_array_equal(first[:6], np.ones(6))
    np.testing.assert_allclose(first[6:], [27 / 32, 0.5, 5 / 32], atol=1e-4)
    np.testing.assert_allclose(second[:3], [5 / 32, 0.5, 27 / 32], atol=1e-4)


def test_a_blend_of_equal_windows_changes_nothing() -> None:
    frames = np.random.default_rng(0).uniform(0, 1, 40).astype(np.float32)
    windows = cut(40, 13, 5)
    out = np.zeros(40)
    for window, weight in zip(windows, weights(windows), strict=True):
        out[window.start : window.stop] += weight * frames[window.start : window.stop].astype(np.float64)
    np.testing.assert_array_equal(out.astype(np.float32), frames)


@given(st.integers(1, 60), st.sampled_from([5, 9, 13]), st.integers(0, 12))
def test_windows_are_joined_as_they_come(count: int, length: int, overlap: int) -> None:
    windows = cut(count, length, min(overlap, length - 1))
    made: list[int] = []

    def make(number: int, window: Window) -> np.ndarray:
        made.append(number)
        return np.full((window.stop - window.start, 1, 1, 3), number, np.float32)

    expected = np.zeros(count)
    for number, (window, weight) in enumerate(zip(windows, weights(windows), strict=True)):
        expected[window.start : window.stop] += number * weight
    parts = list(joined(windows, make))
    np.testing.assert_allclose(np.concatenate(parts)[:, 0, 0, 1], expected, atol=1e-6)
    assert max(map(len, parts)) <= length and made == list(range(len(windows)))


def test_a_single_window_is_joined_as_it_is() -> None:
    frames = np.random.default_rng(0).random((4, 2, 2, 3), np.float32)
    (found,) = joined(cut(4, 9, 2), lambda number, window: frames)
    np.testing.assert_array_equal(found, frames)
