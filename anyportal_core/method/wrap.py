"""Light wrap: light of the new background that scatters over the foreground's edge, as in a lens against a window."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from anyportal_core.method.wide import wide_blur
from anyportal_core.ops import ImageOps

_LEAST = 2e-3
"""Share of open background around a place below which nothing reaches it: the foreground's core stays its own."""


def wrap_light(background: Any, matte: Any, strength: float, width: float, ops: ImageOps) -> Any:
    """The light ``(H, W, 3)`` to be added to the straight foreground; exactly 0 deep inside it, and outside it.

    Args:
        background: linear light ``(H, W, 3)``; what is below 0 counts as 0.
        matte: ``(H, W)``, 0..1.
        strength: the share of the light that scatters, 0..1.
        width: how far it reaches, in pixels: the deviation of the blur.
    """
    xp = array_namespace(background, matte)
    opening = 1 - matte
    share = wide_blur(opening, width, ops)
    spill = wide_blur(xp.clip(background, 0.0, None) * opening[..., None], width, ops)
    # Fades out where the share does, so that no bright background leaves a step behind.
    kept = xp.clip(share - _LEAST, 0.0, None) / xp.clip(share, _LEAST, None)
    inside = xp.where(matte > 0, kept, xp.zeros_like(kept))[..., None]
    return strength * inside * spill
