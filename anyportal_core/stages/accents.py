"""What ties the foreground to its new place: its shadow on the ground, and the light that wraps round its edges."""

from __future__ import annotations

from typing import cast as typed

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.media.encoding import Encoding, from_linear, to_linear
from anyportal_core.method.shadow import contact_shadow
from anyportal_core.method.upsampling import stripes
from anyportal_core.method.wrap import wrap_light
from anyportal_core.ops import ImageOps
from anyportal_core.settings import Settings

_LIT = np.float32(1 - 2**-12)
"""What half float rounds to 1: there the delivered shadow says that the background is as it was."""


class Accents:
    """Shadow and wrap as a recipe asks for them, at the strengths of one frame.

    Both act on linear light, and leave every pixel alone that they do not reach, bit for bit.
    """

    def __init__(self, settings: Settings, encoding: Encoding, ops: ImageOps) -> None:
        self._settings, self._encoding, self._ops = settings, encoding, ops

    def shadow(self, number: int, matte: Image) -> Image | None:
        """What the background's light is multiplied by, ``(H, W)``; None where there is no shadow."""
        strength = self._settings.number("shadow", number)
        if not strength:
            return None
        found = contact_shadow(matte, strength, self._settings.number("shadow_size", number), self._ops)
        shadow = np.where(found >= _LIT, np.float32(1), found)
        return shadow if bool((shadow < 1).any()) else None

    def wrap(self, number: int, background: Image, matte: Image) -> Image | None:
        """Light to be added to the foreground ``(H, W, 3)``; None where there is none."""
        strength = self._settings.number("wrap", number)
        if not strength:
            return None
        width = self._settings.number("wrap_width", number) / 100 * len(matte)
        light = to_linear(background, self._encoding)
        return typed(Image, wrap_light(light, matte, strength, width, self._ops))

    def shaded(self, background: Image, shadow: Image) -> Image:
        """The background with a shadow on it."""
        made = background.copy()
        for rows in stripes(0, len(made)):
            dark = shadow[rows, :, None]
            light = to_linear(background[rows], self._encoding) * dark
            made[rows] = np.where(dark == 1, background[rows], from_linear(light, self._encoding))
        return made

    def wrapped(self, foreground: Image, wrap: Image) -> Image:
        """The foreground with the light that wraps round it."""
        made = foreground.copy()
        for rows in stripes(0, len(made)):
            light = to_linear(foreground[rows], self._encoding) + wrap[rows]
            made[rows] = np.where(wrap[rows] == 0, foreground[rows], from_linear(light, self._encoding))
        return made
