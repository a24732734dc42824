"""Motion between frames, as the clip metrics see it: dense flow on pictures of evened-out contrast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Planes = NDArray[np.float32]
Field = NDArray[np.float32]
"""``(H, W, 2)``: where each pixel is found in the other frame, in pixels right and down of itself."""


def grey(frame: Bytes) -> Bytes:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def equalised(frame: Bytes, strength: float = 3.0) -> Bytes:
    """Grey, its contrast evened out in parts, so that dark clips have motion, too."""
    return np.asarray(cv2.createCLAHE(strength, (8, 8)).apply(grey(frame)), np.uint8)


def flow(first: Bytes, second: Bytes) -> Field:
    """From the first grey picture to the second."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(finder.calc(first, second, None), np.float32)  # type: ignore[call-overload]


def taken(image: Any, field: Field) -> Any:
    """What a field points at, of an image: at each pixel the value where the field leads."""
    x, y = _places(field)
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def stays(there: Field, back: Field) -> NDArray[np.bool_]:
    """Where going there and back ends near the start, and within the picture."""
    way = taken(back, there)
    missed = ((there + way) ** 2).sum(-1)
    height, width = there.shape[:2]
    x, y = _places(there)
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    return np.asarray((missed < 0.01 * ((there**2).sum(-1) + (way**2).sum(-1)) + 0.5) & inside)


def morphed(mask: NDArray[np.bool_], radius: int, operation: Callable[..., Any]) -> NDArray[np.bool_]:
    """A mask eroded or dilated by a disc."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(operation(mask.astype(np.uint8), disc) > 0)


def _places(field: Field) -> tuple[Planes, Planes]:
    rows, columns = np.mgrid[0 : field.shape[0], 0 : field.shape[1]].astype(np.float32)
    return columns + field[..., 0], rows + field[..., 1]
