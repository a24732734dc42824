"""What light does to the foreground when it goes from one place to another: estimates from pictures alone.

Light is linear, on a coarse grid ``(h, w, 3)``; gains are natural logarithms. A picture shows surfaces and not
their light, so everything here does less than the pictures say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.ops import opencv as ops

Vector = NDArray[np.float64]

LUMA = np.array([0.2126, 0.7152, 0.0722])
BLACK = 1e-3  # light below which nothing is told apart

_LEVEL = 1.3  # how the foreground's exposure follows that of its surroundings
_SUBJECT = 0.25  # weight of the foreground itself in what the exposure was
_DARKER = 0.25  # by which a foreground is commonly darker than its surroundings
_AGAINST = 0.7  # by which surroundings may differ before they are a sky or a wall that lights it no more
_DARKEST, _LIGHTEST = -3.4, -1.6  # mean log light between which a foreground reads well
_BRIGHT = -0.5  # log light that its brightest parts are not lifted beyond
_MOST = 1.5  # and never more than this
_BOUNCE = 0.4  # share of its own colour that a place throws on what stands in it
_COMMON = 0.45  # share of a place that may differ from what counts as its common cast
_REACH = (0.15, 0.3, 0.45)  # how far aside a surface looks for its light, in widths of the picture
_AMBIENT = 0.3  # share of light that comes from everywhere
_UNEVEN = 0.9  # most that light from aside differs from its mean
_TINT = 0.6  # how much of that is taken over in its colour: a sign is no lamp


def describe(light: Image, weight: Image) -> Vector | None:
    """What is told of a place's light: ``[level, bright, amber, green]``; None where there is next to none of it.

    ``level`` is the mean of log luminance and ``bright`` its 95th percentile. ``amber`` (against blue) and
    ``green`` (against magenta) are the cast that nearly all of the place has in common: an illuminant tints
    everything, a coloured thing only itself.

    Args:
        weight: ``(h, w)``, 0..1; what counts as the place is where it is above a half.
    """
    chosen = light[weight > 0.5].astype(np.float64)
    if len(chosen) < 0.003 * weight.size:
        return None
    luminance = np.log(chosen @ LUMA + BLACK)
    red, green, blue = np.log(chosen + BLACK).T
    amber, tint = (red - blue) / 2, green - (red + blue) / 2
    return np.array([luminance.mean(), np.quantile(luminance, 0.95), _shared(amber), _shared(tint)])


def _shared(casts: Vector) -> float:
    """The cast that all but a few have at least, 0 where they differ in sign."""
    low, high = np.quantile(casts, [_COMMON, 1 - _COMMON])
    return float(max(low, 0.0) + min(high, 0.0))


def even_gain(behind: Vector, subject: Vector, around: Vector, colour: float) -> Vector:
    """The gain ``(3,)`` of the foreground as a whole.

    The exposure follows that of the surroundings, held where a foreground reads well. A cast counts as the old
    light's as far as the foreground shares it with its old surroundings.

    Args:
        behind, subject, around: old surroundings, foreground and new surroundings as ``describe`` tells them.
        colour: how much of the light's colour to follow, 0..1.
    """
    front, bright = subject[:2]
    lit = front + _DARKER
    level = lit + (1 - _SUBJECT) * _held(behind[0] - lit, _AGAINST)
    rise = _LEVEL * (around[0] - level)
    room = min(_LIGHTEST - front, _BRIGHT - bright) if rise > 0 else front - _DARKEST
    amber = _believable(around[2], 1.2, 0.28) - _old_cast(behind[2], subject[2], 0.4, 0.3)
    green = _believable(around[3], 0.2, 0.6) - _old_cast(behind[3], subject[3], 0.3, 0.3)
    cast = np.array([amber, green, -amber])
    gain: Vector = _held(rise, min(_MOST, max(0.2, room))) + colour * (cast - cast @ LUMA)
    return gain


def _old_cast(behind: float, subject: float, up: float, down: float) -> float:
    """What foreground and old surroundings have in common, and a share of what the surroundings have alone."""
    shared = float(np.clip(subject / behind, 0.0, 1.0)) if behind else 0.0
    return _believable(behind, up, down) * (_BOUNCE + (1 - _BOUNCE) * shared)


def _believable(cast: float, up: float, down: float) -> float:
    """A cast within what light commonly is: lamps are amber; blue and green are mostly skies, walls and leaves."""
    return float(_held(cast, up if cast > 0 else down))


def uneven_gain(background: Image, matte: Image) -> Image:
    """How light from aside differs over the foreground, ``(h, w, 3)``; its mean over the foreground is near 0.

    Each place looks for light where its surface faces: the normals are those of the matte blown up like a
    cushion. Only the new surroundings count: what the old light did to the foreground is in its own pixels.

    Args:
        background: linear light ``(h, w, 3)``.
        matte: ``(h, w)``, 0..1.
    """
    size = float(np.sqrt(matte.sum()))
    if size < 1:
        return np.zeros_like(background)
    height, width = matte.shape
    across, down = _normals(matte, size)
    soft = ops.gaussian(background, 0.14 * width)
    light = _AMBIENT * soft.mean((0, 1), keepdims=True) + np.zeros_like(soft)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    for reach in _REACH:
        aside = ops.remap(soft, columns + reach * width * across, rows + reach * width * down, "replicate")
        light += (1 - _AMBIENT) / len(_REACH) * aside
    log = np.log(light + BLACK)
    weight = (matte / matte.sum())[..., None]
    uneven = _held(log - (log * weight).sum((0, 1)), _UNEVEN)
    level = (uneven @ LUMA)[..., None]
    return np.asarray(level + _TINT * (uneven - level), np.float32)


def _normals(matte: Image, size: float) -> tuple[Image, Image]:
    """Where the foreground's surface faces, right and down, at most 1 long; ``size`` is its side in cells."""
    cushion = np.sum([ops.gaussian(matte, size * part) for part in (0.05, 0.1, 0.2, 0.35)], axis=0)
    down, across = (-_slope(ops.box(cushion, 1), axis) for axis in (0, 1))
    length = np.hypot(across, down)
    steep = np.quantile(length[matte > 0.5], 0.9) if (matte > 0.5).any() else length.max()
    scale = np.maximum(np.float32(max(steep, 1e-6)), length)
    return across / scale, down / scale


def _slope(values: Image, axis: int) -> Any:
    """Level where there is but one row or column."""
    return np.zeros_like(values) if values.shape[axis] == 1 else np.gradient(values, axis=axis)


def _held(value: Any, limit: float) -> Any:
    """``value`` within ``limit``: as it is while small, bent over smoothly, never beyond."""
    return value / (1 + np.abs(value / limit) ** 3) ** (1 / 3)
