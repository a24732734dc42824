"""Names of colour spaces beside those of the configuration: short ones, and those of hosts. Letters and digits alone.

Only what can mean one thing is here. ``SLog3``, for one, does not say which of two gamuts.
"""

from __future__ import annotations

STANDARDS = {
    "srgb": ("srgb", "bt709"),
    "srgbtexture": ("srgb", "bt709"),
    "srgbencodedrec709srgb": ("srgb", "bt709"),
    "utilitysrgbtexture": ("srgb", "bt709"),
    "rec709": ("bt709", "bt709"),
    "camerarec709": ("bt709", "bt709"),
    "utilityrec709camera": ("bt709", "bt709"),
    "rec709scene": ("bt709", "bt709"),
    "rec709gamma22": ("gamma22", "bt709"),
    "rec709gamma24": ("gamma24", "bt709"),
    "linear": ("linear", "bt709"),
    "linearrec709": ("linear", "bt709"),
    "linearrec709srgb": ("linear", "bt709"),
    "utilitylinearsrgb": ("linear", "bt709"),
    "utilitylinearrec709": ("linear", "bt709"),
    "linearrec2020": ("linear", "bt2020"),
    "linearp3d65": ("linear", "p3"),
    "acescg": ("linear", "ap1"),
    "acesacescg": ("linear", "ap1"),
    "linap1": ("linear", "ap1"),
    "aces20651": ("linear", "ap0"),
    "acesaces20651": ("linear", "ap0"),
    "linap0": ("linear", "ap0"),
    "displayp3": ("srgb", "p3"),
    "pqrec2020": ("pq", "bt2020"),
    "rec2100st2084": ("pq", "bt2020"),
    "rec2100pq": ("pq", "bt2020"),
    "hlgrec2020": ("hlg", "bt2020"),
    "rec2100hlg": ("hlg", "bt2020"),
    "cineon": ("cineon", "bt709"),
    "cineonfilmlog": ("cineon", "bt709"),
}
"""To transfer curve and primaries."""

_LOGC3, _LOGC4 = "arri_logc3_ei800", "arri_logc4"
_DAVINCI, _BMD5 = "davinci_intermediate_widegamut", "bmdfilm_widegamut_gen5"

IN_ACES = {
    # Nuke's own
    "alexav3logc": _LOGC3,
    "arrilogc4": _LOGC4,
    "vlog": "vlog_vgamut",
    "log3g10": "log3g10_redwidegamutrgb",
    "applelog": "apple_log",
    # Resolve's
    "arrilogc": _LOGC3,
    "arrilogc3": _LOGC3,
    "logc3": _LOGC3,
    "logc4": _LOGC4,
    "arriwidegamut3logc3": _LOGC3,
    "arriwidegamut4logc4": _LOGC4,
    "sgamut3slog3": "slog3_sgamut3",
    "sonysgamut3slog3": "slog3_sgamut3",
    "slog3sgamut3": "slog3_sgamut3",
    "sgamut3cineslog3": "slog3_sgamut3cine",
    "sonysgamut3cineslog3": "slog3_sgamut3cine",
    "slog3sgamut3cine": "slog3_sgamut3cine",
    "vgamutvlog": "vlog_vgamut",
    "panasonicvgamutvlog": "vlog_vgamut",
    "panasonicvlog": "vlog_vgamut",
    "redwidegamutrgblog3g10": "log3g10_redwidegamutrgb",
    "redlog3g10redwidegamutrgb": "log3g10_redwidegamutrgb",
    "davinciintermediate": _DAVINCI,
    "davinciwgintermediate": _DAVINCI,
    "davinciwidegamutintermediate": _DAVINCI,
    "davinciwidegamutdavinciintermediate": _DAVINCI,
    "blackmagicdesignfilmgen5": _BMD5,
    "blackmagicdesignwidegamutgen4gen5blackmagicdesignfilmgen5": _BMD5,
}
"""To an alias in the ACES configurations."""


def letters(name: str) -> str:
    """Letters and digits of a name, small."""
    return "".join(c for c in name.lower() if c.isalnum())
