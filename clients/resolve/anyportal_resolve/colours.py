"""In which colour space a clip's media are, where the project says so and their files do not: camera logs, HDR, ACES.

What Resolve calls standard video (Rec.709, sRGB) is left to the files, whose tags say more.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, Optional

import anyportal_hostkit as hostkit

if TYPE_CHECKING:
    from anyportal_resolve.host import MediaPoolItem, Project

INPUT, IDT = "Input Color Space", "IDT"
"""Properties of media: what they are in under Resolve's colour management, and in an ACES project."""

# What the command calls them, and Resolve's names by their letters and digits: gamut and curve together or apart.
_SPACES = (
    ("ARRI LogC3 (EI800)", "arrilogc arrilogc3 arriwidegamut3arrilogc3 arrialexaarrilogc arriwidegamut3logc3"),
    ("ARRI LogC4", "arrilogc4 arriwidegamut4arrilogc4 arriwidegamut4logc4"),
    ("S-Log3 S-Gamut3", "sgamut3slog3 sonysgamut3slog3 sonyslog3sgamut3"),
    ("S-Log3 S-Gamut3.Cine", "sgamut3cineslog3 sonysgamut3cineslog3 sonyslog3sgamut3cine"),
    ("V-Log V-Gamut", "vgamutvlog panasonicvgamutvlog panasonicvgamutpanasonicvlog panasonicvlog panasonicvlogvgamut"),
    ("Log3G10 REDWideGamutRGB", "redwidegamutrgblog3g10 redwidegamutrgbredlog3g10 redlog3g10redwidegamutrgb"),
    (
        "DaVinci Intermediate WideGamut",
        "davinciwgintermediate davinciwgdavinciintermediate davinciwidegamutdavinciintermediate",
    ),
    (
        "BMDFilm WideGamut Gen5",
        "blackmagicdesignfilmgen5 blackmagicdesignwidegamutgen45blackmagicdesignfilmgen5 "
        "blackmagicdesignwidegamutgen4gen5blackmagicdesignfilmgen5 bmdwidegamutgen4gen5bmdfilmgen5",
    ),
    ("ACEScg", "acescg acesap1linear acesap1"),
    ("ACES2065-1", "acesap0linear aces20651"),
    ("ACEScct", "acescct acesap1acescct"),
    ("ACEScc", "acescc acesap1acescc"),
    ("PQ Rec.2020", "rec2100st2084 rec2020st2084 rec2100pq"),
    ("HLG Rec.2020", "rec2100hlg rec2020hlg rec2020rec2100hlg"),
    ("Cineon", "cineonfilmlog"),
)
_BY_NAME = {word: name for name, words in _SPACES for word in words.split()}
_MANAGED = "davinciYRGBColorManaged"


def stated(project: Project, plate: Optional[MediaPoolItem]) -> str:
    """The command's name for the space that media are read in; empty where the files say it, or nobody does."""
    if plate is None:
        return ""
    science = str(project.GetSetting("colorScienceMode") or "")
    if science.startswith("aces"):
        return known(str(plate.GetClipProperty(IDT) or ""))
    if not science.startswith(_MANAGED):
        return ""  # nothing is converted: whatever the property says is of no effect
    own = str(plate.GetClipProperty(INPUT) or "")
    if own and not own.lower().startswith("project"):
        return known(own)
    gamut = str(project.GetSetting("colorSpaceInput") or "")
    gamma = str(project.GetSetting("colorSpaceInputGamma") or "")
    return known(gamut + gamma) or known(gamut)


def known(name: str) -> str:
    """The command's name for one of Resolve's; empty where it has none, or where the files' tags say more."""
    return _BY_NAME.get("".join(letter for letter in name.lower() if letter.isalnum()), "")


def wish_of(space: str, wish: Dict[str, Any]) -> Dict[str, Any]:
    """What to say of a plate's colours, where nobody has said more. Results are in its space, EXR too: they are read
    with its properties."""
    if not space or wish.get("colour_space"):
        return {}
    said = {"colour_space": space}
    config = hostkit.colours.config_of_own_names()
    if config and not wish.get("colour_config"):
        said["colour_config"] = config
    if wish.get("format") == "exr" and not wish.get("out_colour_space"):
        said["out_colour_space"] = space
    return said


def is_as_its_plate(wish: Dict[str, Any], path: str) -> bool:
    """Whether a result is encoded as its plate is. EXR of other media hold light, unless a space was asked for."""
    ending = os.path.splitext(str(wish.get("plate", "")))[1].lower()
    out = wish.get("out_colour_space")
    if out:
        return bool(out == wish.get("colour_space"))
    return not path.lower().endswith(".exr") or ending == ".exr"
