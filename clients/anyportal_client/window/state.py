"""What is to be seen: written by the script, read by the page."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Side = Literal["before", "after"]
SIDES: tuple[Side, ...] = ("before", "after")


@dataclass(frozen=True)
class Still:
    """A frame that shows a clip."""

    path: Path
    frame: int


class State:
    """The state, with a number that grows whenever it changes, so that a page can wait for the next.

    A state is a table; `clips` in it is a list of tables with an `id`. Where a clip names a picture under `before` or
    `after` (`{"path": ..., "frame": ...}`), the page is told that there is one and gets it by the clip's id: it never
    names a file itself.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._revision = 0
        self._table: dict[str, Any] = {}
        self._asked = time.monotonic()
        self._waiting = 0

    def replace(self, table: dict[str, Any]) -> None:
        """Another state altogether."""
        with self._changed:
            self._table = table
            self._grow()

    def merge_clip(self, change: dict[str, Any]) -> None:
        """Other values for one clip, named by its `id`; those that are not named stay."""
        with self._changed:
            for clip in self._clips():
                if clip.get("id") == change.get("id"):
                    clip.update(change)
            self._grow()

    def merge(self, change: dict[str, Any]) -> None:
        """Other values for the state itself; those that are not named stay."""
        with self._changed:
            self._table.update(change)
            self._grow()

    def wait(self, after: int, seconds: float) -> tuple[int, dict[str, Any]]:
        """The state and its number, as soon as that is greater than `after`, at the latest after some time."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._revision > after, seconds)
                return self._revision, self._seen()
            finally:
                self._waiting -= 1
                self._asked = time.monotonic()

    def still(self, clip_id: str, side: Side) -> Still | None:
        """The picture of a clip; None where the script named none."""
        with self._changed:
            named = next((clip.get(side) for clip in self._clips() if clip.get("id") == clip_id), None)
        if not isinstance(named, dict) or not named.get("path"):
            return None
        return Still(Path(str(named["path"])), int(named.get("frame") or 0))

    def choosable(self) -> set[str]:
        """Ids of the clips that can be processed."""
        with self._changed:
            return {str(clip.get("id")) for clip in self._clips() if not clip.get("refused")}

    def idle_seconds(self) -> float:
        """Since when no page has asked; 0 while one waits."""
        with self._changed:
            return 0.0 if self._waiting else time.monotonic() - self._asked

    def _clips(self) -> list[dict[str, Any]]:
        clips = self._table.get("clips")
        return [clip for clip in clips if isinstance(clip, dict)] if isinstance(clips, list) else []

    def _seen(self) -> dict[str, Any]:
        """What the page sees: whether there are pictures, by a text that changes with them, not where."""
        clips = [{**clip, **{side: _stamp(clip.get(side)) for side in SIDES}} for clip in self._clips()]
        return {**self._table, "clips": clips}

    def _grow(self) -> None:
        self._revision += 1
        self._changed.notify_all()


def _stamp(named: object) -> str:
    return f"{named.get('path')}@{named.get('frame')}" if isinstance(named, dict) and named.get("path") else ""
