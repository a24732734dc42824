"""Which of several people is meant."""

from __future__ import annotations

from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image

Who = Literal["all", "largest", "picked"]

_SURE = 0.5


def chosen(found: Image, who: Who, spot: tuple[float, float], before: Image | None) -> Image:
    """The probability ``(H, W)`` of one person alone, or of all.

    People who touch are one. Someone once chosen is followed.

    Args:
        spot: where the picked one stands, ``(x, y)`` in shares of the picture.
        before: the chosen one's probability on the frame before, moved to this one; or None.
    """
    count, labelled = cv2.connectedComponents((found > _SURE).astype(np.uint8))
    islands = np.asarray(labelled, np.int32)
    if who == "all" or count <= 2:
        return found
    island = _island(islands, count, who, spot, before)
    # Soft surroundings belong to whom they are nearest to.
    empty = (islands != island).astype(np.uint8)
    others = ((islands == 0) | (islands == island)).astype(np.uint8)
    nearer = cv2.distanceTransform(empty, cv2.DIST_L2, 5) <= cv2.distanceTransform(others, cv2.DIST_L2, 5)
    return cast(Image, found * nearer)


def _island(islands: NDArray[np.int32], count: int, who: Who, spot: tuple[float, float], before: Image | None) -> int:
    if before is not None and (before > _SURE).any():
        shared = np.bincount(islands[before > _SURE], minlength=count)
        if shared[1:].any():
            return 1 + int(shared[1:].argmax())
    elif who == "picked":
        height, width = islands.shape
        x, y = round(spot[0] * (width - 1)), round(spot[1] * (height - 1))
        rows, columns = np.nonzero(islands)
        return int(islands[rows, columns][np.argmin((rows - y) ** 2 + (columns - x) ** 2)])
    return 1 + int(np.bincount(islands.ravel(), minlength=count)[1:].argmax())
