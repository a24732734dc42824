"""The daemons that the panel offers.

A panel shows what was known when it opened: they are looked for in the background when Nuke begins, and each time that
a panel opens, for the next.
"""

from __future__ import annotations

import re
from typing import Dict, Tuple

import anyportal_hostkit as hostkit

import nuke

_LABEL = "Daemon"
_WHY = 60  # letters of why that a label has room for; all of it is in the terminal
_found = hostkit.daemons.Search()


def look() -> None:
    """Look for them, without waiting; a failure is told where they are offered."""
    _found.begin()


def offered(chosen: str) -> Tuple[str, Dict[str, str]]:
    """The label of the choice, which says why others may be missing, and the items: what is shown, what is asked for.

    Args:
        chosen: what was asked for before; it is the first item.
    """
    if _found.poll() and _found.why:
        nuke.tprint("AnyPortal: looking for daemons: {}".format(_found.why))
    items: Dict[str, str] = {}
    for daemon, text in sorted(_found.choices(chosen), key=lambda choice: choice.daemon != chosen):
        shown = _plain(text)
        items[shown if shown not in items else "{} at {}".format(shown, _plain(daemon))] = daemon
    label = _label()
    look()
    return label, items


def _label() -> str:
    if _found.why:
        return "{} (others: {})".format(_LABEL, _found.why[:_WHY])
    if _found.running:
        return "{} (others are being looked for)".format(_LABEL)
    return _LABEL


def _plain(text: str) -> str:
    """Without what a pulldown would read as more than letters: others say these texts about themselves."""
    return re.sub(r"[^\w .,:()/+-]", "_", text)
