"""Nuke: a block in the `init.py` of the user's folder, or of a folder that a studio keeps on NUKE_PATH."""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass
from pathlib import Path

from anyportal_client.errors import UsageError
from anyportal_client.placing import block
from anyportal_client.placing.copies import Copy
from anyportal_client.placing.hands import Hands
from anyportal_client.placing.placed import Placed, in_the_way, judged, no_host
from anyportal_client.placing.scripts import KIT, version_beside
from anyportal_client.storage import local_disk

_ADDED = re.compile(r"pluginAddPath\((.+)\)")
_COPY = "anyportal"


@dataclass(frozen=True)
class Nuke:
    """A folder in which Nuke reads `init.py`.

    Args:
        folder: the folder.
        scripts: what there is to install.
        named: whether the user named the folder; else it is Nuke's own.
    """

    folder: Path
    scripts: Path
    named: bool = False
    host: str = "nuke"

    def look(self) -> Placed:
        """What lies there."""
        place = self.folder / "init.py"
        if not self.folder.is_dir():
            return Placed("nuke", "Nuke", self.folder, "no_host")
        try:
            told = self._told()
        except UsageError as error:
            return Placed("nuke", "Nuke", place, "broken", hint=f"{error.message}: {error.hint}")
        if told is None:
            return self._by_path(place)
        target = self.folder / told  # a path from the root stays what it is
        version = version_beside(target)
        if not (target / "menu.py").is_file() or not version:
            return judged(Placed("nuke", "Nuke", place, "broken"))
        copy = self._copy()
        if target.resolve() == (copy.root / "nuke").resolve():
            return judged(Placed("nuke", "Nuke", place, "copied", copy.version, copy.outdated))
        return judged(Placed("nuke", "Nuke", place, "linked", version))

    def install(self, hands: Hands, copy: bool) -> str:
        """Add the block, or put it right. A folder that the user named is made where it is not there."""
        if self.named and self.folder.exists() and not self.folder.is_dir():
            raise in_the_way(self.folder)
        if not self.named and not self.folder.is_dir():
            raise no_host("nuke", "Nuke", [self.folder])
        if copy:
            self._copy().make(hands)
        target = f"./{_COPY}/nuke" if copy else str(self.scripts / "nuke")
        lines = ["import nuke", f"nuke.pluginAddPath({target!a})"]
        old = self._init()
        new = block.with_block(old, lines)
        if new != old:
            hands.write(self.folder / "init.py", new)
        if not copy:
            self._copy().remove(hands)
        here = "" if not self.named else f" with {self.folder} on NUKE_PATH"
        return f"start Nuke again{here}: menu Nuke > AnyPortal"

    def uninstall(self, hands: Hands) -> None:
        """Take the block out, and a copy away."""
        old = self._init()
        new = block.without_block(old) if old is not None else None
        if new is None and old is not None:
            hands.remove(self.folder / "init.py")
        elif new is not None and new != old:
            hands.write(self.folder / "init.py", new)
        self._copy().remove(hands)

    def _by_path(self, place: Path) -> Placed:
        """Without a block: the scripts may be named on NUKE_PATH, which is not ours to change."""
        for folder in filter(None, os.environ.get("NUKE_PATH", "").split(os.pathsep)):
            version = version_beside(Path(folder))
            if version and (Path(folder) / "menu.py").is_file():
                return judged(Placed("nuke", "Nuke, NUKE_PATH", Path(folder), "linked", version))
        return Placed("nuke", "Nuke", place, "absent")

    def _told(self) -> str | None:
        """The folder that the block adds; empty where it cannot be read, None where there is no block."""
        content = self._init()
        said = block.body(content) if content is not None else None
        if said is None:
            return None
        found = _ADDED.search(said)
        try:
            return str(ast.literal_eval(found[1])) if found else ""
        except (SyntaxError, ValueError):
            return ""

    def _init(self) -> bytes | None:
        place = self.folder / "init.py"
        if not place.exists():
            return None
        with local_disk(place):
            return place.read_bytes()

    def _copy(self) -> Copy:
        parts = {"nuke": self.scripts / "nuke", KIT: self.scripts / KIT}
        return Copy(self.folder / _COPY, parts)
