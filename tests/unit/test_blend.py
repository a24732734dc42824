"""The cross-fade of overlapping windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyportal_core.method.blend import joined, weights
from anyportal_core.ops import opencv
from anyportal_core.overlaps import chain
from anyportal_core.testing.seams import seam
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


def test_what_differs_keeps_more_of_its_detail_and_what_agrees_is_left_alone() -> None:
    same, *own = np.random.default_rng(1).random((3, 18, 40, 40, 3), np.float32)
    windows = [Window(0, 12, ()), Window(6, 18, ())]
    agreed = list(joined(windows, lambda number, window: same[window.start : window.stop], opencv))
    np.testing.assert_allclose(np.concatenate(agreed), same, atol=2e-7)
    plain, kept = (
        np.concatenate(list(joined(windows, lambda number, window: own[number][window.start : window.stop], *ops)))
        for ops in ((), (opencv,))
    )
    np.testing.assert_array_equal(plain[:6], kept[:6])
    detail = [frames.std((1, 2, 3)) for frames in (plain, kept)]
    assert detail[0][8] < 0.8 * detail[0][0] and 0.8 * detail[0][0] < detail[1][8] < detail[0][0]
    assert kept.min() >= 0 and kept.max() <= 1


@pytest.mark.parametrize("moves", [0, 1])
def test_fading_shows_neither_in_what_moves_along_nor_in_what_is_new_in_every_frame(moves: int) -> None:
    rng, windows = np.random.default_rng(2), chain(200, 49, 8)
    field = rng.random((len(windows), 40, 300, 3), np.float32)
    noise = rng.random((len(windows), 200, 40, 60, 3), np.float32)

    def make(number: int, window: Window) -> np.ndarray:
        at = range(window.start, window.stop)
        return (
            np.stack([field[number][:, t : t + 60] for t in at]) if moves else noise[number][window.start : window.stop]
        )

    assert seam(np.concatenate(list(joined(windows, make, opencv))), windows) == pytest.approx(1, abs=0.1)


def test_a_single_window_is_joined_as_it_is() -> None:
    frames = np.random.default_rng(0).random((4, 2, 2, 3), np.float32)
    (found,) = joined(cut(4, 9, 2), lambda number, window: frames)
    np.testing.assert_array_equal(found, frames)
