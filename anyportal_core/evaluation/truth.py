"""A relit foreground against the truth, where there is one: scenes rendered in both places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anyportal_core.evaluation.baselines import composite, oracle_gain
from anyportal_core.evaluation.ciede2000 import delta_e, lab
from anyportal_core.frames import Image
from anyportal_core.method.srgb import to_display

ORACLE_BLUR = 8 / 432
"""Of the picture's width: the blur of the gain that counts as all that can be reached."""


@dataclass(frozen=True)
class Truth:
    """One frame of a rendered scene; linear light ``(H, W, 3)``, matte ``(H, W)``."""

    source: Image
    target: Image
    backdrop: Image
    matte: Image


def difference(truth: Truth, picture: Image) -> float:
    """Mean CIEDE2000 within the matte of a picture (linear light) against the truth."""
    inside = truth.matte > 0.5
    shown = (lab(to_display(np.clip(image[inside], 0, 1))) for image in (picture, truth.target))
    return float(delta_e(*shown).mean())


def bounds(truth: Truth) -> tuple[float, float]:
    """The difference of the naive composite, and that of the best smooth gain."""
    best = oracle_gain(truth.source, truth.target, truth.matte, ORACLE_BLUR * truth.matte.shape[1])
    pictures = (composite(truth.source, truth.matte, truth.backdrop, gain) for gain in (0.0, best))
    naive, oracle = (difference(truth, picture) for picture in pictures)
    return naive, oracle


def closed(naive: float, oracle: float, result: float) -> float:
    """The share of the way from the naive composite to the best smooth gain; below 0 is worse than doing nothing."""
    return (naive - result) / max(naive - oracle, 1e-6)
