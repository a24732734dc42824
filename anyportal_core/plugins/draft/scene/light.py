"""What one frame tells of its light: its old surroundings, its foreground and its new surroundings."""

from __future__ import annotations

from typing import cast

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.method.illuminant import FLOOR, LUMA, Subject, Surroundings, subject, surroundings
from anyportal_core.method.normals import cushion
from anyportal_core.method.srgb import to_light
from anyportal_core.ops import opencv as ops

_NEAR = 0.06
"""How far around the foreground is near it: the deviation of a blur, in widths of the picture."""


def light(picture: Image, size: tuple[int, int]) -> Image:
    """A display-referred picture as linear light on a grid ``size``."""
    return np.asarray(to_light(ops.resize(picture, *size, "area")), np.float32)


def cover(alpha: Image, size: tuple[int, int]) -> Image:
    """A matte ``(H, W, 1)`` on a grid, ``(h, w)``."""
    return np.asarray(ops.resize(alpha[..., 0], *size, "area"), np.float32)


def facing(covered: Image) -> tuple[Image, Image]:
    """How far the foreground's surface faces right and down, ``(h, w)``."""
    return cast(tuple[Image, Image], cushion(covered, ops))


def old_light(plate: Image, covered: Image, across: Image) -> tuple[Surroundings | None, Subject | None]:
    """Of a plate as linear light."""
    clear = 1 - np.minimum(1, 10 * ops.dilate(covered, 1))
    return surroundings(plate, clear), subject(plate, covered, across)


def new_light(whole: Image, background: Image, covered: Image) -> tuple[Surroundings, float]:
    """The new surroundings, from linear light, and how light they are close around the foreground.

    Args:
        whole: the new place as far as it is known; ``background``: what the frame shows of it.
    """
    around = surroundings(whole, np.ones_like(covered))
    assert around is not None
    ring = ops.gaussian(covered, max(_NEAR * covered.shape[1], 0.5)) * (1 - covered)
    total = float(ring.sum())
    if total < 1e-3:
        return around, around.level
    return around, float(np.log((background @ LUMA * ring).sum() / total + FLOOR))
