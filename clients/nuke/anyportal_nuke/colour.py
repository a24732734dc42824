"""Colour: what the script's colour management calls a space, and what the command `anyportal` calls it.

Nothing is guessed. A space that the command does not know is not sent under another's name: the plate is rendered in
the working space instead, or refused where the command does not know that either.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional

import nuke

Space = NamedTuple("Space", [("name", str), ("primaries", str), ("linear", bool)])
"""A colour space as `--colour-space` takes it."""

# The names in configurations (Nuke's own, ACES 1.0 to 1.3, the CG and Studio configs): their letters and digits.
_SPACES = (
    (Space("sRGB", "bt709", False), "srgb srgbtexture srgbencodedrec709srgb utilitysrgbtexture srgbtx srgbrec709scene"),
    (Space("Rec.709", "bt709", False), "rec709 camerarec709 utilityrec709camera"),
    (
        Space("Linear Rec.709", "bt709", True),
        "linear linearrec709 linearrec709srgb linrec709 linsrgb linrec709srgb linrec709scene utilitylinearsrgb "
        "utilitylinearrec709",
    ),
    (Space("Linear Rec.2020", "bt2020", True), "linearrec2020 linrec2020 linrec2020scene utilitylinearrec2020"),
    (Space("Linear P3-D65", "p3", True), "linearp3d65 linp3d65 linp3d65scene utilitylinearp3d65"),
    (Space("ACEScg", "ap1", True), "acescg acesacescg linap1 linap1scene"),
    (Space("ACES2065-1", "ap0", True), "aces20651 acesaces20651 linap0 linap0scene"),
    (Space("Display P3", "p3", False), "displayp3"),
    (Space("PQ Rec.2020", "bt2020", False), "pqrec2020"),
    (Space("HLG Rec.2020", "bt2020", False), "hlgrec2020"),
    (Space("Cineon", "bt709", False), "cineon"),
)
_BY_NAME = {word: space for space, words in _SPACES for word in words.split()}
_IN_BRACKETS = re.compile(r"^[\w ]+\((.+)\)$")  # default (sRGB), scene_linear (ACES - ACEScg)
_LOG_FILES = (".cin", ".dpx")
_FLOAT_FILES = (".exr", ".hdr", ".sxr")


def aliases(entry: str) -> List[str]:
    """The names in an entry of a colour knob: joined by tabs or commas, with families in front and roles around."""
    found: List[str] = []
    for part in re.split(r"[\t,]", entry):
        part = part.strip()
        inside = _IN_BRACKETS.match(part)
        if inside and _normal(part) not in _BY_NAME:  # but "Linear Rec.709 (sRGB)" is a name
            part = inside.group(1).strip()
        for name in (part, part.rpartition("/")[2]):
            if name and name not in found:
                found.append(name)
    return found


def known(name: str, knob: Optional[Any] = None) -> Optional[Space]:
    """The command's space of a name, or of another alias of it in a knob's list; None where it knows none."""
    entries = [name]
    if knob is not None:
        entries += [entry for entry in _list(knob) if set(aliases(name)) & set(aliases(entry))]
    for entry in entries:
        for alias in aliases(entry):
            space = _BY_NAME.get(_normal(alias))
            if space:
                return space
    return None


def named(text: str) -> Space:
    """A space that a person states: one that the table knows, or under its own name, for the command to judge."""
    return known(text) or Space(text, "", True)


def linear_entry(space: Space, knob: Any) -> str:
    """The entry of a knob's list that is a space's linear light, under its first alias; empty where there is none."""
    for entry in _list(knob):
        found = known(entry)
        if found and found.linear and found.primaries == space.primaries:
            return aliases(entry)[0]
    return ""


def of_read(read: nuke.Node) -> str:
    """What a Read's file is said to be in; the working space where its values are taken as they are."""
    if _value(read, "raw"):
        return working()
    name = str(read["colorspace"].value())
    if name.strip().lower() == "default":
        return _default(read)
    return name


def working() -> str:
    """The name of the working space."""
    return str(_value(nuke.root(), "workingSpaceLUT") or "linear")


def known_working() -> Optional[Space]:
    """The working space as the command knows it."""
    return known(working(), nuke.root().knob("workingSpaceLUT"))


def identity() -> Dict[str, str]:
    """Which colour management the script's names belong to. The environment goes before the script's own choice."""
    root = nuke.root()
    if str(_value(root, "colorManagement") or "Nuke") != "OCIO":
        return {"management": "Nuke", "config": "nuke-default", "working_space": working()}
    stock = str(_value(root, "OCIO_config") or "")
    config = os.environ.get("OCIO", "")
    if not config:
        config = str(_value(root, "customOCIOConfigPath") or "") if stock == "custom" else stock
    return {"management": "OCIO", "config": config, "working_space": working()}


def names() -> str:
    """What the command knows, for messages."""
    return ", ".join(space.name for space, _ in _SPACES)


def _default(read: nuke.Node) -> str:
    """What `default` stands for: the project's choice for such files."""
    ending = os.path.splitext(nuke.filename(read) or "")[1].lower()
    bits = str(read.metadata("input/bitsperchannel") or "")
    if ending in _FLOAT_FILES or "float" in bits:
        knob = "floatLut"
    elif ending in _LOG_FILES:
        knob = "logLut"
    else:
        knob = "int16Lut" if bits.startswith("16") else "int8Lut"
    return str(_value(nuke.root(), knob) or "")


def _list(knob: Any) -> List[str]:
    try:
        return list(nuke.getColorspaceList(knob) or [])
    except Exception:  # a knob without such a list: ColorspaceLookupError, or whatever a version raises
        return []


def _value(node: nuke.Node, name: str) -> Any:
    knob = node.knob(name)
    return knob.value() if knob is not None else None


def _normal(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
