"""Versions of results by path: v001, v002, ..."""

import os
import re

_NAME = re.compile(r"v(\d+)")


def number_of(name):
    """The number of a version's name; None for what is none."""
    found = _NAME.fullmatch(name)
    return int(found.group(1)) if found else None


def names(folder):
    """The names of all versions in a folder, the newest first."""
    found = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted((name for name in found if number_of(name) is not None), key=number_of, reverse=True)


def next_version_folder(folder):
    """Take the first version after all that are there: its path and its name. The folder is made.

    Two hosts that ask at the same time get two versions: only one of them can make a folder.

    Raises:
        OSError: the folder cannot be made.
    """
    os.makedirs(folder, exist_ok=True)
    newest = names(folder)[:1]
    number = number_of(newest[0]) if newest else 0
    while True:
        number += 1
        name = "v{:03d}".format(number)
        path = os.path.join(folder, name)
        try:
            os.mkdir(path)
        except FileExistsError:
            continue
        return path, name


def free_version_folder(path):
    """Give a version back that nothing came of; gives whether it was empty, and so is gone."""
    try:
        os.rmdir(path)
    except OSError:
        return not os.path.lexists(path)
    return True
