"""The veil over a picture: light that haze, flare or a lens's own scatter adds everywhere, so that nothing is black.

It lies between the foreground and the camera and is no light on the foreground: a gain must not multiply it. So the
old one is taken off before the gain, and that of the new place laid on after it. That the darkest things of a picture
tell it is dark-object subtraction (Chavez, "An improved dark-object subtraction technique for atmospheric scattering
correction of multispectral data", Remote Sensing of Environment 24, 1988) and the dark channel (He, Sun, Tang,
"Single image haze removal using dark channel prior", CVPR 2009).

Dark things are rare in some pictures that have no veil: before a white wall nothing is black either. So little is
believed: only what the foreground lacks of black beside its own light, and its surroundings lack as well; and of a new
place only what one that is full of things lacks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from anyportal_core.frames import Image
from anyportal_core.method.gain import apply_gain
from anyportal_core.method.illuminant import LUMA, Vector
from anyportal_core.ops import ImageOps

_TINY = 1e-9
_DARK, _LEAST = 0.005, 64
"""What is darker than all but this share is the darkest of a picture; of fewer cells nothing is said."""
_PLAIN_OLD, _PLAIN_NEW = (0.06, 0.15, 0.2), (0.07, 0.2, 0.3)
"""The darkest things of a foreground, and of a place, beside their mean light, without a veil: as a rule; at most, as
far as nothing else is sure; and never."""
_SURELY_DARK, _NOTHING_DARK = 0.3, 0.5
"""Where the darkest things are so light beside the mean, none of them ought to be dark: a white shirt, a bare wall."""
_MOST = 0.05
_TINT = 1.5
"""A veil's strongest channel against its weakest: haze and flare have little colour, walls have much."""
_BARE, _FULL = 0.02, 0.06
"""Local contrast of a place (deviation of the logarithm): of walls alone; of things."""
_MOST_OLD_SHARE, _MOST_NEW_SHARE = 0.5, 0.3


def through_veil(light: Any, log_gain: Any, old: Any, new: Any) -> Any:
    """Linear ``light`` ``(H, W, 3)`` without its old veil, times the gain, under the new veil.

    Nothing that was above 0 gets to it or below: what is darker than the old veil is bent over, smoothly.

    Args:
        old, new: ``(3,)``, not negative.
    """
    xp = array_namespace(light, log_gain)
    bare = light
    if bool(xp.any(old > 0)):
        above = xp.clip(light, 0.0, None)
        bare = xp.where(light > 0, light - old * (above / (above + old + _TINY)), light)
    return apply_gain(bare, log_gain) + new


def old_veil(light: Image, cover: Image) -> Vector | None:
    """Of a plate, ``(3,)``; None where nothing is told: too little of the foreground, or of what is behind it.

    Args:
        light: linear, ``(h, w, 3)``, coarse.
        cover: the matte, ``(h, w)``.
    """
    inside, outside = light[cover > 0.9], light[cover < 0.05]
    if min(len(inside), len(outside)) < _LEAST:
        return None
    mean, dark = float((inside @ LUMA).mean()), _darkest(inside)
    return _coloured(_told(dark, mean) * _beyond(min(dark, _darkest(outside)), mean, _PLAIN_OLD), inside)


def new_veil(light: Image, ops: ImageOps) -> Vector:
    """Of a place, from its linear light ``(h, w, 3)``, coarse: ``(3,)``."""
    luminance = light @ LUMA
    seen = np.asarray(np.log(luminance + 2e-3), np.float32)
    fine = seen - ops.gaussian(seen, 2.0)
    contrast = float(np.sqrt(np.median(ops.gaussian(fine * fine, 4.0))))
    full = float(np.clip((contrast - _BARE) / (_FULL - _BARE), 0, 1))
    cells, mean = light.reshape(-1, 3), float(luminance.mean())
    dark = _darkest(cells)
    return _coloured(full * _told(dark, mean) * _beyond(dark, mean, _PLAIN_NEW), cells)


def anchored(old: Any, new: Any, level: float, gain: float) -> float:
    """What to add to a gain's logarithm, so that what is as light as ``level`` becomes as light as without veils.

    Args:
        level: linear light of the foreground's middle.
        gain: what it is multiplied by.
    """
    off, on = float(np.dot(LUMA, old)) / level, float(np.dot(LUMA, new)) / (level * gain)
    return float(np.log((1 - min(on, _MOST_NEW_SHARE)) / (1 - min(off, _MOST_OLD_SHARE))))


def _darkest(cells: Image) -> float:
    """The light of the weakest channel of the darkest cells ``(n, 3)``."""
    return float(np.quantile(cells.min(axis=1), _DARK))


def _beyond(dark: float, mean: float, plain: tuple[float, float, float]) -> float:
    """By how much the darkest things are lighter than they would be, as far as that is sure."""
    usual, most, never = plain
    sure = float(np.clip((dark / (mean + _TINY) - most) / (never - most), 0, 1))
    return sure * (dark - usual * mean)


def _told(dark: float, mean: float) -> float:
    """How far the darkest things tell of a veil, 0..1: hardly, where there are none that ought to be dark."""
    return float(np.clip((_NOTHING_DARK - dark / (mean + _TINY)) / (_NOTHING_DARK - _SURELY_DARK), 0, 1))


def _coloured(amount: float, cells: Image) -> Vector:
    """That much veil of the colour of the darkest cells, as far as that may be a veil's."""
    if amount <= 0:
        return np.zeros(3)
    each = np.quantile(cells, _DARK, axis=0)
    return np.asarray(min(amount, _MOST) * np.minimum(each / max(float(each.min()), _TINY), _TINT), np.float64)
