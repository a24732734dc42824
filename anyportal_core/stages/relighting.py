"""The foreground's own pixels in the new light, a few rows at a time."""

from __future__ import annotations

from typing import cast as typed

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.media.encoding import SRGB, Encoding, from_linear, to_linear
from anyportal_core.media.primaries import matrix_between, transformed
from anyportal_core.media.work import luminance
from anyportal_core.method.gain import apply_gain
from anyportal_core.method.matting import bounds
from anyportal_core.method.upsampling import gain_grid, gain_guide, read_gain, stripes
from anyportal_core.method.veil import through_veil
from anyportal_core.ops import ImageOps

Mask = NDArray[np.bool_]

_CONTINUED = 16
"""Pixels around the foreground that its estimated colours may be continued into."""


def relight(
    foreground: Image,
    log_gain: Image,
    display: Image,
    alpha: Image,
    encoding: Encoding,
    ops: ImageOps,
    gain: Image | None = None,
    veil: Image | None = None,
) -> None:
    """Change the light on a foreground ``(H, W, 3)``, in place.

    Args:
        log_gain: ``(h, w, 3)``, coarse, of light with the primaries of sRGB, which it was measured in; pixels where it
            is 0 keep their very bits.
        display: the plate as it is shown, ``(H, W, 3)``, whose edges the gain follows.
        alpha: ``(H, W)``; nothing changes far from where it is more than 0.
        encoding: of the foreground.
        gain: ``(H, W, 3)``: where to put what that light was multiplied by.
        veil: ``(2, 3)``, of the same light: what is taken off before the gain, and what is added after it.
    """
    box = bounds(alpha > 0, _CONTINUED)
    if box is None:
        return
    guide = typed(Image, gain_guide(luminance(display), log_gain.shape[:2], ops))
    grid = gain_grid(log_gain, guide, alpha, ops)
    columns = box[1]
    for rows in stripes(box[0].start, box[0].stop):
        place = rows.start, columns.start
        full = typed(Image, read_gain(grid, guide[rows, columns], place, alpha.shape, ops))
        there = alpha[rows, columns] > 0
        foreground[rows, columns] = _lit(foreground[rows, columns], full, encoding, veil, there)
        if gain is not None:
            gain[rows, columns] = np.exp(full)


def _lit(pixels: Image, log_gain: Image, encoding: Encoding, veil: Image | None, there: Mask) -> Image:
    light, same = to_linear(pixels, encoding), log_gain == 0
    own = encoding.primaries == SRGB.primaries
    if not own:  # channel by channel it would be another light with every set of primaries
        light = transformed(light, matrix_between(encoding.primaries, SRGB.primaries))
        same = same.all(-1, keepdims=True)
    if veil is None:
        lit = apply_gain(light, log_gain)
    else:  # what is no part of the foreground stays empty
        lit, same = through_veil(light, log_gain, *veil), ~(there | pixels.any(-1))[..., None]
    if not own:
        lit = transformed(lit, matrix_between(SRGB.primaries, encoding.primaries))
    # Where the light did not change, nor may the pixel: the way to linear light and back is not exact.
    return np.where(same, pixels, from_linear(lit, encoding))
