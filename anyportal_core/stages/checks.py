"""What a shot must be for its background to be painted, one shot with a foreground before a background; and doubts."""

from __future__ import annotations

from typing import Final

import numpy as np

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import chunks
from anyportal_core.stages.cuts import ranges
from anyportal_core.stages.material import Material

AT_ONCE: Final = 16

LEAST: Final = 1e-4
"""Share of all pixels, over the shot: less than that is neither a foreground nor a background."""


def check_one_shot(material: Material) -> None:
    """Raises ShotError where the plate has a cut inside."""
    at = [material.numbers[take.start] for take in material.takes[1:]]
    if at:
        parts = ranges(material.numbers[0], at, material.numbers[-1])
        raise ShotError(
            f"there is a cut: frame {at[0]} begins another shot",
            where=str(material.info.path),
            hint=f"give the ranges {' and '.join(parts)} as shots of their own",
        )


def check_foreground(material: Material) -> None:
    """Raises NoForegroundError where the matte is empty or covers everything."""
    share = _share(material)
    if share < LEAST:
        raise NoForegroundError("the matte has no foreground", where="shot", hint="give a --matte or a --mask")
    if share > 1 - LEAST:
        raise NoForegroundError(
            "the matte is nothing but foreground: there is no background to replace",
            where="shot",
            hint="check that the matte is white where the foreground is, and black elsewhere",
        )


def doubts(material: Material) -> str:
    """What is odd about a matte that can be worked with all the same; mostly empty."""
    share = _share(material)
    if share == 0:
        return "the matte is empty: the result is the background alone"
    return "the matte is white all over: the result is the plate alone" if share == 1 else ""


def _share(material: Material) -> float:
    """The foreground's share of all pixels, over the shot."""
    matte = material.matte()
    means = [float(matte.read(start, stop).mean(dtype=np.float64)) for start, stop in chunks(len(matte), AT_ONCE)]
    return sum(means) / len(means)
