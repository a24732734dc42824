"""Stage ``harmonise``: the foreground relit by the background, at full strength."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.media.encoding import SRGB
from anyportal_core.ops import opencv as ops
from anyportal_core.roles import Chunk
from anyportal_core.roles.harmonise import HarmonisePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material
from anyportal_core.stages.unscreened import is_screened, unscreened

CODE_VERSION = 5

Matrix = NDArray[np.float64]

_SIZE = 256
"""Long side of the pictures that light is told from."""


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: HarmonisePlugin = cast.plugin("harmonise")
    background = material.background(cast.plugin("background"), cast.context("background"))
    around = Surroundings(material) if Surroundings.known(material) else None
    keyed = material.results["matte"]
    plate = unscreened(material.plate(), material.matte(), keyed)
    own = replace(cast.context("harmonise"), screened=is_screened(keyed))
    sources = plate, material.matte(), background
    for take in material.takes:
        plate, matte, behind = (take.frames(source) for source in sources)
        context = replace(take.context(own), surroundings=take.frames(around) if around else None)
        yield from plugin.relight(plate, matte, behind, context)


class Surroundings:
    """The backdrop's whole pictures, display-referred: what the framing cuts off lights the foreground as well.

    They are turned and mirrored as the background is, so that light comes from where it shows; nothing else of the
    framing shows. However they are turned, they are shown whole: they are stretched to their own shape.
    """

    def __init__(self, material: Material) -> None:
        self.numbers = material.numbers
        self._stored = material.background_frame
        self._reader = material.backdrop_reader(SRGB, _SIZE)
        self._aspect = material.aspect
        self.height, self.width = self._whole(0).shape[:2]

    @staticmethod
    def known(material: Material) -> bool:
        """Whether the background is the backdrop's own picture, and not made from it."""
        return {"placement", "backdrop_index"} <= set(material.background_frame(0))

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, start: int, stop: int) -> Image:
        return np.stack([self._picture(index) for index in range(start, stop)])

    def _whole(self, index: int) -> Image:
        picture = self._reader.read(int(self._stored(index)["backdrop_index"]))
        return np.asarray(np.clip(picture, 0, 1), np.float32)

    def _picture(self, index: int) -> Image:
        placement = np.asarray(self._stored(index)["placement"], np.float64)
        angle, mirrored = _turned(placement, self._aspect, self.width / self.height)
        turned = _turn(self._whole(index), angle)
        return turned[:, ::-1] if mirrored else turned


def _turned(placement: Matrix, frame: float, picture: float) -> tuple[float, bool]:
    """By what angle the backdrop is turned as it is seen in the frame's middle, and whether it is mirrored before.

    Args:
        placement: unit coordinates of the frame to those of the backdrop.
        frame, picture: width over height of the two.
    """
    x, y, depth = placement @ [0.5, 0.5, 1.0]
    near = (placement[:2, :2] - np.outer([x, y], placement[2, :2]) / depth) / depth
    near = np.diag([picture, 1.0]) @ near @ np.diag([1 / frame, 1.0])
    mirrored = bool(np.linalg.det(near) < 0)
    if mirrored:
        near[:, 0] *= -1
    return float(np.arctan2(near[1, 0] - near[0, 1], near[0, 0] + near[1, 1])), mirrored


def _turn(picture: Image, angle: float) -> Image:
    """The picture as a frame shows it whose axes lie at that angle on it; continued by its reflection."""
    cosine, sine = np.cos(angle), np.sin(angle)
    around = np.array([[cosine, -sine, (1 - cosine + sine) / 2], [sine, cosine, (1 - cosine - sine) / 2], [0, 0, 1]])
    return np.asarray(np.clip(ops.warp(picture, around, *picture.shape[:2]), 0, 1), np.float32)
