"""How far the plate's own background is out of focus, so that a backdrop can be as well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anyportal_core.frames import FrameSource, Image
from anyportal_core.method.sharpness import measure_blur
from anyportal_core.ops import opencv as ops

SAMPLES = 4
"""Frames that are measured."""

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_CLEAR = 3.0  # pixels: a blur beyond that is measured in a smaller picture
_SMALLER = (1, 2, 4, 8)
_LEAST = 48  # pixels a side of a picture that is measured


def samples(count: int) -> list[int]:
    """Indices from all over ``count`` frames."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(SAMPLES, count))})


def plate_defocus(plate: FrameSource, matte: FrameSource) -> float | None:
    """The blur of what is behind the foreground, a Gaussian's deviation in heights; None where nothing tells."""
    pictures, clear = [], []
    for index in samples(len(plate)):
        pictures.append(plate.read(index, index + 1)[0])
        clear.append((matte.read(index, index + 1)[0, ..., 0] < 0.02).astype(np.float32))
    return defocus(pictures, clear)


def defocus(pictures: Sequence[Image], clear: Sequence[Image]) -> float | None:
    """The blur of pictures ``(H, W, 3)`` where ``clear`` ``(H, W)`` is 1, in heights.

    Edges are found where they are steep, so a strong blur is measured in a picture that is small enough to have some.
    """
    found = None
    for smaller in _SMALLER:
        height, width = (side // smaller for side in clear[0].shape)
        if min(height, width) < _LEAST:
            break
        luma = [ops.resize(picture @ _LUMA, height, width, "area") for picture in pictures]
        weights = [(ops.resize(part, height, width, "area") >= 1).astype(np.float32) for part in clear]
        blur = measure_blur(luma, weights, ops)
        if blur is not None:
            found = blur / height
            if blur <= _CLEAR:
                break
    return found
