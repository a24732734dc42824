"""What a result knows of itself: knobs on a tab of its node, and buttons for what can be done with it."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Tuple

import nuke

TAB = "anyportal_tab"
STATUS = "anyportal_status"
_ASKED = "anyportal_asked"
_PLACE = "anyportal_place"
_UNSEEN = ((_ASKED, "Asked for"), (_PLACE, "Placed"))
_TEXTS = (
    (STATUS, "Status"),
    ("anyportal_backdrop", "Backdrop"),
    ("anyportal_preset", "Preset"),
    ("anyportal_seed", "Seed"),
    ("anyportal_digest", "Recipe digest"),
    ("anyportal_job", "Job"),
    ("anyportal_version", "Version"),
    ("anyportal_frames", "Frames"),
    ("anyportal_plate", "Plate"),
    ("anyportal_sent", "Sent"),
    ("anyportal_colour", "Colour"),
)
_BUTTONS = (
    ("rerun", "Rerun"),
    ("compare", "Compare with previous"),
    ("show_job", "Show job"),
    ("doctor", "Doctor"),
    ("cancel", "Cancel"),
)


def add(node: nuke.Node) -> None:
    """Put the tab on a node."""
    node.addKnob(nuke.Tab_Knob(TAB, "AnyPortal"))
    for name, label in _TEXTS:
        knob = nuke.String_Knob(name, label)
        knob.setEnabled(False)  # to be read and copied, not to be changed
        node.addKnob(knob)
    for name, label in _UNSEEN:
        _add_unseen(node, name, label)
    for name, label in _BUTTONS:
        command = "import anyportal_nuke\nanyportal_nuke.{}(nuke.thisNode())".format(name)
        node.addKnob(nuke.PyScript_Knob("anyportal_" + name, label, command))


def names() -> Tuple[str, ...]:
    """The knobs that say something."""
    return tuple(name for name, _ in _TEXTS + _UNSEEN)


def has(node: nuke.Node) -> bool:
    """Whether a node is a result of ours."""
    return node.knob(STATUS) is not None


def write(node: nuke.Node, **values: Any) -> None:
    """Set knobs by the ends of their names: `job="jobs/7"`."""
    for name, value in values.items():
        node["anyportal_" + name].setValue(str(value))


def read(node: nuke.Node, name: str) -> str:
    """A knob by the end of its name."""
    return str(node["anyportal_" + name].value())


def write_asked(node: nuke.Node, asked: Dict[str, Any]) -> None:
    """Keep what was asked for, so that a rerun can ask for it again."""
    node[_ASKED].setValue(json.dumps(asked, sort_keys=True))


def read_asked(node: nuke.Node) -> Dict[str, Any]:
    """What was asked for; nothing where somebody emptied it."""
    return _read_table(node, _ASKED)


def write_place(node: nuke.Node, place: Dict[str, Any]) -> None:
    """Keep what the result's nodes are for: `again.place_of`."""
    if node.knob(_PLACE) is None:  # in a script that was saved before results had it
        _add_unseen(node, *_UNSEEN[1])
    node[_PLACE].setValue(json.dumps(place, sort_keys=True))


def read_place(node: nuke.Node) -> Dict[str, Any]:
    """What the result's nodes are for; nothing where nobody has said it."""
    return _read_table(node, _PLACE) if node.knob(_PLACE) is not None else {}


def folder(node: nuke.Node) -> str:
    """The folder of the version that a node shows."""
    return os.path.dirname(str(node["file"].value()))


def _add_unseen(node: nuke.Node, name: str, label: str) -> None:
    knob = nuke.String_Knob(name, label)
    knob.setFlag(nuke.INVISIBLE)
    node.addKnob(knob)


def _read_table(node: nuke.Node, name: str) -> Dict[str, Any]:
    try:
        found = json.loads(str(node[name].value()))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
