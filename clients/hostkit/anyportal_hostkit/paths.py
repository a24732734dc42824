"""Sequences written as one path: `plate.%04d.exr`, `plate.####.exr`, and Resolve's `plate.[1001-1100].exr`.

A file that is called just so wins: `Take #3.mov` and `A001 [1-2].mov` are movies.
"""

import os
import re

_COUNTER = re.compile(r"%0?\d*d|#+")
_BRACKETS = re.compile(r"\[(\d+)-(\d+)\]")
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


def has_counter(path):
    """Whether a path stands for numbered files. A sign of percent alone is a letter like any other."""
    return _counter(os.path.basename(path)) is not None and not os.path.isfile(path)


def file_of(pattern, number):
    """The file of one frame; the path itself where it has no counter."""
    head, name = _split(pattern)
    counter = _counter(name)
    if counter is None or os.path.isfile(pattern):
        return pattern
    return head + name[: counter.start()] + _spec(counter) % number + name[counter.end() :]


def printf(path):
    """A path with its counter in the one notation that all hosts read: `####` becomes `%04d`."""
    head, name = _split(path)
    counter = _counter(name)
    if counter is None or os.path.isfile(path):
        return path
    return head + name[: counter.start()] + _spec(counter) + name[counter.end() :]


def bracketed(path):
    """A sequence as Resolve writes it: the pattern, the first number and the last. None for any other path."""
    head, name = _split(path)
    found = _BRACKETS.search(name)
    if not found or os.path.isfile(path):
        return None
    digits = "%0{}d".format(len(found.group(1)))
    pattern = head + name[: found.start()] + digits + name[found.end() :]
    return pattern, int(found.group(1)), int(found.group(2))


def present(pattern):
    """The numbers of a sequence's files that are there, sorted; whole ones only, since others are called otherwise."""
    folder, name = os.path.split(pattern)
    counter = _counter(name)
    if counter is None:
        return []
    before, after = re.escape(name[: counter.start()]), re.escape(name[counter.end() :])
    number = re.compile("{}(-?[0-9]+){}".format(before, after))
    try:
        found = [number.fullmatch(each) for each in os.listdir(folder or os.curdir)]
    except OSError:
        return []
    numbers = {int(each.group(1)) for each in found if each}
    there = set(each.string for each in found if each)
    return sorted(each for each in numbers if os.path.basename(file_of(pattern, each)) in there)


def forward(path):
    """A path as Nuke writes it on every system: with slashes that lean forward."""
    return path.replace("\\", "/")


def safe_name(text, otherwise="clip"):
    """A name that every disk takes, made of what a person called something."""
    return _NOT_IN_NAMES.sub("_", text).strip("._") or otherwise


def _split(path):
    """What is before a file's name, with its last slash, and the name: put together again they lean as they did."""
    name = os.path.basename(path)
    return path[: len(path) - len(name)], name


def _counter(name):
    """The last counter in a name."""
    found = list(_COUNTER.finditer(name))
    return found[-1] if found else None


def _spec(counter):
    text = counter.group()
    return text if text[0] == "%" else "%0{}d".format(len(text))
