"""Which of several people is meant."""

from __future__ import annotations

import math
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image

Who = Literal["all", "largest", "picked"]

FAR = 0.1
"""Of the picture's width: a picked point that is farther from everybody was hardly meant."""

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


def aside(found: Image, spot: tuple[float, float]) -> float:
    """How far a spot is from the nearest person of a probability ``(H, W)``, in shares of the width."""
    away = _away(found > _SURE, spot)
    return math.sqrt(float(away.min())) / found.shape[1] if away.size else math.inf


def missed(percent: tuple[float, float], number: int, away: float) -> str:
    """What to say where nobody is near the picked point.

    Args:
        percent: ``pick_x`` and ``pick_y``.
        number: the frame that was looked at.
        away: how far the nearest person is, in shares of the width.
    """
    text = (
        f"nobody is at the picked point, {percent[0]:g} % from the left and {percent[1]:g} % from the top, on frame "
        f"{number}: whoever was nearest is kept, {away:.0%} of the width away; set matte.pick_x and matte.pick_y to "
        "a point on the person who is meant"
    )
    shares = all(0 < value < 1 for value in percent)
    return f"{text}. They are percent, 0 to 100: half of the width is 50, not 0.5" if shares else text


def _away(people: NDArray[np.bool_], spot: tuple[float, float]) -> NDArray[np.int64]:
    """The squared distances in pixels of a spot from each pixel ``(N,)`` that shows people."""
    height, width = people.shape
    x, y = round(spot[0] * (width - 1)), round(spot[1] * (height - 1))
    rows, columns = np.nonzero(people)
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2, np.int64)


def _island(islands: NDArray[np.int32], count: int, who: Who, spot: tuple[float, float], before: Image | None) -> int:
    if before is not None and (before > _SURE).any():
        shared = np.bincount(islands[before > _SURE], minlength=count)
        if shared[1:].any():
            return 1 + int(shared[1:].argmax())
    elif who == "picked":
        return int(islands[islands > 0][np.argmin(_away(islands > 0, spot))])
    return 1 + int(np.bincount(islands.ravel(), minlength=count)[1:].argmax())
