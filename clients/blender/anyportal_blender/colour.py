"""Colour spaces: how Blender's names are said to AnyPortal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import compat

# What both take a file of this kind for, so that nothing needs saying. Blender shows SDR video as display colours.
_USUAL = {"display": {"sRGB", "Rec.1886", "Rec.709", "Rec.2020"}, "linear": {"Linear Rec.709", "Linear"}}
_DATA = {"Non-Color", "Raw"}
_FLOATS = {".exr", ".hdr"}

_SPOKEN = {
    "sRGB": "sRGB",
    "Linear": "Linear Rec.709",
    "Linear Rec.709": "Linear Rec.709",
    "Linear Rec.2020": "Linear Rec.2020",
    "Linear DCI-P3 D65": "Linear P3-D65",
    "ACEScg": "ACEScg",
    "ACES2065-1": "ACES2065-1",
    "Display P3": "Display P3",
    "Rec.2100-PQ": "PQ Rec.2020",
    "Rec.2100-HLG": "HLG Rec.2020",
}


def stated(strip: Any, path: str) -> str | None:
    """What to say of a strip's colour space: nothing where it is its file's usual one, None where it is unknown."""
    name = _plain(strip.colorspace_settings.name)
    kind = "linear" if Path(path).suffix.lower() in _FLOATS else "display"
    if name in _USUAL[kind] or name in _DATA:
        return ""
    return _SPOKEN.get(name)


def spoken(name: str) -> str | None:
    """AnyPortal's name for a space of Blender's; None where it knows none."""
    return _SPOKEN.get(_plain(name))


def same_family(plate: str, result: str) -> bool:
    """Whether two files hold their colours alike, so that the colour space of one fits the other."""
    return (Path(plate).suffix.lower() in _FLOATS) == (Path(result).suffix.lower() in _FLOATS)


def _plain(name: str) -> str:
    """A space by its own name: from 5.0 on one is called after its role, whatever the file works in."""
    return compat.working_space() if name == "scene_linear" else name
