"""Whether the scripts and the command fit: they may come from different versions."""

import subprocess
import sys

from anyportal_hostkit.command import clean_environment, find_command
from anyportal_hostkit.version import VERSION

SCHEMA = 1
"""The language of events that these scripts read (docs/events.md)."""
NO_WINDOW = 0x08000000 if sys.platform == "win32" else 0
_SECONDS = 60


def command_version(command=None):
    """The version of the command; empty where it does not say.

    Raises:
        CommandNotFound: there is none.
    """
    try:
        said = subprocess.check_output(
            [*(command or find_command()), "--version"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
            timeout=_SECONDS,
            creationflags=NO_WINDOW,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    words = said.decode("utf-8", "replace").split()
    return words[1] if len(words) == 2 and words[0] == "anyportal" else ""


def misfit(version):
    """What to do where the command is of another version than these scripts; empty where it is not."""
    if version == VERSION:
        return ""
    return "The command is version {}, these scripts are {}: {}".format(version or "unknown", VERSION, REMEDY)


def schema_misfit(schema):
    """Why a line of another schema is not read, and what to do."""
    known = isinstance(schema, int)
    age = "newer" if known and schema > SCHEMA else "older"
    message = "The installed command speaks schema {}, these scripts know {}: it is {}.".format(schema, SCHEMA, age)
    return message, REMEDY[0].upper() + REMEDY[1:]


REMEDY = (
    "install both from the same version (pip install --upgrade anyportal, then anyportal hosts install for this host) "
    "and start the host again."
)
