"""Sequences written as one path: `plate.%04d.exr` or `plate.####.exr`."""

import os
import re

_COUNTER = re.compile(r"%0?\d*d|#+")


def has_counter(path):
    """Whether a path stands for numbered files. A sign of percent alone is a letter like any other."""
    return _COUNTER.search(os.path.basename(path)) is not None


def file_of(pattern, number):
    """The file of one frame; the path itself where it has no counter."""
    folder, name = os.path.split(pattern)
    found = list(_COUNTER.finditer(name))
    if not found:
        return pattern
    counter = found[-1].group()
    digits = counter % number if counter[0] == "%" else "{:0{}d}".format(number, len(counter))
    return os.path.join(folder, name[: found[-1].start()] + digits + name[found[-1].end() :])
