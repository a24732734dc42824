"""Pictures of any shape and models of some sizes: fit, continued, never stretched."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anyportal_core.method.fitting import continued, cut_out
from anyportal_core.sizes import Limits, fit, shown_aspect, work_size

SIDES = st.integers(1, 9000)
LIMITS = st.builds(
    Limits,
    multiple=st.sampled_from([1, 2, 8, 14, 16, 64]),
    least=st.sampled_from([1, 64]),
    shrink=st.sampled_from([1.0, 0.9]),
    fixed=st.sampled_from([None, None, (480, 720)]),
)


@pytest.mark.parametrize(
    ("width", "height", "long_side", "pixel_aspect", "most", "expected"),
    [
        (1280, 720, 640, 1, 0, (360, 640)),
        (1080, 1920, 640, 1, 0, (640, 360)),
        (175, 143, 640, 1, 0, (143, 175)),
        (1998, 1080, 640, 1, 0, (346, 640)),
        (1, 1, 640, 1, 0, (1, 1)),
        (1, 500, 100, 1, 0, (100, 1)),
        (8192, 200, 640, 1, 0, (16, 640)),
        (1920, 1080, 640, 2, 0, (180, 640)),
        (1920, 1080, 640, Fraction(1, 2), 0, (640, 569)),
        (720, 480, 720, 1, 480 * 720, (480, 720)),
        (720, 720, 720, 1, 480 * 720, (588, 588)),
        (64, 36, 640, 1000, 0, (36, 64)),
    ],
)
def test_work_size(
    width: int, height: int, long_side: int, pixel_aspect: Fraction, most: int, expected: tuple[int, int]
) -> None:
    assert work_size(width, height, long_side, Fraction(pixel_aspect), [Limits(most_pixels=most)]) == expected


@settings(deadline=None, max_examples=60)
@given(SIDES, SIDES, st.integers(64, 4096), st.fractions(Fraction(1, 8), 8))
def test_the_work_size_has_the_shape_of_what_is_shown(width: int, height: int, side: int, aspect: Fraction) -> None:
    h, w = work_size(width, height, side, aspect)
    longest, shown = max(h, w), shown_aspect(width, height, aspect)
    exact = (longest / shown, longest) if w >= h else (longest, longest * shown)
    assert longest <= side and min(h, w) > 0
    assert abs(h - exact[0]) <= 1 and abs(w - exact[1]) <= 1


@settings(deadline=None, max_examples=100)
@given(SIDES, SIDES, LIMITS)
@example(1, 1, Limits(multiple=64))
@example(1, 9000, Limits(multiple=64, shrink=0.9))
def test_a_model_sees_the_whole_picture_in_its_shape(height: int, width: int, limits: Limits) -> None:
    place = fit(height, width, limits)
    scale = place.height / height if height >= width else place.width / width
    if limits.fixed:
        assert place.seen == limits.fixed and (place.height == place.rows or place.width == place.columns)
    else:
        assert place.rows % limits.multiple == place.columns % limits.multiple == 0
        assert limits.least <= min(place.seen) and limits.shrink * height - 1 <= place.height <= height
        assert place.rows < height + limits.multiple + limits.least
    assert abs(place.height - height * scale) <= max(1, scale / 2) and abs(place.width - width * scale) <= max(1, scale)
    assert 0 <= place.top <= place.rows - place.height and 0 <= place.left <= place.columns - place.width


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([Limits(8), Limits(16), Limits(64, least=64)]))
def test_what_was_continued_is_cut_out_again(height: int, width: int, limits: Limits) -> None:
    pictures = np.random.default_rng(0).random((2, height, width, 3), np.float32)
    place = fit(height, width, limits)
    seen = continued(pictures, place)
    assert seen.shape == (2, *place.seen, 3)
    assert np.array_equal(cut_out(seen, place), pictures)


def test_a_picture_is_continued_by_its_reflection() -> None:
    row = np.array([[1.0, 2.0, 3.0]])[..., None]
    assert continued(row, fit(1, 3, Limits(8)))[0, :, 0].tolist() == [3, 2, 1, 2, 3, 2, 1, 2]
    assert continued(row.transpose(2, 0, 1), fit(1, 3, Limits(4)), axes=(-2, -1))[0].tolist() == [[1, 2, 3, 2]] * 4


def test_a_picture_that_is_nearly_a_multiple_is_made_smaller_where_that_is_allowed() -> None:
    place = fit(480, 720, Limits(64, shrink=0.9))
    assert (place.size, place.seen) == ((448, 672), (448, 704))
    assert fit(480, 720, Limits(64)).seen == (512, 768)
    assert fit(100, 720, Limits(64, shrink=0.9)).seen == (128, 704)


def test_enlarged_the_picture_lies_where_it_lay() -> None:
    place = fit(9, 31, Limits(16))
    twice = place.enlarged(2)
    assert (twice.top, twice.left, twice.size, twice.seen) == (2 * place.top, 2 * place.left, (18, 62), (32, 64))
