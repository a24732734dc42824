"""Timecode as text ``HH:MM:SS:FF`` (``;`` before the frames where drop frame) and as SMPTE bits."""

from __future__ import annotations

import re
from fractions import Fraction

_TEXT = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d+)")


def valid(timecode: str | None) -> str | None:
    """The timecode itself where it is one, else None: files carry all sorts of things in its place."""
    found = _TEXT.fullmatch(timecode.strip()) if timecode else None
    fine = found and int(found[1]) < 24 and int(found[2]) < 60 and int(found[3]) < 60
    return found[0] if found and fine else None


def countable(timecode: str, rate: Fraction) -> bool:
    """Whether a timecode has a meaning at ``rate`` frames a second: drop frame has one at multiples of 30 alone."""
    found = _TEXT.fullmatch(timecode.strip())
    return found is not None and (found[4] == ":" or round(rate) % 30 == 0)


def shifted(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode ``frames`` later, at ``rate`` frames a second; drop frame stays drop frame (SMPTE ST 12-1)."""
    found = _TEXT.fullmatch(timecode.strip())
    if not found:
        return timecode
    base = max(round(rate), 1)
    drop = found[4] != ":" and rate.denominator != 1
    skipped = round(base / 15) if drop else 0
    hours, minutes, seconds, count = (int(found[i]) for i in (1, 2, 3, 5))
    total_minutes = hours * 60 + minutes
    number = (total_minutes * 60 + seconds) * base + count - skipped * (total_minutes - total_minutes // 10)
    return _text(number + frames, base, skipped, found[4])


def _text(number: int, base: int, skipped: int, mark: str) -> str:
    ten_minutes = 600 * base - 9 * skipped
    number %= 144 * ten_minutes
    if skipped:
        tens, rest = divmod(number, ten_minutes)
        minute = base * 60 - skipped
        number += 9 * skipped * tens + (skipped * ((rest - skipped) // minute) if rest >= skipped else 0)
    seconds, count = divmod(number, base)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{count:02}"


def from_bits(bits: int) -> str:
    """The text of SMPTE ST 12-1's 32 time bits, as EXR and DPX carry them."""

    def digits(shift: int, tens_mask: int) -> int:
        return (bits >> shift & 15) + 10 * (bits >> shift + 4 & tens_mask)

    mark = ";" if bits & 0x40 else ":"
    return f"{digits(24, 3):02}:{digits(16, 7):02}:{digits(8, 7):02}{mark}{digits(0, 3):02}"


def to_bits(timecode: str) -> int | None:
    """The 32 time bits of a text; None where it is no timecode or counts beyond 39 frames a second."""
    found = _TEXT.fullmatch(timecode.strip())
    if not found or int(found[5]) > 39:
        return None
    hours, minutes, seconds, frames = (int(found[i]) for i in (1, 2, 3, 5))
    bits = 0x40 if found[4] != ":" else 0
    for shift, value in ((0, frames), (8, seconds), (16, minutes), (24, hours)):
        bits |= (value % 10 | value // 10 << 4) << shift
    return bits
