"""The scripts that run inside the hosts, as files: those of this installation, and those found elsewhere."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from anyportal_client.errors import MissingExtraError
from anyportal_client.extras import DISTRIBUTION

HOSTS = ("nuke", "resolve", "blender")
KIT = "hostkit"
ADDON = "anyportal_blender"
_VERSION = Path("anyportal_hostkit") / "version.py"
_SAID = re.compile(r'^VERSION = "([^"]+)"', re.MULTILINE)


def find_scripts() -> Path:
    """The folder that holds hostkit/, nuke/, resolve/ and blender/: in the package, or beside it in a checkout.

    Raises:
        MissingExtraError: they are not there.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "hosts", package.parent):
        if all((folder / name).is_dir() for name in (KIT, *HOSTS)):
            return folder
    raise MissingExtraError(
        "the scripts for Nuke, Resolve and Blender are not there",
        where=str(package / "hosts"),
        hint=f"pip install --force-reinstall {DISTRIBUTION}",
    )


def version_beside(folder: Path) -> str:
    """The version of a host's scripts, which the kit beside or in their folder tells; empty where it does not."""
    for kit in (folder / KIT, folder.parent / KIT, folder.parent.parent / KIT):
        try:
            found = _SAID.search((kit / _VERSION).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if found:
            return found[1]
    return ""


def files_of(parts: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """The files of some folders, as (name where they are to lie, file); `parts` says where each folder is to lie."""
    for place, folder in parts.items():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".part"):
                yield (Path(place) / path.relative_to(folder)).as_posix(), path


def digest(path: Path) -> str:
    """What tells a file's content from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def command() -> str:
    """The full path of the command `anyportal` of this installation; empty where there is none."""
    name = "anyportal.exe" if sys.platform == "win32" else "anyportal"
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if (folder / name).is_file():
            return str(folder / name)
    return shutil.which("anyportal") or ""
