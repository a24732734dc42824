"""Moves between noise levels for networks that predict velocity, ``sqrt(alpha) * noise - sqrt(1-alpha) * clean``.

Levels are given as their cumulative ``alpha`` (see `schedule`): 0 is pure noise, 1 is clean. The arrays are of any
library and of any shape; the coefficients are float64 and do not promote them.
"""

from __future__ import annotations

from math import sqrt
from typing import Any


def noised(clean: Any, noise: Any, alpha: float) -> Any:
    """A clean sample brought to a level: where SDEdit (arXiv 2108.01073) begins."""
    return sqrt(alpha) * clean + sqrt(1 - alpha) * noise


def cleaned(sample: Any, velocity: Any, alpha: float) -> Any:
    """The clean sample that a prediction points to."""
    return sqrt(alpha) * sample - sqrt(1 - alpha) * velocity


def moved(sample: Any, clean: Any, alpha: float, to_alpha: float) -> Any:
    """A sample moved to another level along the noise that is in it (DDIM, arXiv 2010.02502, no fresh noise)."""
    kept = sqrt((1 - to_alpha) / (1 - alpha))
    return kept * sample + (sqrt(to_alpha) - sqrt(alpha) * kept) * clean


def renoised(sample: Any, noise: Any, alpha: float, to_alpha: float) -> Any:
    """A sample brought back to a noisier level in one step: the noise in it stays, fresh noise is added to it."""
    ratio = to_alpha / alpha
    return sqrt(ratio) * sample + sqrt(1 - ratio) * noise


def guided(uncond: Any, cond: Any, scale: float) -> Any:
    """Classifier-free guidance (arXiv 2207.12598)."""
    return uncond + scale * (cond - uncond)
