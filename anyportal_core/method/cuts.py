"""Where a clip goes over from one shot to another."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

CLEAR: Final = 0.1
"""So much must small pictures differ in the mean; what moves fast stays below."""

SUDDEN: Final = 4.0
"""And so many times as much as the pictures around differ from each other."""

AROUND: Final = 4


def find_cuts(pictures: NDArray[np.float32]) -> list[int]:
    """Indices of the first frames after cuts, of small display-referred pictures ``(T, h, w, C)`` 0..1.

    A flash is none: the pictures before and after it are alike.
    """
    steps = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2, 3))
    return [index + 1 for index in range(len(steps)) if _is_cut(index, steps, pictures)]


def _is_cut(index: int, steps: NDArray[np.float32], pictures: NDArray[np.float32]) -> bool:
    around = np.concatenate([steps[max(index - AROUND, 0) : index], steps[index + 1 : index + 1 + AROUND]])
    usual = float(np.median(around)) if len(around) else 0.0
    if steps[index] < max(CLEAR, SUDDEN * usual):
        return False
    before, after = max(index - 1, 0), min(index + 2, len(pictures) - 1)
    flashes = [(index, after), (before, index + 1)]
    return all(np.abs(pictures[a] - pictures[b]).mean() >= steps[index] / 2 for a, b in flashes if b - a == 2)
