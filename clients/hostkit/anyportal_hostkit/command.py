"""Find the command `anyportal` and the environment it runs in."""

import json
import os
import shutil
import sys

# A host sets these for its own interpreter and libraries; another Python dies of them, or loads what is not its own.
_OF_THE_HOST = (
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LD_AUDIT",
    "__PYVENV_LAUNCHER__",
    "QML2_IMPORT_PATH",
    "QML_IMPORT_PATH",
)
_BEGINNINGS = ("PYTHON", "DYLD_", "QT_", "TCL_", "TK_")
_KEPT = "ANYPORTAL_KEEP_ENV"
INSTALLED = "installed.json"
"""Beside this file in a copy that `anyportal hosts install` made: where it came from."""


class CommandNotFound(Exception):
    """There is no command `anyportal`, or it does not start."""


def find_command():
    """The command as a list.

    $ANYPORTAL_COMMAND, else that of the installation this file belongs to or was copied from, else the one on the path,
    else the one where users' own programs are kept (a host started from a desktop has not their path).

    Raises:
        CommandNotFound: with what to do.
    """
    chosen = os.environ.get("ANYPORTAL_COMMAND")
    if chosen:
        chosen = os.path.expanduser(chosen)
        if not os.path.isfile(chosen):
            raise CommandNotFound("ANYPORTAL_COMMAND names {}, which is not there".format(chosen))
        return [chosen]
    name = "anyportal.exe" if sys.platform == "win32" else "anyportal"
    here = os.path.dirname(os.path.abspath(__file__))
    places = [_noted(here)] + [os.path.join(folder, name) for folder in _environments(here)]
    places += [shutil.which("anyportal")] + [os.path.join(folder, name) for folder in _of_users()]
    for place in places:
        if place and os.path.isfile(place):
            return [place]
    raise CommandNotFound(
        "The command 'anyportal' was not found. Install it (pip install anyportal) and, where the host does not "
        "see it on its path, set ANYPORTAL_COMMAND to its full path."
    )


def clean_environment(environment=None, without=()):
    """A copy of the environment without what the host set for itself.

    What is about colour (OCIO) and the network stays: the command is to see what the artist sees. A studio whose
    `anyportal` needs a variable that is taken away names it in $ANYPORTAL_KEEP_ENV, with commas between names.

    Args:
        without: further names to leave out, such as OCIO.
    """
    given = dict(os.environ if environment is None else environment)
    wanted = {name.strip() for name in given.get(_KEPT, "").split(",")}
    kept = {name: value for name, value in given.items() if name in wanted or not _is_of_the_host(name)}
    for name in without:
        kept.pop(name, None)
    kept["PYTHONIOENCODING"] = "utf-8"  # JSON lines are UTF-8, on Windows too
    return kept


def _is_of_the_host(name):
    # Windows does not tell letters of names apart by their case.
    return name.upper() in _OF_THE_HOST or name.upper().startswith(_BEGINNINGS)


def _noted(here):
    """What `anyportal hosts install` wrote beside a copy of this file."""
    try:
        with open(os.path.join(here, INSTALLED), encoding="utf-8") as file:
            return str(json.load(file).get("command") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _environments(here):
    """The environment that this file is part of; in a checkout the one that `make` sets up."""
    inner = "Scripts" if sys.platform == "win32" else "bin"
    folder = os.path.dirname(os.path.realpath(here))
    while True:
        for mark in ("pyvenv.cfg", "conda-meta"):
            if os.path.exists(os.path.join(folder, mark)):
                yield os.path.join(folder, inner)
        if os.path.isfile(os.path.join(folder, "pyproject.toml")):
            yield os.path.join(folder, ".venv", inner)
        if os.path.dirname(folder) == folder:
            return
        folder = os.path.dirname(folder)


def _of_users():
    """Where pip, pipx, uv and Homebrew put commands."""
    yield os.path.join(os.path.expanduser("~"), ".local", "bin")
    if sys.platform == "win32":
        python = os.path.join(os.environ.get("APPDATA", ""), "Python")
        for folder in sorted(os.listdir(python), reverse=True) if os.path.isdir(python) else ():
            yield os.path.join(python, folder, "Scripts")
    else:
        yield "/usr/local/bin"
        yield "/opt/homebrew/bin"
