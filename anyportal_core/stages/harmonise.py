"""Stage ``harmonise``: the foreground relit by the background, at full strength."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.media.encoding import SRGB
from anyportal_core.roles import Chunk
from anyportal_core.roles.harmonise import HarmonisePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material
from anyportal_core.stages.unscreened import unscreened

CODE_VERSION = 3

_SIZE = 256
"""Long side of the pictures that light is told from."""


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: HarmonisePlugin = cast.plugin("harmonise")
    background = material.background(cast.plugin("background"), cast.context("background"))
    around = Surroundings(material) if Surroundings.known(material) else None
    plate = unscreened(material.plate(), material.matte(), material.results["matte"])
    sources = plate, material.matte(), background
    for take in material.takes:
        plate, matte, behind = (take.frames(source) for source in sources)
        context = take.context(cast.context("harmonise"))
        context = replace(context, surroundings=take.frames(around) if around else None)
        yield from plugin.relight(plate, matte, behind, context)


class Surroundings:
    """The backdrop's whole pictures, display-referred: what the framing cuts off lights the foreground as well.

    They are mirrored where the background is; nothing else of the framing shows.
    """

    def __init__(self, material: Material) -> None:
        self.numbers = material.numbers
        self._stored = material.background_frame
        self._reader = material.backdrop_reader(SRGB, _SIZE)
        self.height, self.width = self._picture(0).shape[:2]

    @staticmethod
    def known(material: Material) -> bool:
        """Whether the background is the backdrop's own picture, and not made from it."""
        return {"placement", "backdrop_index"} <= set(material.background_frame(0))

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, start: int, stop: int) -> Image:
        return np.stack([self._picture(index) for index in range(start, stop)])

    def _picture(self, index: int) -> Image:
        stored = self._stored(index)
        picture = np.clip(self._reader.read(int(stored["backdrop_index"])), 0, 1)
        left, right = (_across(np.asarray(stored["placement"], np.float64), x) for x in (0.0, 1.0))
        return picture[:, ::-1] if right < left else picture


def _across(placement: np.ndarray, x: float) -> float:
    """Where on the backdrop a point of the frame's middle row lies, left to right."""
    at, _, depth = placement @ [x, 0.5, 1.0]
    return float(at / depth)
