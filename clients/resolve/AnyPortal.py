"""AnyPortal in Resolve's menu Workspace > Scripts: opens the window that gives clips a new background.

Install (docs/hosts.md): `anyportal hosts install resolve`; or this folder's files and the folder hostkit/ in
Fusion/Scripts/Utility/AnyPortal; or a link to this file there; or a copy of it and ANYPORTAL_HOSTS set to the folder
that holds resolve/ and hostkit/.
"""

import os
import sys

_BRAND = os.path.join("Blackmagic Design", "DaVinci Resolve")
_MISSING = (
    "AnyPortal: its files were not found. Set ANYPORTAL_HOSTS to the folder that holds resolve/ and hostkit/ "
    "(the command 'anyportal doctor' names it) and start Resolve again, or copy them as docs/hosts.md says."
)


def _script_folders():
    """Where Resolve of this system looks for scripts: for all users, then for this one."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        parents = [os.path.join(os.environ.get(name, ""), _BRAND, "Support") for name in ("PROGRAMDATA", "APPDATA")]
        parents.insert(0, os.path.join(os.environ.get("PROGRAMDATA", ""), _BRAND))
    elif sys.platform == "darwin":
        parents = [os.path.join(start, "Library", "Application Support", _BRAND) for start in ("/", home)]
    else:
        parents = ["/opt/resolve", os.path.join(home, ".local", "share", "DaVinciResolve")]
    return [os.path.join(parent, "Fusion", "Scripts", "Utility") for parent in parents]


def _places():
    """Folders that may hold the other files, the likeliest first. Menu scripts may run without `__file__`."""
    if os.environ.get("ANYPORTAL_HOSTS"):
        yield os.path.join(os.environ["ANYPORTAL_HOSTS"], "resolve")
    files = [globals().get("__file__"), (getattr(sys, "argv", None) or [""])[0], _places.__code__.co_filename]
    for folder in _script_folders():
        files += [os.path.join(folder, "AnyPortal", "AnyPortal.py"), os.path.join(folder, "AnyPortal.py")]
    for file in files:
        if file and os.path.isfile(file):
            here = os.path.dirname(os.path.abspath(file))
            yield here
            yield os.path.dirname(os.path.realpath(file))  # where a link leads
            # Where `anyportal hosts install --copy` puts the rest: beside the scripts, whose every file the menu lists.
            for above in (os.path.dirname(here), os.path.dirname(os.path.dirname(here))):
                yield os.path.join(above, "AnyPortal", "resolve")


def _find_files():
    """Make the other files importable; False where they are nowhere."""
    for folder in _places():
        for hostkit in (os.path.join(folder, "hostkit"), os.path.join(os.path.dirname(folder), "hostkit")):
            if os.path.isdir(os.path.join(folder, "anyportal_resolve")) and os.path.isdir(hostkit):
                sys.path += [folder, hostkit]
                return True
    return False


if sys.version_info < (3, 7):
    print(
        "AnyPortal: it needs Python 3.7 or later, Resolve has found {}.{}: install one.".format(*sys.version_info[:2])
    )
elif not _find_files():
    print(_MISSING)
elif __name__ == "__main__":
    import anyportal_resolve

    anyportal_resolve.main(globals().get("resolve"), globals().get("app"))
