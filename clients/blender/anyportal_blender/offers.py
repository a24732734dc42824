"""The daemons that the panel and the preferences offer. They are looked for beside Blender, which waits for nothing."""

from __future__ import annotations

from typing import Any

import bpy

from . import preferences, running
from .kit import hostkit

_EVERY = 0.5  # seconds
_search = hostkit.daemons.Search()
_asked = False


def look() -> None:
    """Look for them, or look again."""
    global _asked
    _asked = True
    _search.begin(preferences.command())
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, persistent=True)  # whatever file is opened meanwhile


def look_once() -> None:
    """Look for them where nobody has yet: called whenever they are drawn."""
    if not _asked:
        look()


def stop() -> None:
    """The add-on goes."""
    _search.close()
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)


def tick() -> float | None:
    """Hear what was found; what the timer calls. Gives the seconds until the next time, None where there is none."""
    if _search.poll():
        running.redraw()
    return _EVERY if _search.running else None


def choices(chosen: str) -> list[Any]:
    """What can be chosen: each with `daemon`, as it stands behind `--daemon`, and `text`."""
    return list(_search.choices(chosen))


def note() -> str:
    """What there is to know of the list itself; empty most of the time."""
    if _search.running:
        return "Looking for other daemons"
    return f"Other daemons cannot be listed: {_search.why}" if _search.why else ""
