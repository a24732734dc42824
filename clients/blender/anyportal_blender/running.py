"""Calls on their way in Blender with a window: a timer goes on with them and shows how far they are."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from typing import Any

import bpy

from . import call as calls
from .call import Call
from .kit import hostkit

_EVERY = 0.25  # seconds
_now: list[Call] = []
last: dict[str, str] = {}
"""What was told last: `level` (INFO, WARNING or ERROR) and `text`. The panel shows it."""


def now() -> list[Call]:
    """The calls on their way."""
    return list(_now)


def start(call: Call) -> None:
    """Have a call gone on with."""
    last.clear()
    _now.append(call)
    if len(_now) == 1:
        _manager().progress_begin(0, 100)
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=0.0)


def stop() -> None:
    """Cancel everything: the add-on goes, or another file is opened."""
    for call in _now:
        call.cancel()  # all of them, before any is waited for
    for call in now():
        call.leave()
    _now.clear()
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    _show()


def tick() -> float | None:
    """Go on with every call; what the timer calls. Gives the seconds until the next time, None where there is none."""
    # Timers are called without a window, and operators want one.
    with bpy.context.temp_override(window=_manager().windows[0]):
        for call in now():
            if call.step():
                _now.remove(call)
                tell(call)
        _show()
    return _EVERY if _now else None


def tell(call: Call) -> None:
    """Finish a call, and say how it went."""
    try:
        strip = call.finish()
    except hostkit.Cancelled:
        say("INFO", f"{call.shot.title}: cancelled")
    except Exception as error:
        if not calls.is_expected(error):
            traceback.print_exc()
        say("ERROR", f"{call.shot.title}: {calls.text_of(error)}")
    else:
        level = "WARNING" if call.notes else "INFO"
        say(level, "\n".join([f"{strip.name} is there", *call.notes]))


def say(level: str, text: str) -> None:
    """Report something: in the panel, and where there is a window as Blender reports."""
    last.update(level=level, text=text)
    if bpy.app.background:
        print(f"AnyPortal: {text}", flush=True)
        return
    own: Any = bpy.ops
    with contextlib.suppress(RuntimeError):
        own.anyportal.report("INVOKE_DEFAULT", level=level, text=text)


def _show() -> None:
    """Status text, progress at the pointer, and panels drawn anew."""
    manager = _manager()
    text = "; ".join(f"AnyPortal {call.shot.title}: {call.phase} {call.fraction:.0%}" for call in _now)
    if _now:
        manager.progress_update(100 * sum(call.fraction for call in _now) / len(_now))
    else:
        manager.progress_end()
    for window in manager.windows:
        window.workspace.status_text_set(text or None)
    redraw()


def redraw() -> None:
    """Have the panels drawn anew."""
    for window in _manager().windows:
        for area in window.screen.areas:
            if area.type in ("SEQUENCE_EDITOR", "PREFERENCES"):
                area.tag_redraw()


def _manager() -> Any:
    return bpy.context.window_manager


def in_thread(work: Callable[[], Any], then: Callable[[Any], None]) -> None:
    """Do something that waits, such as the doctor's questions, and then something in the main thread."""
    import threading

    answer: list[Any] = []
    thread = threading.Thread(target=lambda: answer.append(work()), daemon=True)
    thread.start()

    def wait() -> float | None:
        if thread.is_alive():
            return _EVERY
        if answer:
            then(answer[0])
        return None

    bpy.app.timers.register(wait)
