"""The sRGB curve between display-referred values and light (IEC 61966-2-1), for any array library."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace


def to_light(display: Any) -> Any:
    """Display-referred values, 0..1, to linear light, any shape; negative values are taken for 0."""
    xp = array_namespace(display)
    display = xp.clip(display, 0.0, None)
    return xp.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)


def to_display(light: Any) -> Any:
    """Linear light to display-referred values, any shape; negative values are taken for 0."""
    xp = array_namespace(light)
    light = xp.clip(light, 0.0, None)
    return xp.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
