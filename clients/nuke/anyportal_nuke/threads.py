"""The main thread and the way into it: nodes are touched there alone."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict

import nuke


def is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def in_main(function: Callable[..., Any], *args: Any) -> Any:
    """Run something in the main thread, wait, and give what it gives; what it raises is raised here.

    Called from the main thread it is a plain call: `executeInMainThreadWithResult` would hang Nuke there. Without a
    window there is no loop that could run anything for another thread, so that is a plain call, too.
    """
    if is_main() or not nuke.GUI:
        return function(*args)
    outcome: Dict[str, Any] = {}

    def call() -> None:
        try:
            outcome["value"] = function(*args)
        except BaseException as error:  # Nuke would swallow it and give None
            outcome["error"] = error

    nuke.executeInMainThreadWithResult(call)
    error = outcome.pop("error", None)
    if error is not None:
        try:
            raise error
        finally:
            del error  # an exception that is kept here keeps everything alive that was at work: progress bars, too
    if "value" not in outcome:
        raise RuntimeError("Nuke did not run a call in its main thread; is it closing?")
    return outcome["value"]


def later(function: Callable[..., Any], *args: Any) -> None:
    """Have the main thread run something when it can, without waiting; never with a panel, which would freeze it."""
    if is_main() or not nuke.GUI:
        function(*args)
    else:
        nuke.executeInMainThread(function, args=args)
