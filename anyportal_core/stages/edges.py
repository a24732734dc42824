"""What an artist does to a foreground's edge: moves it, softens it, and takes the screen's light off its colours."""

from __future__ import annotations

from typing import cast as typed

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.media.encoding import Encoding, from_linear, to_linear
from anyportal_core.method.despill import Own, despill, own_colour
from anyportal_core.method.edges import continued, refined
from anyportal_core.method.screens import excess
from anyportal_core.ops import ImageOps
from anyportal_core.settings import Settings

_SMALL = 240
"""Height of the picture that a foreground's own colour is told from: it changes slowly."""

_FAINT = np.float32(1e-3)


class Edges:
    """Edge shift, edge softness and despill as a recipe asks for them; where it asks for nothing, every bit stays."""

    def __init__(self, settings: Settings, encoding: Encoding, ops: ImageOps) -> None:
        self._settings, self._encoding, self._ops = settings, encoding, ops

    def despill(self, number: int, foreground: Image, alpha: Image, screen: Image) -> None:
        """Take the light of a screen ``(3,)``, as a monitor shows it, off a foreground ``(H, W, 3)``, in place.

        In linear light, since light was added; pixels without any of it keep their bits.
        """
        strength, channel = self._settings.number("despill", number), int(np.argmax(screen))
        if not strength or not excess(screen, channel) > 0:
            return
        spared, lean = self._own_colour(foreground, alpha, channel)
        there = (excess(foreground, channel) > 0) | ((lean < 0) & (alpha > 0))
        light, own = to_linear(foreground[there], self._encoding), Own(spared[there], lean[there])
        clean = typed(Image, despill(light, channel, own, strength))
        foreground[there] = np.where(clean == light, foreground[there], from_linear(clean, self._encoding))

    def _own_colour(self, foreground: Image, alpha: Image, channel: int) -> Own:
        """What of the screen's colour is the foreground's own, at its full size."""
        height, width = alpha.shape
        shrink = max(1, round(height / _SMALL))
        h, w = -(-height // shrink), -(-width // shrink)
        thin = typed(Image, self._ops.resize(alpha, h, w, "area"))
        small = typed(Image, self._ops.resize(foreground * alpha[..., None], h, w, "area"))
        straight = np.asarray(small / np.maximum(thin, _FAINT)[..., None], np.float32)
        own = own_colour(to_linear(straight, self._encoding), thin, channel, self._ops)
        return Own(*(self._ops.resize(part, height, width) for part in own))

    def moved(self, number: int, alpha: Image) -> Image:
        """The matte ``(H, W)`` with its edge where it is asked for; itself where nothing is."""
        percent = len(alpha) / 100
        shift, softness = (self._settings.number(name, number) * percent for name in ("edge_shift", "edge_softness"))
        if not shift and not softness:
            return alpha
        return typed(Image, refined(alpha, shift, softness, self._ops))

    def continued(self, foreground: Image, before: Image, after: Image) -> Image:
        """The foreground with colours where its matte was moved to as well."""
        return foreground if before is after else typed(Image, continued(foreground, before, after, self._ops))
