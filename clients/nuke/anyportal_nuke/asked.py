"""What a person asks for: one plain dict, whether a panel, a command line, a script or a rerun says it."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, Dict, List

import nuke
from anyportal_nuke.refused import Refused

LAYERS = "comp,foreground,background,matte,gain"
CONTEXT = 8
MISSING = ("error", "hold", "black")
COLOURS = ("photographed", "premultiplied", "straight")
DEFAULTS: Dict[str, Any] = {
    "backdrop": "",  # a picture, a clip, #rrggbb, or words
    "matte": "",  # found by the preset, or as matte.py reads it
    "mask": "",  # the foreground on one frame, a picture
    "mask_frame": "",  # of the script; else the number in the mask's name, else the first
    "colours": "",  # one of COLOURS: how the plate's colours stand to the matte
    "frames": "",  # all, or 1005,1009-1010
    "context": "",  # neighbours that a part of a shot is worked out with; else CONTEXT, and the whole shot in a rerun
    "missing": "",  # what stands in for files that are not there, one of MISSING; else as the Read says
    "preset": "draft",
    "subject": "",
    "seed": 0,
    "settings": {},
    "size": "full",  # or proxy
    "colour_space": "",  # stated by the person, instead of what the script says
    "colour_config": "",  # a path, a built-in one's name or `none`, instead of the script's
    "backdrop_colour_space": "",
    "layers": LAYERS,
    "compression": "",
    "folder": "",
    "view": "",
    "daemon": "",
    "priority": 0,
}
_PER_SHOT = ("frames", "mask", "mask_frame", "view")
_KNOB = "anyportal"


def complete(given: Dict[str, Any]) -> Dict[str, Any]:
    """With a default for what was not said.

    Raises:
        Refused: something that nobody can ask for, or a value of another kind.
    """
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise Refused("Nobody can ask for {}.".format(", ".join(unknown)), "Known: " + ", ".join(sorted(DEFAULTS)))
    asked = dict(DEFAULTS, **given)
    for name in ("context", "seed", "priority"):
        if name == "context" and str(asked[name]).strip() == "":
            asked[name] = ""
            continue
        try:
            asked[name] = int(asked[name])
        except (TypeError, ValueError):
            wrong = "'{}' is no whole number for {}.".format(asked[name], name)
            raise Refused(wrong, "Write one, such as 0.") from None
    if not re.fullmatch(r"\s*(-?\d+)?\s*", str(asked["mask_frame"])):
        raise Refused("'{}' is no frame of a mask.".format(asked["mask_frame"]), "Write its number, such as 1001.")
    if asked["context"] != "" and asked["context"] < 0:
        raise Refused("The context cannot be {} frames.".format(asked["context"]), "Write 0 or more.")
    if asked["size"] not in ("full", "proxy"):
        raise Refused("'{}' is no size.".format(asked["size"]), "Write full or proxy.")
    if asked["missing"] not in ("", *MISSING):
        raise Refused("'{}' says nothing about missing frames.".format(asked["missing"]), "Write " + ", ".join(MISSING))
    if not str(asked["backdrop"]).strip():
        raise Refused("There is no backdrop.", "Give a picture, a clip, a colour as #rrggbb, or words.")
    return asked


def read_settings(text: str) -> Dict[str, Any]:
    """Settings as people write them: `relight_strength=0.5 matte.plugin=draft.key`.

    Raises:
        Refused: a word that is no setting.
    """
    return dict(_setting(word) for word in _words(text))


def write_settings(settings: Dict[str, Any]) -> str:
    """Settings as a person reads and changes them."""
    return " ".join(
        "{}={}".format(name, shlex.quote(value if isinstance(value, str) else json.dumps(value)))
        for name, value in sorted(settings.items())
    )


def remembered() -> Dict[str, Any]:
    """What was asked for last in this script, without what belongs to one shot; defaults where it is the first."""
    knob = nuke.root().knob(_KNOB)
    try:
        kept = json.loads(str(knob.value())) if knob is not None else {}
    except ValueError:
        kept = {}
    asked = dict(DEFAULTS)
    asked.update((name, value) for name, value in kept.items() if name in DEFAULTS and name not in _PER_SHOT)
    return asked


def remember(asked: Dict[str, Any]) -> None:
    """Keep it with the script, on a knob of its root that nobody sees."""
    root = nuke.root()
    if root.knob(_KNOB) is None:
        knob = nuke.String_Knob(_KNOB, "AnyPortal")
        knob.setFlag(nuke.INVISIBLE)
        root.addKnob(knob)
    kept = {name: value for name, value in asked.items() if name not in _PER_SHOT}
    root[_KNOB].setValue(json.dumps(kept, sort_keys=True))


def _words(text: str) -> List[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        wrong = "The settings '{}' cannot be read: {}.".format(text, error)
        raise Refused(wrong, "Write name=value name=value.") from None


def _setting(word: str) -> Any:
    name, equals, text = word.partition("=")
    if not equals or not name:
        raise Refused("'{}' is no setting.".format(word), "Write name=value, such as relight_strength=0.5.")
    try:
        value = json.loads(text, object_pairs_hook=_table)
    except ValueError:
        value = text
    return name, value if isinstance(value, (bool, int, float, str, dict)) else text


def _table(pairs: Any) -> Dict[str, Any]:
    """A table as JSON has it, which would keep the last of two values alone."""
    table: Dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise Refused("A table has two values at '{}'.".format(key), "Give one.")
        table[key] = value
    return table
