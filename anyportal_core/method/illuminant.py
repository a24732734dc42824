"""What a picture tells of the light of a place. It shows surfaces and not their light: all here are hints.

Light is linear, ``(h, w, 3)``. Colours are told apart as an eye does, from logarithms: ``level`` (luminance),
``amber`` (half of red against blue) and ``green`` (against the mean of the two).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image

Vector = NDArray[np.float64]

LUMA = np.array([0.2126, 0.7152, 0.0722])
FLOOR = 2e-3
"""Light that is added before a logarithm: what is darker is not told apart."""

_OPPONENT = np.array([LUMA, [0.5, 0, -0.5], [-0.5, 1, -0.5]]).T
_BACK = np.linalg.inv(_OPPONENT)

_FEW = 0.003
"""Of the grid's cells: where there are fewer of a place, nothing is said about it."""

_CLIPPED = 0.7
"""Light from which on a picture holds back how bright it truly is: a window, a lamp, the sun."""

_BEYOND = 4.0
"""What is added to the light of what is white in the picture."""


class Surroundings(NamedTuple):
    """A place: how light it is, of what colour, and where from.

    Args:
        level: log of the mean luminance; ``evenly``: the mean of the logs, the lower the more of it is dark.
        amber, green: of the mean light.
        side, side_amber, side_green: right half against left half.
        lamps: where its bright light comes from, -1 left to 1 right.
        above: upper half against lower half.
    """

    level: float
    evenly: float
    amber: float
    green: float
    side: float
    side_amber: float
    side_green: float
    lamps: float
    above: float


class Subject(NamedTuple):
    """A foreground in the light it was taken in.

    Args:
        level: the mean log luminance; ``bright``: its 95th percentile.
        amber, green: of its mean light.
        side: how much lighter what faces right is than what faces the camera.
    """

    level: float
    bright: float
    amber: float
    green: float
    side: float


def opponent(log_light: Any) -> Any:
    """``[level, amber, green]`` of the logarithms of red, green and blue, ``(..., 3)``."""
    return log_light @ _OPPONENT


def from_opponent(parts: Any) -> Any:
    """Red, green and blue from ``[level, amber, green]``, ``(..., 3)``, logarithms."""
    return parts @ _BACK


def surroundings(light: Image, weight: Image) -> Surroundings | None:
    """What is told of a place; None where there is next to none of it.

    Args:
        weight: ``(h, w)``; what counts as the place is where it is above a half.
    """
    there = weight > 0.5
    chosen = light[there].astype(np.float64)
    if len(chosen) < _FEW * weight.size:
        return None
    level, amber, green = _mean_light(chosen)
    middle = there.shape[1] / 2, there.shape[0] / 2
    columns, rows = np.nonzero(there)[1] + 0.5, np.nonzero(there)[0] + 0.5
    side = _difference(chosen, columns > middle[0])
    above = _difference(chosen, rows < middle[1])[0]
    luminance = chosen @ LUMA
    bright = luminance + _BEYOND * np.clip((luminance - _CLIPPED) / (1 - _CLIPPED), 0, 1) ** 2 + 1e-4
    across = columns / middle[0] - 1
    lamps = float(bright @ across / bright.sum() - across.mean())
    evenly = float(np.log(luminance + FLOOR).mean())
    return Surroundings(level, evenly, amber, green, *side, lamps, above)


def subject(light: Image, cover: Image, across: Image) -> Subject | None:
    """What is told of a foreground; None where there is next to none of it.

    Args:
        cover: the matte, ``(h, w)``.
        across: how far the surface faces right, ``(h, w)``.
    """
    there = cover > 0.5 if not (cover > 0.9).any() else cover > 0.9
    chosen = light[there].astype(np.float64)
    if len(chosen) < _FEW * cover.size:
        return None
    _, amber, green = _mean_light(chosen)
    luminance = np.log(chosen @ LUMA + FLOOR)
    facing = across[there] - across[there].mean()
    # A little is added below, so that a foreground that shows no sides is not said to be lit from one.
    side = float(facing @ (luminance - luminance.mean()) / (facing @ facing + 0.02 * len(facing)))
    return Subject(float(luminance.mean()), float(np.quantile(luminance, 0.95)), amber, green, side)


def _mean_light(chosen: Vector) -> tuple[float, float, float]:
    _, amber, green = opponent(np.log(chosen.mean(axis=0) + FLOOR))
    return float(np.log(chosen.mean(axis=0) @ LUMA + FLOOR)), float(amber), float(green)


def _difference(chosen: Vector, first: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Of the mean light of two parts, as opponent colours; none where a part is hardly there."""
    if min(first.sum(), (~first).sum()) < 0.02 * len(first):
        return 0.0, 0.0, 0.0
    parts = [opponent(np.log(chosen[part].mean(axis=0) + FLOOR)) for part in (first, ~first)]
    level, amber, green = parts[0] - parts[1]
    return float(level), float(amber), float(green)
