"""Find the command `anyportal` and the environment it runs in."""

import os
import shutil
import sys

# A host sets these for its own interpreter and libraries; another Python dies of them.
_OF_THE_HOST = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "QT_PLUGIN_PATH")


class CommandNotFound(Exception):
    """There is no command `anyportal`."""


def find_command():
    """The command as a list: $ANYPORTAL_COMMAND, else of the installation this file belongs to, else on the path.

    Raises:
        CommandNotFound: with what to do.
    """
    chosen = os.environ.get("ANYPORTAL_COMMAND")
    if chosen:
        if not os.path.isfile(chosen):
            raise CommandNotFound("ANYPORTAL_COMMAND names {}, which is not there".format(chosen))
        return [chosen]
    name = "anyportal.exe" if sys.platform == "win32" else "anyportal"
    for folder in _folders():
        if os.path.isfile(os.path.join(folder, name)):
            return [os.path.join(folder, name)]
    found = shutil.which("anyportal")
    if found:
        return [found]
    raise CommandNotFound(
        "The command 'anyportal' was not found. Install it (pip install anyportal) and, where the host does not "
        "see it on its path, set ANYPORTAL_COMMAND to its full path."
    )


def clean_environment(environment=None):
    """A copy of the environment without what the host set for itself."""
    kept = dict(os.environ if environment is None else environment)
    for name in _OF_THE_HOST:
        kept.pop(name, None)
    kept["PYTHONIOENCODING"] = "utf-8"  # JSON lines are UTF-8, on Windows too
    return kept


def _folders():
    """Where the command may lie: above this file, where it is part of an installation, and in the user's own place."""
    folder = os.path.dirname(os.path.abspath(__file__))
    while os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
        if os.path.isfile(os.path.join(folder, "pyvenv.cfg")):
            yield os.path.join(folder, "Scripts" if sys.platform == "win32" else "bin")
            break
    yield os.path.join(os.path.expanduser("~"), ".local", "bin")
