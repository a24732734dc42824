"""The difference of two colours as the eye has it: CIEDE2000 (CIE 142-2001; Sharma, Wu, Dalal, 2005)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyportal_core.method.srgb import to_light

Colours = NDArray[np.float64]

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_25_TO_7 = 25.0**7


def lab(display: Any) -> Colours:
    """CIE L*a*b* under D65 of sRGB values 0..1, ``(..., 3)``."""
    xyz = np.asarray(to_light(np.asarray(display, np.float64))) @ (_TO_XYZ / _TO_XYZ.sum(1, keepdims=True)).T
    curve = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(curve, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def delta_e(first: Colours, second: Colours) -> Colours:
    """CIEDE2000 between L*a*b* colours ``(..., 3)``; 1 is about what the eye just sees."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    stretch = 1.5 - 0.5 * _saturated((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0
    turn = np.where(grey, 0.0, (h2 - h1 + 180) % 360 - 180)
    hue = np.where(grey, h1 + h2, (h1 + turn / 2) % 360)
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    tilt = 30 * np.exp(-(((hue - 275) / 25) ** 2))
    waves = ((0.17, 1, -30), (-0.24, 2, 0), (-0.32, 3, 6), (0.20, 4, -63))
    shape = 1 - sum(part * np.cos(np.radians(times * hue + shift)) for part, times, shift in waves)
    away = (lightness - 50) ** 2
    in_l = (l2 - l1) / (1 + 0.015 * away / np.sqrt(20 + away))
    in_c = (c2 - c1) / (1 + 0.045 * chroma)
    in_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * shape)
    mixed = -2 * _saturated(chroma) * np.sin(np.radians(2 * tilt)) * in_c * in_h
    total: Colours = np.sqrt(np.maximum(in_l**2 + in_c**2 + in_h**2 + mixed, 0))
    return total


def _saturated(chroma: Colours) -> Colours:
    return np.sqrt(chroma**7 / (chroma**7 + _25_TO_7))
