"""Timecode arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyportal_core.media.timecode import countable, from_bits, shifted, to_bits, valid

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("start", "frames", "rate", "expected"),
    [
        ("01:00:00:00", 24, Fraction(24), "01:00:01:00"),
        ("01:00:00:00", -1, Fraction(25), "00:59:59:24"),
        ("23:59:59:23", 1, Fraction(24), "00:00:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:01:00;02", -1, NTSC, "00:00:59;29"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:59;59", 1, 2 * NTSC, "00:01:00;04"),
        ("00:00:59:29", 1, NTSC, "00:01:00:00"),
        ("nonsense", 5, NTSC, "nonsense"),
    ],
)
def test_shifted(start: str, frames: int, rate: Fraction, expected: str) -> None:
    assert shifted(start, frames, rate) == expected


def test_drop_frame_keeps_time_over_an_hour() -> None:
    assert shifted("00:00:00;00", 107892, NTSC) == "01:00:00;00"


@settings(deadline=None)
@given(st.integers(0, 2_589_407), st.integers(-5000, 5000))
def test_shifts_add_up(start: int, frames: int) -> None:
    begun = shifted("00:00:00;00", start, NTSC)
    assert shifted(shifted(begun, frames, NTSC), -frames, NTSC) == begun


@settings(deadline=None)
@given(st.integers(0, 86399), st.integers(0, 29), st.booleans())
def test_bits_there_and_back(seconds: int, frames: int, drop: bool) -> None:
    mark = ";" if drop else ":"
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{frames:02}"
    bits = to_bits(text)
    assert bits is not None
    assert from_bits(bits) == text


@pytest.mark.parametrize("text", ["01:00:00:00", "23:59:59;29", " 00:00:00:5 ", "00:00:00:123"])
def test_valid(text: str) -> None:
    assert valid(text) == text.strip()


@pytest.mark.parametrize("text", [None, "", "nonsense", "24:00:00:00", "01:60:00:00", "01:00:61:00", "1:00:00:00"])
def test_invalid(text: str | None) -> None:
    assert valid(text) is None


@pytest.mark.parametrize(
    ("text", "rate", "expected"),
    [
        ("00:00:59;29", NTSC, True),
        ("00:00:59;29", 2 * NTSC, True),
        ("00:00:59;29", Fraction(30), True),
        ("00:00:59;20", Fraction(25), False),
        ("00:00:59;20", Fraction(24000, 1001), False),
        ("00:00:59:20", Fraction(25), True),
        ("nonsense", Fraction(25), False),
    ],
)
def test_countable(text: str, rate: Fraction, expected: bool) -> None:
    assert countable(text, rate) is expected


def test_what_is_no_timecode_has_no_bits() -> None:
    assert to_bits("1:2:3:4") is None
    assert to_bits("00:00:00:59") is None
