from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyportal_core.windows import cut, reflect


@given(st.integers(1, 400), st.integers(0, 14), st.data())
def test_windows_cover_the_shot_with_the_overlap_asked_for(count: int, k: int, data: st.DataObject) -> None:
    length = 4 * k + 1
    overlap = data.draw(st.integers(0, length - 1))
    windows = cut(count, length, overlap)
    assert {i for w in windows for i in range(w.start, w.stop)} == set(range(count))
    assert all(len(w.indices) == length for w in windows)
    assert all(0 <= i < count for w in windows for i in w.indices)
    for a, b in pairwise(windows):
        assert a.start < b.start
        assert a.stop - b.start >= overlap


def test_a_short_shot_is_padded_by_reflection() -> None:
    (window,) = cut(3, 9, 4)
    assert (window.start, window.stop) == (0, 3)
    assert window.indices == (0, 1, 2, 1, 0, 1, 2, 1, 0)


def test_one_frame_fills_a_window() -> None:
    assert cut(1, 5, 0)[0].indices == (0, 0, 0, 0, 0)


def test_reflection_does_not_repeat_the_ends() -> None:
    assert [reflect(i, 3) for i in range(-3, 6)] == [1, 2, 1, 0, 1, 2, 1, 0, 1]


@pytest.mark.parametrize(("length", "overlap"), [(4, 0), (0, 0), (5, 5), (5, -1)])
def test_refuses_what_no_model_takes(length: int, overlap: int) -> None:
    with pytest.raises(ValueError):
        cut(10, length, overlap)


@given(st.integers(1, 400), st.sampled_from([9, 17, 49]), st.data())
def test_windows_begin_where_groups_of_frames_do_where_the_overlap_allows_it(
    count: int, length: int, data: st.DataObject
) -> None:
    windows = cut(count, length, data.draw(st.integers(0, length - 4)))
    assert all(window.start % 4 == 0 for window in windows)
    assert windows[-1].stop == count and (len(windows) == 1 or count - windows[-1].start > length - 4)
