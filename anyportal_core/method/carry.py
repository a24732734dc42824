"""The light of one window carried into the next: what a video model paints anew is never quite as bright or as blue."""

from __future__ import annotations

from typing import Any, Final

from array_api_compat import array_namespace

from anyportal_core.method.srgb import to_display, to_light

MOST: Final = 2.0
"""As many times brighter or darker a window may be made, by colour: more than that is no drift."""

DARK: Final = 1e-4
"""Linear light added on both sides, so that black has no colour."""


def carried(frames: Any, before: Any, cover: Any) -> Any:
    """A window's frames in the light of the window before, which shows the first of them as well.

    All of them take one gain in linear light, by colour: what brings the frames that both windows show to the mean
    light that they had. So light that drifts from window to window comes back to that of the first, and a change of
    light within a window stays.

    Args:
        frames: display-referred ``(t, H, W, 3)``, 0..1.
        before: the first of them as the window before shows them, ``(s, H, W, 3)``; none leaves all as it is.
        cover: ``(t, H, W, 1)``, 0..1: how far the model made them. Where it is 0 they come back bit for bit.
    """
    shared = before.shape[0]
    xp = array_namespace(frames, before, cover)
    if shared == 0 or not bool(xp.any(cover[:shared] > 0)):
        return frames
    light = to_light(frames)
    gain = _mean(to_light(before), cover[:shared]) / _mean(light[:shared], cover[:shared])
    lit = xp.clip(to_display(light * xp.clip(gain, 1 / MOST, MOST)), 0.0, 1.0)
    return xp.where(cover == 0, frames, frames + cover * (lit - frames))


def _mean(light: Any, cover: Any) -> Any:
    """By colour, ``(3,)``."""
    xp = array_namespace(light, cover)
    return xp.sum(light * cover, axis=(0, 1, 2)) / xp.sum(cover) + DARK
