"""A drawn person, plain enough to need no footage and like enough that a segmentation model finds it."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from anyportal_core.frames import Image
from anyportal_core.testing.clips import Scene

_FINE = 4  # drawn this much larger, then reduced: soft edges, and a true coverage for matte

# Ellipses (centre x, y, half axes x, y in units of width, height, width, height; colour 0..255).
_BODY = (
    (0.0, 1.02, 0.24, 0.40, (125, 60, 55)),
    (0.0, 0.60, 0.045, 0.14, (200, 150, 125)),
    (0.0, 0.36, 0.10, 0.19, (60, 40, 30)),
)
_FACE = (
    (0.0, 0.40, 0.08, 0.16, (220, 170, 145)),
    *((side, 0.37, 0.014, 0.012, (250, 250, 250)) for side in (-0.033, 0.033)),
    *((side, 0.37, 0.007, 0.010, (40, 30, 20)) for side in (-0.033, 0.033)),
    *((side, 0.335, 0.02, 0.008, (60, 40, 30)) for side in (-0.033, 0.033)),
    (0.0, 0.43, 0.010, 0.03, (195, 140, 115)),
    (0.0, 0.49, 0.028, 0.011, (170, 70, 70)),
)


def drawn_person(
    count: int = 4,
    height: int = 180,
    width: int = 240,
    wall: tuple[int, int, int] = (190, 200, 210),
    drift: float = 1.0,
) -> Scene:
    """A person who moves ``drift`` pixels a frame to the right, before a shaded wall of one colour (0..255)."""
    shade = np.linspace(0.8, 1.1, height * _FINE).reshape(-1, 1, 1) * np.ones((1, width * _FINE, 1))
    background = np.clip(shade * np.array(wall) / 255, 0, 1).astype(np.float32)
    drawn = [_draw(background, 0.5 + drift * (t - count / 2) / width) for t in range(count)]
    return Scene(
        np.stack([_reduced(plate, height, width) for plate, _ in drawn]),
        np.stack([_reduced(matte, height, width) for _, matte in drawn]),
        np.stack([_reduced(background, height, width)] * count),
    )


def _draw(background: Image, centre: float) -> tuple[Image, Image]:
    plate, matte = background.copy(), np.zeros(background.shape[:2], np.float32)
    height, width = background.shape[:2]
    for part in (*_BODY, *_FACE):
        x, y, across, down, colour = part
        at = (round((centre + x) * width), round(y * height))
        axes = (round(across * width), round(down * height))
        cv2.ellipse(plate, at, axes, 0, 0, 360, [c / 255 for c in colour], -1)
        if part in _BODY:
            cv2.ellipse(matte, at, axes, 0, 0, 360, [1.0], -1)
    return plate, matte


def _reduced(image: Image, height: int, width: int) -> Image:
    return cast(Image, cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
