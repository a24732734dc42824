"""What an artist does to a foreground's edge: moves it, softens it, and takes the screen's light off its colours."""

from __future__ import annotations

from typing import cast as typed

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.media.encoding import Encoding, from_linear, to_linear
from anyportal_core.method.edges import continued, refined
from anyportal_core.method.keying import despill
from anyportal_core.method.screens import excess
from anyportal_core.ops import ImageOps
from anyportal_core.settings import Settings


class Edges:
    """Edge shift, edge softness and despill as a recipe asks for them; where it asks for nothing, every bit stays."""

    def __init__(self, settings: Settings, encoding: Encoding, ops: ImageOps) -> None:
        self._settings, self._encoding, self._ops = settings, encoding, ops

    def despill(self, number: int, foreground: Image, screen: Image) -> None:
        """Take the light of a screen ``(3,)``, as a monitor shows it, off a foreground ``(H, W, 3)``, in place.

        In linear light, since light was added; pixels without any of it keep their bits.
        """
        strength, channel = self._settings.number("despill", number), int(np.argmax(screen))
        if not strength or not excess(screen, channel) > 0:
            return
        green = excess(foreground, channel) > 0
        light = to_linear(foreground[green], self._encoding)
        foreground[green] = from_linear(typed(Image, despill(light, screen, strength)), self._encoding)

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
