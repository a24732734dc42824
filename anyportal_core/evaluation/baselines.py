"""The plain ways to relight a foreground: what a result has to beat, and the best that a smooth gain could do.

Everything is linear light: pictures ``(H, W, 3)``, mattes ``(H, W)`` 0..1, gains as natural logarithms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.ops import opencv as ops

_FLOOR = 1e-3
_CHROMA, _LUMINANCE = 0.7, 1.2
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def composite(source: Image, matte: Image, backdrop: Image, log_gain: Any = 0.0) -> Image:
    """The foreground, its light times the gain, over the backdrop; with no gain the naive composite."""
    cover = matte[..., None]
    return np.asarray(source * np.exp(log_gain) * cover + backdrop * (1 - cover), np.float32)


def global_gain(source: Image, matte: Image, backdrop: Image) -> Image:
    """One gain ``(3,)`` for the frame, by how the mean log light differs between the old surroundings and the new.

    Its luminance counts 1.2 times, its colour 0.7 times.
    """
    old = np.log(source[matte < 0.05] + _FLOOR)
    if not len(old):
        return np.zeros(3, np.float32)
    change = np.log(backdrop + _FLOOR).reshape(-1, 3).mean(0) - old.mean(0)
    level = change @ _LUMA
    return np.asarray(_CHROMA * (change - level) + _LUMINANCE * level, np.float32)


def oracle_gain(source: Image, target: Image, matte: Image, sigma: float) -> Image:
    """The true change of light, blurred over the foreground ``(H, W, 3)``: what a smooth gain can do at best.

    Args:
        target: the foreground as it truly looks in the new place.
        sigma: of the blur, in pixels.
    """
    cover = (matte > 0.5).astype(np.float32)[..., None]
    ratio = np.log(np.maximum(target, 0) + _FLOOR) - np.log(np.maximum(source, 0) + _FLOOR)
    return np.asarray(ops.gaussian(ratio * cover, sigma) / np.maximum(ops.gaussian(cover, sigma), 1e-6), np.float32)
