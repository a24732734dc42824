"""The window: a page in the browser, served by the command `anyportal window`."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

import anyportal_hostkit as hostkit

from anyportal_resolve.clips import Clip, timecode
from anyportal_resolve.results import frames_text, lost_version, pictures_of, shot_folder


class Page(hostkit.Run):
    """The window's process: what is to be seen goes in, what is wished comes out of `poll` as events `wish`.

    Args:
        show: open it in the browser.
    """

    def __init__(self, show: bool = True, command: Optional[List[str]] = None) -> None:
        arguments = ["window", "--for=resolve", "--open" if show else "--no-open"]
        super().__init__(arguments, command, ("window_closed",))

    def say(self, **what: Any) -> None:
        """Write a line: `state`, `change` or `clip`. A window that is gone hears nothing."""
        try:
            self._process.stdin.write(json.dumps(what).encode("utf-8") + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            pass

    def close(self) -> None:
        """Close the window, and wait until it is."""
        self.say(close=True)
        while self.running:
            self.poll(0.1)


def as_seen(clip: Clip, handles: int, placement: str, folder: str) -> Dict[str, Any]:
    """A clip as the page shows it.

    Args:
        folder: where results go.
    """
    frames, beyond = frames_text(clip, handles, placement)
    place = clip.place
    where = "V{} · {} – {}".format(place.track, timecode(place.start, clip.rate), timecode(place.end, clip.rate))
    facts = where if clip.refused else " · ".join([where, "{} frames".format(clip.duration), frames, beyond])
    if clip.bake_for(placement) and not clip.refused:
        facts = " · ".join([where, frames, beyond])
    return {
        **pictures_of(clip),
        "id": clip.id,
        "name": clip.name,
        "state": "ready",
        "refused": clip.refused,
        "hint": clip.hint,
        "facts": facts,
        "notes": _notes(clip, placement, folder),
    }


def _notes(clip: Clip, placement: str, folder: str) -> List[str]:
    notes = list(clip.notes)
    why = clip.bake_for(placement)
    if why and not clip.refused:
        notes.append("Resolve renders it first, since {}".format(why))
    if not clip.refused and clip.placed_as(placement) != placement:
        notes.append("the result goes on a track above: as a take its speed would change once more")
    if not clip.refused and lost_version(shot_folder(folder, clip)):
        notes.append("a session ended before its result came: the next run brings that one in")
    if clip.version:
        notes.append("has {}: another run adds a take".format(clip.version))
    return notes
