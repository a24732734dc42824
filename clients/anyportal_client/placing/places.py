"""Where the hosts of this machine look for scripts. The one table of folders, by system."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anyportal_client.placing.blender import Blender
from anyportal_client.placing.nuke import Nuke
from anyportal_client.placing.placed import Place
from anyportal_client.placing.resolve import Resolve

_BRAND = Path("Blackmagic Design") / "DaVinci Resolve"
_UTILITY = Path("Fusion") / "Scripts" / "Utility"
_ADDONS = Path("scripts") / "addons"
_SUPPORT = Path("Library") / "Application Support"
_OLDEST_BLENDER = (4, 2)
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class System:
    """The machine, as far as folders go."""

    platform: str = sys.platform
    home: Path = field(default_factory=Path.home)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def folder(self, name: str, otherwise: Path) -> Path:
        """A folder that a variable names."""
        return Path(self.environment.get(name) or otherwise)


def places(system: System, scripts: Path, all_users: bool = False) -> Iterator[Place]:
    """The places of all hosts.

    Args:
        all_users: Resolve's place for everybody instead of that of the user.
    """
    yield Nuke(_nuke(system), scripts)
    yield from _resolve(system, scripts, all_users)
    yield from _blender(system, scripts)


def place_at(host: str, folder: Path, scripts: Path) -> Place:
    """The place that a user names."""
    if host == "nuke":
        return Nuke(folder, scripts, named=True)
    if host == "resolve":
        return Resolve(folder, folder, scripts)
    return Blender(folder, folder, scripts)


def _nuke(system: System) -> Path:
    """Nuke takes HOME where it is set, on Windows too."""
    return system.folder("HOME", system.home) / ".nuke"


def _resolve(system: System, scripts: Path, all_users: bool) -> Iterator[Place]:
    if system.platform == "win32":
        everybody = system.folder("PROGRAMDATA", Path("C:/ProgramData")) / _BRAND
        own = system.folder("APPDATA", system.home / "AppData" / "Roaming") / _BRAND / "Support"
    elif system.platform == "darwin":
        everybody, own = Path("/") / _SUPPORT / _BRAND, system.home / _SUPPORT / _BRAND
    else:
        everybody, own = Path("/opt/resolve"), system.home / ".local" / "share" / "DaVinciResolve"
    root, whom = (everybody, "all users") if all_users else (own, "")
    yield Resolve(root / _UTILITY, root, scripts, whom)


def _blender(system: System, scripts: Path) -> Iterator[Place]:
    if system.platform == "win32":
        root = system.folder("APPDATA", system.home / "AppData" / "Roaming") / "Blender Foundation" / "Blender"
    elif system.platform == "darwin":
        root = system.home / _SUPPORT / "Blender"
    else:
        root = system.folder("XDG_CONFIG_HOME", system.home / ".config") / "blender"
    found = [(path, _VERSION.fullmatch(path.name)) for path in root.glob("*.*") if path.is_dir()]
    versions = sorted((int(match[1]), int(match[2]), path) for path, match in found if match)
    usable = [(f"{major}.{minor}", path) for major, minor, path in versions if (major, minor) >= _OLDEST_BLENDER]
    for name, path in usable:
        yield Blender(path / _ADDONS, path, scripts, name)
    if not usable:
        yield Blender(root / "X.Y" / _ADDONS, root / "X.Y", scripts, "4.2 or later")
