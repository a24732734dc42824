"""What an image file says about the shot in its header, for the results of the same frame to say it too.

Of an EXR that is all but what describes the file itself (how it is stored, its layers, its pixels' statistics) and what
would be untrue of a result. Of other formats it is what identifies the frame: timecode, keycode and reel.
"""

from __future__ import annotations

from typing import Any

import OpenImageIO as oiio

TIMECODE, KEYCODE, DATE = "smpte:TimeCode", "smpte:KeyCode", "DateTime"

_MOST = 1 << 20
"""Bytes of a header that are passed on: what is larger is left out, the latest names first."""

_OURS = "anyportal/"
"""A plate may be a result itself: how that was made is not how this one was."""

_PREFIXES = ("oiio:", "openexr:", "maketx:", "cryptomatte/", "dpx:", _OURS)
# In lower case. Names as OpenImageIO gives them; what it has no name of its own for, as OpenEXR does.
_FILE = frozenset(
    {
        *("compression", "compressionquality", "chunkcount", "tiles", "lineorder", "channels", "datawindow"),
        *("displaywindow", "name", "type", "version", "multiview", "view", "preview", "deepimagestate"),
        *("maxsamplesperpixel", "chromaticities", "colorinteropid", "iccprofile", "pixelaspectratio"),
        *("framespersecond", "software", "imagehistory", "exif:imagehistory", "acesimagecontainerflag", "wrapmodes"),
        *("envmap", "textureformat", "fovcot", "averagecolor", "constantcolor", "hash"),
    }
)
_FRAME = frozenset({TIMECODE, KEYCODE})
_REELS = ("reelName", "ReelName", "reel_name", "dpx:ReelName", "dpx:InputDevice")
"""Where others than EXR keep the reel; scanners and cameras write it to DPX as the name of the input device."""


def of_shot(spec: Any, exr: bool) -> oiio.ImageSpec:
    """The attributes of a file that hold for the results of its frame, and nothing else."""
    return _of_exr(spec) if exr else _of_others(spec)


def _of_exr(spec: Any) -> oiio.ImageSpec:
    # Copied as a whole: so values stay what they are, of whatever type, and texts that are no UTF-8.
    kept = oiio.ImageSpec(spec)
    room = _MOST
    for attribute in list(spec.extra_attribs):
        name = attribute.name
        size = _size(attribute)
        if name.lower() in _FILE or name.lower().startswith(_PREFIXES) or size > room:
            kept.extra_attribs.remove(name)
        else:
            room -= size
    return kept


def _size(attribute: Any) -> int:
    try:
        value = attribute.value
    except UnicodeDecodeError:
        return 256
    texts = value if isinstance(value, tuple) else (value,)
    return sum(len(each) if isinstance(each, str) else 8 for each in texts)


def _of_others(spec: Any) -> oiio.ImageSpec:
    kept = oiio.ImageSpec(spec)
    for name in [attribute.name for attribute in spec.extra_attribs]:
        if name not in _FRAME:
            kept.extra_attribs.remove(name)
    reel = next((text for name in _REELS if (text := spec.getattribute(name)) and isinstance(text, str)), "")
    if reel.strip():
        kept.attribute("reelName", reel.strip())
    return kept


def of_another_frame(header: oiio.ImageSpec) -> oiio.ImageSpec:
    """A frame's header for one that shows it in the place of its own: without what numbers the frame."""
    kept = oiio.ImageSpec(header)
    for name in _FRAME:
        if name in kept.extra_attribs:
            kept.extra_attribs.remove(name)
    return kept
