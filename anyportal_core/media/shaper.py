"""The shoulder through which models and monitors see scene-referred pictures: all of the light, none of it clipped.

Display-referred values up to ``KNEE`` stay as they are. Above it they approach 1 and reach it nowhere: white comes to
0.9, light of 40 to 0.99. With ``t`` the distance from the knee in units of what is left to 1, ``t / (1 + t)``: of all
such curves the one whose inverse loses the least.
"""

from __future__ import annotations

import numpy as np

from anyportal_core.frames import Image

KNEE = 0.8
_ROOM = 1 - KNEE

_MOST = (1.055 * 65504 ** (1 / 2.4) - 0.055 - KNEE) / _ROOM
BRIGHTEST = np.float32(KNEE + _ROOM * _MOST / (1 + _MOST))
"""The most light that half float holds, as it is shown: ``unrolled`` takes all above for that, since 1 is endless."""

# Values that are worked on at a time.
_BLOCK = 1 << 16


def rolled(display: Image) -> Image:
    """Display-referred values of any brightness as ones below 1, in place."""
    for part in _blocks(display):
        if part.max() > KNEE:
            over = np.maximum(part - np.float32(KNEE), 0)
            np.minimum(part, np.float32(KNEE), out=part)
            part += over / (1 + over * np.float32(1 / _ROOM))
    return display


def unrolled(shown: Image) -> Image:
    """The inverse of ``rolled``, in place; values from ``BRIGHTEST`` on are taken for that."""
    for part in _blocks(shown):
        if part.max() > KNEE:
            over = np.maximum(np.minimum(part, BRIGHTEST) - np.float32(KNEE), 0)
            np.minimum(part, np.float32(KNEE), out=part)
            part += over / (1 - over * np.float32(1 / _ROOM))
    return shown


def _blocks(values: Image) -> list[Image]:
    flat = values.reshape(-1)
    return [flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK)]
