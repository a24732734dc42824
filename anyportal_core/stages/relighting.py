"""The foreground's own pixels in the new light, a few rows at a time."""

from __future__ import annotations

from typing import cast as typed

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.media.encoding import (
    LINEAR,
    SRGB,
    Encoding,
    brightened,
    convert,
    from_display,
    from_linear,
    is_display_referred,
    to_linear,
)
from anyportal_core.media.primaries import matrix_between, transformed
from anyportal_core.media.work import luminance
from anyportal_core.method.gain import apply_gain
from anyportal_core.method.matting import bounds
from anyportal_core.method.upsampling import STRIPE, gain_grid, gain_guide, read_gain, stripes
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
        veil: ``(2, 3)``, of sRGB's light: what is taken off before the gain, and what is added after it.
    """
    box = bounds(alpha > 0, _CONTINUED)
    if box is None:
        return
    guide = typed(Image, gain_guide(luminance(display), log_gain.shape[:2], ops))
    grid = gain_grid(log_gain, guide, alpha, ops)
    everywhere = None if veil is None else _laid_out(_own_veil(veil, encoding), foreground.shape[1])
    for rows in stripes(box[0].start, box[0].stop):
        if gain is not None:
            place = rows.start, box[1].start
            gain[rows, box[1]] = np.exp(read_gain(grid, guide[rows, box[1]], place, alpha.shape, ops))
        there = (alpha[rows] > 0) | (cv2.inRange(foreground[rows], _BLACK, _BLACK) == 0)
        part = _across(rows, there)
        if part is not None:
            full = typed(Image, read_gain(grid, guide[part], (rows.start, part[1].start), alpha.shape, ops))
            foreground[part] = _lit(foreground[part], full, encoding, everywhere, there[:, part[1]])


_BLACK = (0.0, 0.0, 0.0)


def _own_veil(veil: Image, encoding: Encoding) -> Image:
    """A veil as the plate's own curve has it, still with the primaries of sRGB: over black it shows the same codes.

    Codes of display-referred plates are measured as sRGB shows them, whatever their curve makes of them.
    """
    if not is_display_referred(encoding) or encoding.transfer == SRGB.transfer:
        return veil
    light = to_linear(from_display(convert(veil, LINEAR, SRGB), encoding), encoding)
    return np.maximum(transformed(light, matrix_between(encoding.primaries, SRGB.primaries)), 0)


def _laid_out(veil: Image, width: int) -> Image:
    """A veil for every pixel of some rows, ``(2, h, width, 3)``: many times as fast as to repeat it in each step."""
    return np.ascontiguousarray(np.broadcast_to(veil[:, None, None], (2, STRIPE, width, 3)))


def _across(rows: slice, there: Mask) -> tuple[slice, slice] | None:
    """Those rows, as far as something is there."""
    columns = np.flatnonzero(there.any(axis=0))
    return (rows, slice(int(columns[0]), int(columns[-1]) + 1)) if len(columns) else None


def _lit(pixels: Image, log_gain: Image, encoding: Encoding, veil: Image | None, there: Mask) -> Image:
    same = log_gain == 0
    if veil is None and encoding.primaries == SRGB.primaries:
        made = brightened(pixels, log_gain, encoding)
    else:
        made = _through_light(pixels, log_gain, encoding, veil)
        same = same.all(-1, keepdims=True)
    if veil is None:  # where the light did not change, nor may the pixel: the way to linear light and back is not exact
        made = np.where(same, pixels, made)
    # What is no part of the foreground stays empty.
    return np.asarray(cv2.copyTo(made, there.view(np.uint8), pixels.copy()), np.float32)


def _through_light(pixels: Image, log_gain: Image, encoding: Encoding, veil: Image | None) -> Image:
    light = to_linear(pixels, encoding)
    own = encoding.primaries == SRGB.primaries
    if not own:  # channel by channel it would be another light with every set of primaries
        light = transformed(light, matrix_between(encoding.primaries, SRGB.primaries))
    height, width = pixels.shape[:2]
    lit = apply_gain(light, log_gain) if veil is None else through_veil(light, log_gain, *veil[:, :height, :width])
    if not own:
        lit = transformed(lit, matrix_between(SRGB.primaries, encoding.primaries))
    return from_linear(lit, encoding)
