"""Sequences written as one path, printf style: `plate.%04d.exr`.

A sign of percent alone is a letter like any other: `100%.jpg` and `a%20b.jpg` are single files.
"""

from __future__ import annotations

import re
from pathlib import Path

_PRINTF = re.compile(r"%0?(\d*)d")
_ANY = re.compile(rf"{_PRINTF.pattern}|#+|@+")


def counter_of(name: str) -> re.Match[str] | None:
    """The printf counter in a name, the last where there are several; its group 1 is the width, or empty."""
    found = list(_PRINTF.finditer(name))
    return found[-1] if found else None


def has_counter(name: str) -> bool:
    """Whether a name may stand for a sequence, in printf (`%04d`) or fileseq (`####`) notation."""
    return _ANY.search(name) is not None


def is_pattern(path: Path) -> bool:
    """Whether a path stands for many files: it has a printf counter, and no file is called just so."""
    return counter_of(path.name) is not None and not path.is_file()


def file_of(pattern: Path, number: int) -> Path:
    """The file of one frame; the path itself where it is no pattern."""
    counter = counter_of(pattern.name)
    if counter is None or pattern.is_file():
        return pattern
    name = pattern.name
    return pattern.with_name(f"{name[: counter.start()]}{counter[0] % number}{name[counter.end() :]}")
