"""Versions of results by path: v001, v002, ..."""

import os
import re


def next_version_folder(folder):
    """The first version in a folder that nothing has used: its path and its name. Nothing is made yet."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    used = [int(found.group(1)) for found in (re.match(r"v(\d+)$", name) for name in names) if found]
    name = "v{:03d}".format(max(used or [0]) + 1)
    return os.path.join(folder, name), name
