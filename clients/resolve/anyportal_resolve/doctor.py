"""What is missing for AnyPortal to work in this Resolve, and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Tuple

import anyportal_hostkit as hostkit

from anyportal_resolve.baking import PRESETS, preset_names
from anyportal_resolve.connection import can, desk, editions_note, version_of
from anyportal_resolve.refusal import Refused

if TYPE_CHECKING:
    from anyportal_resolve.host import Resolve

Check = Tuple[str, str, str, str]
"""Name, status (ok, warning, broken), message, hint."""
_SOURCE_FRAMES = "19.0.2"


def doctor(resolve: Resolve, command: Optional[List[str]] = None, daemon: str = "") -> str:
    """Everything looked at, in Resolve and outside, as text for the console.

    Args:
        command: the command as a list, instead of the one that is found.
        daemon: the one to look at, instead of the configured one.
    """
    found = hostkit.doctor.checks(checks(resolve), command, daemon)
    return str(hostkit.doctor.text_of(found))


def checks(resolve: Resolve) -> List[Check]:
    """What this Resolve lets one do."""
    name = "{} {}".format(resolve.GetProductName(), resolve.GetVersionString())
    note = editions_note(resolve)
    found: List[Check] = [("resolve", "warning" if note else "ok", name, note)]
    if version_of(resolve) < (18, 5):
        hint = "AnyPortal is written for 18.5 and later"
        found.append(("version", "warning", "speed ramps and transitions are not seen", hint))
    try:
        at = desk(resolve)
    except Refused as refused:
        return [*found, ("project", "broken", refused.message, refused.hint)]
    found.append(("project", "ok", "{}, {}".format(at.project.GetName(), at.timeline.GetName()), ""))
    if not any(preset in preset_names(at.project) for preset in PRESETS):
        hint = "save one called AnyPortal on the Deliver page, with picture, as a single clip"
        found.append(("rendering", "warning", "compound and multicam clips cannot be rendered: no render preset", hint))
    item = at.timeline.GetCurrentVideoItem()
    if item is not None and not can(item, "GetSourceStartFrame"):
        hint = "Resolve says source frames from {} on".format(_SOURCE_FRAMES)
        found.append(("source frames", "warning", "clips are taken for normal speed", hint))
    return found
