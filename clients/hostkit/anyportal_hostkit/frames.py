"""Frame numbers as people write them, `1005,1009-1010`, and as programs count them, a sorted list."""

import re

_MOST = 10000000
_BETWEEN = re.compile(r"(?<=\d)\s+-\s+(?=[-\d])")  # 1001 - 1100
_PART = re.compile(r"(-?\d+)(?:-(-?\d+)(?:[x/](\d+))?)?")


class BadFrames(ValueError):
    """A text that names no frames; what it says is for a person."""


def parse(text):
    """The numbers that a text names, sorted, each once: `1001-1010`, `1005,1009-1010`, `1001-1100x10`, also negative.

    Parts are parted by commas or blanks, so that what Nuke writes is read as well. An empty text names none.

    Raises:
        BadFrames: with how it is written.
    """
    numbers = set()
    for part in re.split(r"[\s,]+", _BETWEEN.sub("-", text).strip()):
        if part:
            numbers.update(_numbers(part))
    return sorted(numbers)


def text_of(numbers):
    """The shortest text that names some numbers: `1005,1009-1010`."""
    return ",".join(str(first) if first == last else "{}-{}".format(first, last) for first, last in runs(numbers))


def runs(numbers):
    """Runs of numbers without a gap, as pairs of the first and the last, ascending."""
    found = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def gaps(numbers):
    """The numbers that are missing between the first and the last."""
    found = runs(numbers)
    return [number for (_, end), (start, _) in zip(found, found[1:]) for number in range(end + 1, start)]


def _numbers(part):
    match = _PART.fullmatch(part)
    if not match:
        raise BadFrames("'{}' is no frame range: write 1001-1100 or 1005,1009-1010".format(part))
    first = int(match.group(1))
    last = int(match.group(2) or first)
    step = int(match.group(3) or 1)
    if last < first:
        raise BadFrames("the range {} runs backwards: write {}-{}".format(part, last, first))
    if step < 1 or last - first >= _MOST:
        raise BadFrames("the range {} is no range of frames of a shot".format(part))
    return range(first, last + 1, step)
