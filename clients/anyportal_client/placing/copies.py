"""Copies of scripts: known by a file in them that lists what was copied, so that nothing else is ever taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyportal_client.placing.hands import Hands
from anyportal_client.placing.placed import in_the_way
from anyportal_client.placing.scripts import command, digest, files_of
from anyportal_client.version import __version__

_MARK = "anyportal_copy.json"
_INSTALLED = "anyportal_hostkit/installed.json"


@dataclass(frozen=True)
class Copy:
    """A folder of copied scripts.

    Args:
        root: the folder.
        parts: where in it each folder of scripts is to lie.
        kit: where in it the kit is to lie, which is told of the command.
    """

    root: Path
    parts: Mapping[str, Path]
    kit: str = "hostkit"

    @property
    def there(self) -> bool:
        """Whether there is a copy of ours."""
        return bool(self._mark())

    @property
    def version(self) -> str:
        """Of the copy."""
        return str(self._mark().get("version", ""))

    @property
    def outdated(self) -> bool:
        """Whether the copy is not what would be copied now."""
        return bool(self._mark().get("files") != {name: digest(path) for name, path in files_of(self.parts)})

    def make(self, hands: Hands) -> None:
        """Make it, or bring it up to date. Files that were not copied stay.

        Raises:
            UsageError: something else lies there.
            StorageError: it cannot be written.
        """
        if self.root.is_symlink() or (self.root.exists() and not self.there):
            raise in_the_way(self.root)
        old = self._names()
        new = dict(files_of(self.parts))
        # First, with all old and new names: what is broken off half way is known as ours, too.
        self._write_mark(hands, {name: "" for name in {*old, *new}})
        for name, path in new.items():
            hands.write(self.root / name, path.read_bytes(), told=False)
        hands.write(self.root / self.kit / _INSTALLED, json.dumps({"command": command()}).encode(), told=False)
        self._remove(hands, old - set(new))
        hands.steps.append(f"copy {len(new)} files to {self.root}")
        self._write_mark(hands, {name: digest(path) for name, path in new.items()})

    def remove(self, hands: Hands) -> None:
        """Take away what was copied."""
        if self.there:
            names = self._names() | {f"{self.kit}/{_INSTALLED}", _MARK}
            self._remove(hands, names)
            hands.steps.append(f"remove the copy {self.root}")

    def _remove(self, hands: Hands, names: set[str]) -> None:
        for name in sorted(names):
            hands.remove(self.root / name, told=False)
        outer = set(self.root.parents)
        inner = {folder for name in names for folder in (self.root / name).parents if folder not in outer}
        hands.remove_emptied(inner)

    def _write_mark(self, hands: Hands, files: dict[str, str]) -> None:
        mark = {"schema": 1, "version": __version__, "files": files}
        hands.write(self.root / _MARK, json.dumps(mark, indent=1, sort_keys=True).encode(), told=False)

    def _names(self) -> set[str]:
        """Names of what was copied; none that lead out of the folder."""
        names = self._mark().get("files", {})
        return {name for name in names if ".." not in Path(name).parts and not Path(name).is_absolute()}

    def _mark(self) -> dict[str, Any]:
        try:
            found = json.loads((self.root / _MARK).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else {}
