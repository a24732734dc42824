"""The light gain: how a relighting made at work size reaches the plate's own pixels.

A relighting changes the light, which is smooth, and leaves the surface, which has the detail. So all that is
taken from a relit picture is the ratio of its low band to the plate's, in linear light, as a logarithm.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from anyportal_core.ops import ImageOps

FLOOR = 1e-3
"""Linear light added on both sides of the ratio, so that noise in black does not become a gain."""

GRID = 96
"""Long side of the grid that a gain is kept on."""

BLUR = 0.02
"""Of the long side: what is finer in a relit frame counts as detail and is left behind."""


def coarse_gain(relit: Any, plate: Any, matte: Any, ops: ImageOps) -> Any:
    """`log_gain` on a grid as fine as it is smooth, ``(h, w, 3)``."""
    height, width = plate.shape[:2]
    full = log_gain(relit, plate, matte, ops, BLUR * max(height, width))
    scale = min(1.0, GRID / max(height, width))
    return ops.resize(full, max(1, round(height * scale)), max(1, round(width * scale)), "area")


def log_gain(relit: Any, plate: Any, matte: Any, ops: ImageOps, sigma: float) -> Any:
    """The natural logarithm of relit over plate light, ``(H, W, 3)``, smooth.

    Both low bands are blurs weighted by the matte, so that no background mixes in; the gain is continued
    outwards from the foreground. Where there is no foreground at all it is 0.

    Args:
        relit, plate: linear light ``(H, W, 3)``, both at work size.
        matte: ``(H, W, 1)``, 0..1.
        sigma: of the blur, in pixels.
    """
    xp = array_namespace(relit, plate, matte)
    new = ops.gaussian(relit * matte, sigma)
    old = ops.gaussian(plate * matte, sigma)
    cover = ops.gaussian(matte, sigma)
    floor = FLOOR * cover + 1e-9
    ratio = xp.log((xp.clip(new, 0.0, None) + floor) / (xp.clip(old, 0.0, None) + floor))
    return extend(ratio, cover * matte, ops)


def extend(values: Any, weight: Any, ops: ImageOps) -> Any:
    """Continue ``values`` from where ``weight`` is 1 to where it is 0, smoothly.

    Push and pull over a pyramid (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4): a place of no
    weight takes the mean of its surroundings, the wider the farther it is from any weight.

    Args:
        values: ``(H, W, C)``.
        weight: ``(H, W, 1)``, 0..1. All 0 gives all 0.
    """
    xp = array_namespace(values, weight)
    height, width = values.shape[:2]
    if max(height, width) == 1:
        return xp.where(weight > 0, values, xp.zeros_like(values))
    half_height, half_width = (height + 1) // 2, (width + 1) // 2
    mass = ops.resize(weight, half_height, half_width, "area")
    mean = ops.resize(values * weight, half_height, half_width, "area") / xp.clip(mass, 1e-8, None)
    coarse = extend(mean, xp.clip(mass * 4.0, None, 1.0), ops)
    return values * weight + ops.resize(coarse, height, width, "linear") * (1.0 - weight)


def apply_gain(light: Any, log_gain: Any, strength: float = 1.0) -> Any:
    """Linear ``light`` times the gain to the power of ``strength``, both ``(H, W, 3)``.

    Where the gain's logarithm or the strength is 0 the input comes back bit for bit, by selection.
    """
    if strength == 0:
        return light
    xp = array_namespace(light, log_gain)
    return xp.where(log_gain == 0, light, light * xp.exp(log_gain * strength))
