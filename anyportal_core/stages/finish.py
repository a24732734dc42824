"""Stage ``finish``: from what the models found to the plate's own size, frame by frame.

Everything happens in the plate's own encoding, except the gain, which acts on linear light. The foreground keeps
the plate's own pixels: with strength 0 they come back bit for bit where the matte is 1.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import compress
from typing import cast as typed

import numpy as np

from anyportal_core.delivery import Delivery
from anyportal_core.frames import Image
from anyportal_core.media.clip import Frame
from anyportal_core.media.encoding import from_linear, to_display, to_linear
from anyportal_core.media.exr import composed
from anyportal_core.method.gain import apply_gain, upsample_gain
from anyportal_core.method.matting import bounds, estimate_foreground
from anyportal_core.ops import ImageOps
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 2

_SOLID = np.float32(1 - 2**-12)
"""What half float rounds to 1: there the delivered matte says that the foreground is the plate's own."""

_CONTINUED = 16
"""Pixels around the foreground that its estimated colours may be continued into."""


class Finish:
    """Makes the delivered layers of every frame."""

    def __init__(self, material: Material, cast: Cast, delivery: Delivery, ops: ImageOps) -> None:
        self._material = material
        self._cast = cast
        self._wants_gain = "gain" in delivery.layers
        self._ops = ops
        self._encoding = material.info.encoding
        long_side = 2 * max(material.info.width, material.info.height)
        self._backdrop = material.backdrop_reader(self._encoding, long_side)

    def frames(self, skipped: Container[int] = ()) -> Iterator[tuple[int, dict[str, Image]]]:
        """``(frame number, layer to image)`` for every delivered frame that is not ``skipped``, in order.

        The parts of the comp come along even where only the comp is wanted: an EXR makes its comp from the
        parts as it stores them, so that the comp is the same whichever layers are delivered beside it.
        """
        material = self._material
        first = material.numbers[0]
        wanted = [number not in skipped for number in material.deliver.numbers]
        if not any(wanted):
            return
        frames = material.plate_clip.frames(list(compress(material.deliver.numbers, wanted)))
        for frame, given in zip(frames, compress(material.full_matte(), wanted), strict=False):
            yield frame.number, self._layers(frame, frame.number - first, given)

    def _layers(self, frame: Frame, index: int, given: Image | None) -> dict[str, Image]:
        height, width = frame.pixels.shape[:2]
        alpha = self._matte(frame, index, given)
        background = self._background(index, height, width)
        foreground, gain = self._relit(frame, index, alpha)
        comp = composed(foreground, background, alpha)
        return {"comp": comp, "foreground": foreground, "background": background, "matte": alpha, "gain": gain}

    def _matte(self, frame: Frame, index: int, given: Image | None) -> Image:
        stored = self._material.results["matte"].frame(index)
        display = to_display(frame.pixels, self._encoding)
        plugin = self._cast.plugin("matte")
        alpha = typed(Image, plugin.render(display, stored, given, self._cast.context("matte")))
        alpha = np.where(alpha >= _SOLID, np.float32(1), alpha)
        if frame.extent is None:
            return alpha
        there = np.zeros_like(alpha)  # where the plate has no pixels, there is no foreground either
        there[frame.extent] = alpha[frame.extent]
        return there

    def _background(self, index: int, height: int, width: int) -> Image:
        stored = self._material.background_frame(index)
        picture = self._backdrop.read(int(stored["backdrop_index"])) if "backdrop_index" in stored else None
        plugin = self._cast.plugin("background")
        return typed(Image, plugin.render(stored, picture, height, width, self._cast.context("background")))

    def _relit(self, frame: Frame, index: int, alpha: Image) -> tuple[Image, Image]:
        """The relit straight foreground, 0 far from it; and the gain, where it is wanted, 1 where nothing is relit."""
        height, width = alpha.shape
        finish = self._material.recipe.finish
        foreground = (
            typed(Image, estimate_foreground(frame.pixels, alpha, self._ops))
            if finish.flag("clean_edges")
            else np.where(alpha[..., None] > 0, frame.pixels, np.float32(0))
        )
        gain = np.ones_like(foreground) if self._wants_gain else foreground
        strength = np.float32(finish.number("relight_strength", frame.number))
        log_gain = self._material.results["refine"].read("log_gain", index, index + 1)[0] * strength
        box = bounds(alpha > 0, _CONTINUED)
        if box is not None and log_gain.any():
            full = typed(Image, upsample_gain(log_gain, height, width, self._ops))[box]
            light = apply_gain(to_linear(foreground[box], self._encoding), full)
            # Where the light did not change, nor may the pixel: the way to linear light and back is not exact.
            foreground[box] = np.where(full == 0, foreground[box], from_linear(light, self._encoding))
            if self._wants_gain:
                gain[box] = np.exp(full)
        return foreground, gain
