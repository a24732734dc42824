"""The veils over a shot: measured with its light, laid on as far as the artist wants them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.method.illuminant import Vector
from anyportal_core.method.veil import anchored, new_veil, old_veil
from anyportal_core.ops import opencv as ops


def veils(plate: Image, covered: Image, background: Image) -> Vector | None:
    """``(6,)``, the plate's and the background's, from their linear light on a grid; None where nothing is told."""
    old = old_veil(plate, covered)
    return None if old is None else np.concatenate([old, new_veil(background, ops)])


class Shown(NamedTuple):
    """What of the veils is taken off and laid on in one frame, and what that asks of the gain.

    Args:
        veil: ``(2, 3)``.
        exposure: log gain that keeps the foreground's middle as light as it would be.
    """

    veil: NDArray[np.float32]
    exposure: float

    @classmethod
    def of(cls, found: Vector, share: float, level: float, log_gain: float) -> Shown:
        """Args: ``found`` as `veils` has them; ``level``: log light of the foreground, that ``log_gain`` changes."""
        old, new = share * found.reshape(2, 3)
        exposure = anchored(old, new, float(np.exp(level)), float(np.exp(log_gain)))
        return cls(np.array([old, new], np.float32), exposure)
