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
        rim: log gain from the middle of the foreground to its edges.
        haze: how much of the veils found is taken off and laid on.
    """

    exposure: float
    warmth: float
    direction: float
    colour: float
    key: tuple[float, float]
    rim: float
    haze: float

    @classmethod
    def read(cls, settings: Settings, frame: int) -> Look:
        names = ("exposure", "warmth", "direction", "colour", "key", "key_angle", "rim", "haze")
        exposure, warmth, direction, colour, key, angle, rim, haze = (settings.number(name, frame) for name in names)
        half = key * np.log(2.0) / 2
        turn = np.radians(angle)
        right, down = half * float(np.sin(turn)), -half * float(np.cos(turn))
        stop = float(np.log(2.0))
        return cls(exposure * stop, warmth, direction, colour, (right, down), rim * stop, haze)

    def applied(self, found: Change) -> tuple[Vector, Vector, Vector, Vector]:
        """``(whole, right, down, rim)`` as ``irradiance.gain`` takes them."""
        coloured = np.array([1.0, self.colour, self.colour])
        whole = found.even * coloured + [self.exposure, self.warmth * _WARM, 0.0]
        right = found.side * coloured * self.direction + [self.key[0], 0.0, 0.0]
        down, rim = (np.array([level, 0.0, 0.0]) for level in (self.key[1], self.rim))
        return whole, right, down, rim
