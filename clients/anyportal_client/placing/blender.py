"""Blender: the add-on's folder among the user's add-ons, of each version that was started here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anyportal_client.placing.copies import Copy
from anyportal_client.placing.hands import Hands
from anyportal_client.placing.placed import UNLINKED, Placed, in_the_way, judged, no_host
from anyportal_client.placing.scripts import ADDON, KIT, version_beside


@dataclass(frozen=True)
class Blender:
    """A folder of add-ons.

    Args:
        folder: the folder `scripts/addons`, which may be missing yet.
        sign: a folder that is there where this Blender is.
        scripts: what there is to install.
        version: of Blender, such as 5.0; empty where the user named the folder.
    """

    folder: Path
    sign: Path
    scripts: Path
    version: str = ""
    host: str = "blender"

    @property
    def name(self) -> str:
        """What to call it."""
        return f"Blender {self.version}".rstrip()

    def look(self) -> Placed:
        """What lies there."""
        place, copy = self.folder / ADDON, self._copy()
        if not self.sign.is_dir():
            return Placed("blender", self.name, self.folder, "no_host")
        if place.is_symlink():
            version = version_beside(place.resolve()) if place.exists() else ""
            return judged(Placed("blender", self.name, place, "linked" if version else "broken", version))
        if copy.there:
            return judged(Placed("blender", self.name, place, "copied", copy.version, copy.outdated))
        return Placed("blender", self.name, place, "foreign" if place.exists() else "absent")

    def install(self, hands: Hands, copy: bool) -> str:
        """Link the folder, or copy it with the kit in it."""
        if not self.sign.is_dir():
            raise no_host("blender", "Blender", [self.sign])
        place, state = self.folder / ADDON, self.look().state
        if state == "foreign":
            raise in_the_way(place)
        after = f"in {self.name}: Edit > Preferences > Add-ons, switch AnyPortal on"
        if not copy and state == "copied":
            self._copy().remove(hands)
        if not copy and hands.link(place, self.scripts / "blender" / ADDON):
            return after
        if place.is_symlink():
            hands.remove(place)
        self._copy().make(hands)
        return after if copy else after + UNLINKED

    def uninstall(self, hands: Hands) -> None:
        """Take the link or the copy away."""
        if self.look().state in ("linked", "broken"):
            hands.remove(self.folder / ADDON)
        self._copy().remove(hands)

    def _copy(self) -> Copy:
        parts = {".": self.scripts / "blender" / ADDON, KIT: self.scripts / KIT}
        return Copy(self.folder / ADDON, parts)
