"""The veil over a picture: light that haze, flare or a lens's own scatter adds everywhere, so that nothing is black.

It lies between the foreground and the camera and is no light on the foreground: a gain must not multiply it. So the
old one is taken off before the gain, and that of the new place laid on after it. That the darkest things of a picture
tell it is dark-object subtraction (Chavez, "An improved dark-object subtraction technique for atmospheric scattering
correction of multispectral data", Remote Sensing of Environment 24, 1988) and the dark channel (He, Sun, Tang,
"Single image haze removal using dark channel prior", CVPR 2009).
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from anyportal_core.method.gain import apply_gain

TINY = 1e-9


def through_veil(light: Any, log_gain: Any, old: Any, new: Any) -> Any:
    """Linear ``light`` ``(H, W, 3)`` without its old veil, times the gain, under the new veil.

    Nothing that was above 0 gets to it or below: what is darker than the old veil is bent over, smoothly.

    Args:
        old, new: ``(3,)``, not negative.
    """
    xp = array_namespace(light, log_gain)
    above = xp.clip(light, 0.0, None)
    bare = xp.where(light > 0, light - old * (above / (above + old + TINY)), light)
    return apply_gain(bare, log_gain) + new
