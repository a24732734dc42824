"""Source frames of clips: rates, snapping, retimes, handles."""

from __future__ import annotations

from fractions import Fraction

import pytest

from anyportal_client.otio.timing import (
    Extent,
    Times,
    exact_rate,
    find_span,
    rescale,
    same_rate,
    snap_ceil,
    snap_floor,
)

TAPE = Extent(start=1001, origin=86400, count=100, rate=24)


@pytest.mark.parametrize(
    ("value", "floor", "ceil"), [(19.996, 20, 20), (20.004, 20, 20), (20.5, 20, 21), (-0.3, -1, 0)]
)
def test_snapping_takes_noise_for_the_whole_number(value: float, floor: int, ceil: int) -> None:
    assert (snap_floor(value), snap_ceil(value)) == (floor, ceil)


def test_rates_written_differently_are_one_rate() -> None:
    assert same_rate(23.976, 23.976024627685547)
    assert rescale(86400, 23.976, 24000 / 1001) == 86400
    assert not same_rate(23.976, 24)
    assert rescale(24, 24, 25) == 25


@pytest.mark.parametrize(
    ("rate", "exact"),
    [
        (23.976, Fraction(24000, 1001)),
        (23.976024627685547, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (24.0, Fraction(24)),
        (25.0, Fraction(25)),
        (12.5, Fraction(25, 2)),
    ],
)
def test_floats_become_the_rational_they_stand_for(rate: float, exact: Fraction) -> None:
    assert exact_rate(rate) == exact


def test_a_timecode_absolute_range_becomes_the_medium_s_numbers() -> None:
    span = find_span(Times(86410, 20, 24), TAPE, handles=(5, 5))
    assert span is not None
    assert (span.first, span.last) == (1011, 1030)
    assert span.frames == (1006, 1035)
    assert span.origin + span.first == 86410  # the time of a frame, in the clip's terms


def test_handles_end_where_the_medium_ends() -> None:
    span = find_span(Times(86403, 95, 24), TAPE, handles=(10, 10))
    assert span is not None
    assert (span.head, span.tail) == (3, 2)
    assert span.frames == (1001, 1100)


@pytest.mark.parametrize(
    ("start", "length", "speed", "outside"),
    [
        (47, 5, 1.0, 3),
        (48, 1, 1.0, 0),
        (48, 2, 1.0, 1),
        (48, 1.004, 1.0, 0),
        (40, 4.7, 2.0, 0),  # 9.4 frames from 40 on: the tenth is there by rounding alone
        (40, 5.2, 2.0, 1),
        (-2, 5, 1.0, 2),
    ],
)
def test_frames_beyond_the_media_are_counted_and_rounding_is_not(
    start: float, length: float, speed: float, outside: int
) -> None:
    span = find_span(Times(start, length, 24), Extent(start=0, origin=0, count=49, rate=24), speed)
    assert span is not None
    assert span.outside == outside


def test_a_range_counted_from_zero_over_numbered_media() -> None:
    span = find_span(Times(0, 51, 24), Extent(start=997, origin=997, count=59, rate=24), handles=(2, 8))
    assert span is not None
    assert (span.first, span.last, span.head, span.tail) == (997, 1047, 0, 8)
    assert span.origin + span.first == 0


def test_a_range_counted_from_zero_over_a_movie_with_timecode() -> None:
    span = find_span(Times(10, 20, 24), Extent(start=0, origin=86400, count=100, rate=24))
    assert span is not None
    assert (span.first, span.last) == (10, 29)


@pytest.mark.parametrize(
    ("speed", "frames"), [(1.0, (10, 19)), (2.0, (10, 29)), (-2.0, (10, 29)), (0.5, (10, 14)), (0.0, (10, 10))]
)
def test_a_constant_retime_takes_source_frames(speed: float, frames: tuple[int, int]) -> None:
    span = find_span(Times(10, 10, 24), Extent(0, 0, 100, 24), speed)
    assert span is not None
    assert (span.first, span.last) == frames
    assert span.speed == speed


def test_handles_follow_the_retime_and_swap_when_it_runs_backwards() -> None:
    span = find_span(Times(50, 10, 24), Extent(0, 0, 100, 24), -2.0, handles=(1, 4))
    assert span is not None
    assert (span.head, span.tail) == (8, 2)


def test_a_slow_retime_between_frames_gets_the_frame_it_reaches() -> None:
    # Shown: 0.9, 1.4, ... 5.4, so frame 5 as well, although half of ten is five.
    span = find_span(Times(0.9, 10, 24), Extent(0, 0, 100, 24), 0.5)
    assert span is not None
    assert (span.first, span.last) == (0, 5)


def test_a_range_past_the_end_is_cut_and_counted_and_one_outside_is_none() -> None:
    span = find_span(Times(95, 10, 24), Extent(0, 0, 100, 24))
    assert span is not None
    assert (span.last, span.outside) == (99, 5)
    assert find_span(Times(500, 10, 24), Extent(0, 0, 100, 24)) is None


def test_rounding_up_at_the_end_of_the_medium_is_no_complaint() -> None:
    # 101 frames at 24 are 105.2 at 25: a clip of 106 record frames rounds to 102.
    span = find_span(Times(0, 106, 25), Extent(0, 0, 101, 24))
    assert span is not None
    assert (span.last, span.outside) == (100, 0)


@pytest.mark.parametrize(
    ("source", "speed", "dissolves", "frames"),
    [
        (Times(20, 20, 25), 0.5, (0, 5), (20, 32)),  # 2.5 frames of the medium are 3
        (Times(30, 20, 25), 0.5, (5, 0), (27, 39)),
        (Times(30, 20, 25), -0.5, (5, 0), (30, 42)),
        (Times(20, 20, 24), 1.0, (0, 12), (20, 53)),  # a dissolve at 24 over a medium at 25: 12.5
        (Times(48, 20, 24), 1.0, (12, 0), (37, 70)),
    ],
)
def test_dissolves_get_every_frame_that_they_show(
    source: Times, speed: float, dissolves: tuple[int, int], frames: tuple[int, int]
) -> None:
    span = find_span(source, Extent(0, 0, 200, 25), speed, dissolves=dissolves)
    assert span and span.frames == frames


@pytest.mark.parametrize(
    ("start", "frames", "outside"), [(10, (1001, 1009), 1), (1000, (1001, 1009), 1), (30, (1020, 1029), 0)]
)
def test_a_range_counted_from_zero_counts_from_the_stated_first_frame_though_it_is_not_there(
    start: float, frames: tuple[int, int], outside: int
) -> None:
    """Stated from 990, on disk from 1001."""
    span = find_span(Times(start, 10, 24), Extent(1001, 1001, 60, 24, missing=11))
    assert span and (span.frames, span.outside) == (frames, outside)
