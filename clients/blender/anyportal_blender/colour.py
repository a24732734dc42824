"""Colour spaces: how Blender's names are said to AnyPortal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy

from . import compat
from .kit import hostkit

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

# Of Blender's own configuration, which is sent along. Its displays are left out: their tables have no exact way back.
_EXPLAINED = {
    "AgX Log",
    "Filmic Log",
    "Filmic sRGB",
    "Linear CIE-XYZ E",
    "Linear CIE-XYZ D65",
    "Linear FilmLight E-Gamut",
}
_LIGHT = "Linear Rec.709"
"""What Blender takes float pictures for."""


def stated(strip: Any, path: str) -> str | None:
    """What to say of a strip's colour space: nothing where it is its file's usual one, None where it is unknown."""
    name = _plain(strip.colorspace_settings.name)
    kind = "linear" if is_light(path) else "display"
    if name in _USUAL[kind] or name in _DATA:
        return ""
    return spoken(name)


def spoken(name: str) -> str | None:
    """AnyPortal's name for a space of Blender's, or its own where a configuration explains it; None for others."""
    if _site():
        return name
    plain = _plain(name)
    return _SPOKEN.get(plain) or (plain if plain in _EXPLAINED and os.path.isfile(_own()) else None)


def wish_of(name: str, light: bool = False) -> dict[str, str]:
    """What to ask for beside a name that `spoken` gave.

    Args:
        light: the results are float pictures of a plate that is none.
    """
    if not name:
        return {}
    config = _site() or (_own() if name in _EXPLAINED else hostkit.colours.config_of_own_names())
    out = ("scene_linear" if _site() else _LIGHT) if light else ""
    return {"colour_space": name} | {k: v for k, v in (("colour_config", config), ("out_colour_space", out)) if v}


def same_family(plate: str, result: str) -> bool:
    """Whether two files hold their colours alike, so that the colour space of one fits the other."""
    return is_light(plate) == is_light(result)


def is_light(path: str) -> bool:
    """Whether files of this kind hold float pictures."""
    return Path(path).suffix.lower() in _FLOATS


def _plain(name: str) -> str:
    """A space by its own name: from 5.0 on one is called after its role, whatever the file works in."""
    return compat.working_space() if name == "scene_linear" else name


def _site() -> str:
    """The configuration that a site has Blender use instead of its own."""
    return os.environ.get("OCIO", "")


def _own() -> str:
    """The configuration that comes with Blender."""
    folder = bpy.utils.system_resource("DATAFILES", path="colormanagement")  # type: ignore[attr-defined]
    return os.path.join(folder, "config.ocio") if folder else ""
