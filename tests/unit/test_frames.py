import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyportal_core.errors import FrameRangeError
from anyportal_core.frames import FrameSet, chunks


def test_reads_lists_ranges_and_negative_numbers() -> None:
    assert FrameSet.parse("1005, 1009-1010").numbers == (1005, 1009, 1010)
    assert FrameSet.parse("-3--1").numbers == (-3, -2, -1)


def test_ends_are_included() -> None:
    assert len(FrameSet.parse("1001-1100")) == 100


@pytest.mark.parametrize("text", ["", "a", "5-", "1-2-3", "1,,2", "1.5", "0x10"])
def test_refuses_what_is_no_range(text: str) -> None:
    with pytest.raises(FrameRangeError):
        FrameSet.parse(text)


def test_a_backward_range_is_refused_with_the_range_turned_round() -> None:
    with pytest.raises(FrameRangeError, match="write 5-10"):
        FrameSet.parse("10-5")


@pytest.mark.parametrize(
    "text", ["1" * 5000, "1-" + "9" * 5000, "99999999999999999999999", "9223372036854775807", "1-3000000"]
)
def test_absurd_numbers_are_refused_in_few_words(text: str) -> None:
    with pytest.raises(FrameRangeError) as refused:
        FrameSet.parse(text)
    assert len(str(refused.value)) < 500


@given(st.sets(st.integers(-10_000, 200_000), min_size=1, max_size=50))
def test_text_and_set_are_the_same_thing(numbers: set[int]) -> None:
    frames = FrameSet(tuple(numbers))
    assert frames.numbers == tuple(sorted(numbers))
    assert FrameSet.parse(str(frames)) == frames


@given(st.integers(0, 200), st.integers(1, 40))
def test_chunks_cover_everything_once(count: int, size: int) -> None:
    runs = list(chunks(count, size))
    assert [i for start, stop in runs for i in range(start, stop)] == list(range(count))
    assert all(stop - start <= size for start, stop in runs)
