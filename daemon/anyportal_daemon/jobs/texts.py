"""Texts of a job: what they may hold, since others read them on terminals, which obey some characters."""

from __future__ import annotations

import re

from anyportal_core.errors import ShotError

_ORDERS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Control characters, and those that turn the direction of what is around them."""

_UNPRINTABLE = re.compile(f"[{_ORDERS}]")
_UNPRINTABLE_IN_LINES = re.compile(rf"(?![\t\n\r])[{_ORDERS}]")


def check_printable(text: str, field: str, lines: bool = False) -> None:
    """Raises ShotError where a text holds control characters.

    Args:
        lines: whether it may have tabs and several lines.
    """
    found = (_UNPRINTABLE_IN_LINES if lines else _UNPRINTABLE).search(text)
    if found:
        raise ShotError(
            f"a control character (U+{ord(found[0]):04X}) after {found.start()} others",
            where=field,
            hint="leave it out",
        )


def printable(text: str) -> str:
    """A text without the characters that are refused in one."""
    return _UNPRINTABLE.sub("_", text)
