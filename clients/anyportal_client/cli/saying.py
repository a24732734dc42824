"""Lines for a person. What others wrote is among them, and a terminal obeys some characters."""

from __future__ import annotations

import re
import sys
from typing import TextIO

_ORDERS = re.compile(r"(?![\t\n])[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """A text without control characters, and without those that turn the direction of what is around them."""
    return _ORDERS.sub("?", text)


def say(text: str, aside: bool = False) -> None:
    """Print a line on standard output; `aside`: on standard error."""
    stream: TextIO = sys.stderr if aside else sys.stdout
    print(plain(text), file=stream, flush=True)
