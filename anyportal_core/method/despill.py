"""Despill: the light that a screen threw on its foreground, taken off its colours.

The excess of the screen's channel over the larger of the two others is the screen's, unless the foreground has it deep
within as well, where the screen's light does not come: that much is its own. At the very edge, where a pixel is mixed,
and colour of half size has bled over, it is no greener than the foreground beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from anyportal_core.method.screens import cascade, excess
from anyportal_core.ops import ImageOps

_DEEP = 0.04  # of the height: so far into the foreground a screen's light reaches
_TEXTURE = 1.5  # times the mean of a texture's own excess is still its own
_LEEWAY = 0.15  # of its light: by so much the edge may be greener than the foreground beside it
_SOFT, _BEYOND = 1 / 120, 3.0  # of the height: how wide an edge's surroundings are; how soon they are all edge
_DARK = 0.01  # linear light below which a ratio says little
_KEPT = 0.4  # of the light that is taken off, that part comes back as grey: some of it was the foreground's own
_LIGHT = 0.2126, 0.7152, 0.0722


class Own(NamedTuple):
    """What of the screen's channel is a foreground's own, in parts of the larger other channel, all ``(h, w)``.

    Args:
        spared: how far it may exceed that; 0 and more.
        lean: how far at least it lies below, at edges; 0 and less.
    """

    spared: Any
    lean: Any


def own_colour(light: Any, alpha: Any, channel: int, ops: ImageOps) -> Own:
    """The foreground's own colour, told from its core.

    Args:
        light: straight, linear, some 240 pixels high, ``(h, w, 3)``.
        alpha: ``(h, w)``.
        channel: the screen's.
    """
    xp = array_namespace(light, alpha)
    h = alpha.shape[0]
    solid = xp.astype(alpha > 0.999, light.dtype)
    deep, near = ops.erode(solid, max(1, round(_DEEP * h))), ops.erode(solid, 1)
    over, other = excess(light, channel), _larger(light, channel)
    spared = _TEXTURE * xp.clip(_ratio(over, other, deep, ops), 0.0, None)
    lean = xp.clip(_ratio(xp.clip(over, None, 0.0), other, near, ops) + _LEEWAY, None, 0.0)
    return Own(spared, lean * xp.clip(_BEYOND * ops.gaussian(1 - alpha, _SOFT * h), 0.0, 1.0))


def _ratio(over: Any, other: Any, weight: Any, ops: ImageOps) -> Any:
    xp = array_namespace(over)
    h = over.shape[0]
    none = xp.zeros((2,), dtype=over.dtype)
    means = cascade(xp.stack([over, other], axis=-1), weight, none, (h // 8, h // 24, 3), ops)
    return means[..., 0] / (xp.clip(means[..., 1], 0.0, None) + _DARK)


def _larger(light: Any, channel: int) -> Any:
    xp = array_namespace(light)
    first, second = (light[..., i] for i in range(3) if i != channel)
    return xp.maximum(first, second)


def despill(light: Any, channel: int, own: Own, strength: float) -> Any:
    """Linear light ``(..., 3)``, any range, without a screen's; the screen's channel never falls below what is its own.

    Args:
        own: at the same places, ``(...)``.
        strength: 0 (nothing) to 1 (all that is not the foreground's own); up to 2: what is spared as well.
    """
    xp = array_namespace(light)
    other = _larger(light, channel)
    most = other + xp.clip(other, 0.0, None) * (min(1.0, 2 - strength) * own.spared + own.lean)
    spilt = min(1.0, strength) * xp.clip(light[..., channel] - most, 0.0, None)
    out = light + (_KEPT * _LIGHT[channel] * spilt)[..., None]
    out[..., channel] -= spilt
    return out
