"""Colour spaces that the command `anyportal` knows by itself, and what configurations and Nuke call them.

Nothing is guessed: Nuke's own `SLog3` is not here, since it does not say which of two gamuts.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional

Space = NamedTuple("Space", [("name", str), ("primaries", str), ("linear", bool), ("light", str)])
"""A colour space as `--colour-space` takes it. `light`: of a camera's log, the linear space of the camera's gamut."""

# The names in configurations (Nuke's own, ACES 1.0 to 1.3, the CG and Studio configs): their letters and digits.
SPACES = (
    (
        Space("sRGB", "bt709", False, ""),
        "srgb srgbtexture srgbencodedrec709srgb utilitysrgbtexture srgbtx srgbrec709scene",
    ),
    (Space("Rec.709", "bt709", False, ""), "rec709 camerarec709 utilityrec709camera"),
    (Space("Rec.709 Gamma 2.2", "bt709", False, ""), "gamma22"),
    (Space("Rec.709 Gamma 2.4", "bt709", False, ""), "gamma24"),
    (
        Space("Linear Rec.709", "bt709", True, ""),
        "linear linearrec709 linearrec709srgb linrec709 linsrgb linrec709srgb linrec709scene utilitylinearsrgb "
        "utilitylinearrec709",
    ),
    (Space("Linear Rec.2020", "bt2020", True, ""), "linearrec2020 linrec2020 linrec2020scene utilitylinearrec2020"),
    (Space("Linear P3-D65", "p3", True, ""), "linearp3d65 linp3d65 linp3d65scene utilitylinearp3d65"),
    (Space("ACEScg", "ap1", True, ""), "acescg acesacescg linap1 linap1scene"),
    (Space("ACES2065-1", "ap0", True, ""), "aces20651 acesaces20651 linap0 linap0scene"),
    (Space("Display P3", "p3", False, ""), "displayp3"),
    (Space("PQ Rec.2020", "bt2020", False, ""), "pqrec2020"),
    (Space("HLG Rec.2020", "bt2020", False, ""), "hlgrec2020"),
    (Space("Cineon", "bt709", False, ""), "cineon"),
    (
        Space("ARRI LogC3 (EI800)", "", False, "Linear ARRI Wide Gamut 3"),
        "alexav3logc arrilogc3ei800 logc3ei800alexawide inputarriv3logcei800widegamut arrilogc3",
    ),
    (Space("ARRI LogC4", "", False, "Linear ARRI Wide Gamut 4"), "arrilogc4"),
    (Space("V-Log V-Gamut", "", False, "Linear V-Gamut"), "vlog vlogvgamut inputpanasonicvlogvgamut vgamutvlog"),
    (
        Space("Log3G10 REDWideGamutRGB", "", False, "Linear REDWideGamutRGB"),
        "log3g10 log3g10redwidegamutrgb rl3g10rwg inputredredlog3g10redwidegamutrgb",
    ),
    (Space("S-Log3 S-Gamut3", "", False, "Linear S-Gamut3"), "slog3sgamut3 inputsonyslog3sgamut3 sgamut3slog3"),
    (
        Space("S-Log3 S-Gamut3.Cine", "", False, "Linear S-Gamut3.Cine"),
        "slog3sgamut3cine slog3sgamutcine inputsonyslog3sgamut3cine sgamut3cineslog3",
    ),
    (
        Space("DaVinci Intermediate WideGamut", "", False, "Linear DaVinci WideGamut"),
        "davinciintermediatewidegamut davinciintermediate",
    ),
    (Space("ACEScct", "ap1", False, "ACEScg"), "acescct acesacescct acescctap1"),
)
# Which configurations call spaces that hold no colours so; Nuke takes their values as they are.
_DATA = frozenset(["raw", "utilityraw", "none", "noncolor", "noncolordata", "data"])
# Entries that begin with a role name a space in brackets: default (sRGB), scene_linear (ACES - ACEScg).
_ROLES = (
    "default|reference|data|color_picking|color_timing|scene_linear|compositing_log|compositing_linear|matte_paint|"
    "texture_paint|rendering|aces_interchange|cie_xyz_d65_interchange"
)
_ROLE = re.compile(r"(?i)^({}) \((.+)\)$".format(_ROLES))
_BY_NAME = {word: space for space, words in SPACES for word in words.split()}


def aliases(entry: str) -> List[str]:
    """The names in an entry of a colour knob: joined by tabs or commas, with families in front and roles around."""
    found: List[str] = []
    for part in re.split(r"[\t,]", entry):
        part = without_role(part.strip())
        for name in (part, part.rpartition("/")[2]):
            if name and name not in found:
                found.append(name)
    return found


def without_role(name: str) -> str:
    """A space's name without the role that Nuke writes before it."""
    inside = _ROLE.match(name)
    return inside.group(2).strip() if inside else name


def role_of(entry: str) -> str:
    """The role that an entry is listed under; empty where it is a space's own."""
    inside = _ROLE.match(re.split(r"[\t,]", entry)[0].strip())
    return inside.group(1) if inside else ""


def by_name(entries: List[str]) -> Optional[Space]:
    """The first space that one of some entries names; None where nobody knows them."""
    for entry in entries:
        for alias in aliases(entry):
            if _letters(alias) in _BY_NAME:
                return _BY_NAME[_letters(alias)]
    return None


def is_data(name: str) -> bool:
    """Whether a space's name says that it holds no colours."""
    return any(_letters(alias) in _DATA for alias in aliases(name))


def names() -> str:
    """What the command knows, for messages."""
    return ", ".join(space.name for space, _ in SPACES)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
