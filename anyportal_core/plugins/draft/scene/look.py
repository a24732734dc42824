"""What the artist asks of the light at one frame, and how that changes what was found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anyportal_core.method.illuminant import Vector
from anyportal_core.method.irradiance import Change
from anyportal_core.settings import Settings

_WARM = 0.25
"""Log gain of red, and loss of blue, at a warmth of 1."""


@dataclass(frozen=True)
class Look:
    """The settings' values at a frame.

    Args:
        exposure: log gain.
        warmth: -1..1.
        direction: how much of the light found from one side shows.
        colour: how much of the light's colour is taken over.
        key: log gain from the middle of the foreground to what faces the artist's own light, right and down.
    """

    exposure: float
    warmth: float
    direction: float
    colour: float
    key: tuple[float, float]

    @classmethod
    def read(cls, settings: Settings, frame: int) -> Look:
        exposure, warmth, direction, colour, key, angle = (
            settings.number(name, frame) for name in ("exposure", "warmth", "direction", "colour", "key", "key_angle")
        )
        half = key * np.log(2.0) / 2
        turn = np.radians(angle)
        right, down = half * float(np.sin(turn)), -half * float(np.cos(turn))
        return cls(exposure * float(np.log(2.0)), warmth, direction, colour, (right, down))

    def applied(self, found: Change) -> tuple[Vector, Vector, Vector]:
        """``(whole, right, down)`` as ``irradiance.gain`` takes them."""
        coloured = np.array([1.0, self.colour, self.colour])
        whole = found.even * coloured + [self.exposure, self.warmth * _WARM, 0.0]
        right = found.side * coloured * self.direction + [self.key[0], 0.0, 0.0]
        return whole, right, np.array([self.key[1], 0.0, 0.0])
