"""Resolve: one script in its folder of scripts. It finds the rest by the link's end, or by where copies are put."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anyportal_client.placing.copies import Copy
from anyportal_client.placing.hands import Hands
from anyportal_client.placing.placed import UNLINKED, Placed, in_the_way, judged, no_host
from anyportal_client.placing.scripts import KIT, digest, version_beside

_NAME = "DaVinci Resolve"
_SCRIPT = "AnyPortal.py"


@dataclass(frozen=True)
class Resolve:
    """A folder of scripts that Resolve lists in its menu.

    Args:
        folder: the folder `Fusion/Scripts/Utility`, which may be missing yet.
        sign: a folder that is there where Resolve is.
        scripts: what there is to install.
        whom: for whom it is installed there.
    """

    folder: Path
    sign: Path
    scripts: Path
    whom: str = ""
    host: str = "resolve"

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{_NAME}, {self.whom}" if self.whom else _NAME

    def look(self) -> Placed:
        """What lies there."""
        place, copy = self.folder / _SCRIPT, self._copy()
        if not self.sign.is_dir():
            return Placed("resolve", self.name, self.folder, "no_host")
        if place.is_symlink():
            version = version_beside(place.resolve().parent) if place.exists() else ""
            return judged(Placed("resolve", self.name, place, "linked" if version else "broken", version))
        if not place.exists():
            return Placed("resolve", self.name, place, "absent")
        if not copy.there:
            return Placed("resolve", self.name, place, "foreign")
        outdated = copy.outdated or digest(place) != digest(self.scripts / "resolve" / _SCRIPT)
        return judged(Placed("resolve", self.name, place, "copied", copy.version, outdated))

    def install(self, hands: Hands, copy: bool) -> str:
        """Link the script, or copy it and the rest."""
        if not self.sign.is_dir():
            raise no_host("resolve", _NAME, [self.sign])
        place, source = self.folder / _SCRIPT, self.scripts / "resolve" / _SCRIPT
        if self.look().state == "foreign":
            raise in_the_way(place)
        after = "in Resolve: Workspace > Scripts > AnyPortal"
        if not copy and hands.link(place, source):
            self._copy().remove(hands)
            return after
        self._copy().make(hands)
        if place.is_symlink():
            hands.remove(place)
        hands.write(place, source.read_bytes())
        return after if copy else after + UNLINKED

    def uninstall(self, hands: Hands) -> None:
        """Take the script and a copy away."""
        place = self.folder / _SCRIPT
        if self.look().state in ("linked", "copied", "broken"):
            hands.remove(place)
        self._copy().remove(hands)

    def _copy(self) -> Copy:
        """Not among the scripts: Resolve would list each of its files in the menu."""
        above = self.folder.parent.parent if self.folder.parent.name == "Scripts" else self.folder.parent
        parts = {"resolve": self.scripts / "resolve", KIT: self.scripts / KIT}
        return Copy(above / "AnyPortal", parts)
