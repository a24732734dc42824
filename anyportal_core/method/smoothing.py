"""Smoothing of curves over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Curves = NDArray[np.float64]


def smooth(values: Curves, weights: NDArray[np.float64], strength: float) -> Curves:
    """The curves ``(t, n)`` between faith to ``values`` and a small second difference (Whittaker, 1923).

    Minimises ``sum(weights * (x - values)^2) + strength * sum((x'')^2)``. A weight of 0 leaves a value to its
    neighbours: linear between, continued linearly outside. Time and memory are linear in ``t``.

    Args:
        weights: ``(t,)``, two or more of them above 0.
        strength: above 0; at 1, waves of a period of 8 are damped to three quarters.
    """
    count = len(values)
    if count < 3:
        return values.copy()
    # The normal matrix has two bands on either side of its diagonal; two rows of padding spare the ends a case.
    diagonal, near, far = np.ones(count + 2), np.zeros(count + 2), np.zeros(count + 2)
    diagonal[2:] = weights
    diagonal[2:-2] += strength
    diagonal[3:-1] += 4 * strength
    diagonal[4:] += strength
    near[3:-1] -= 2 * strength
    near[4:] -= 2 * strength
    far[4:] = strength
    solved = np.concatenate([np.zeros((2, values.shape[1])), weights[:, None] * values])
    for i in range(2, count + 2):  # decompose into L D L^T and solve L on the way
        far[i] /= diagonal[i - 2]
        near[i] = (near[i] - far[i] * diagonal[i - 2] * near[i - 1]) / diagonal[i - 1]
        diagonal[i] -= far[i] ** 2 * diagonal[i - 2] + near[i] ** 2 * diagonal[i - 1]
        solved[i] -= near[i] * solved[i - 1] + far[i] * solved[i - 2]
    solved /= diagonal[:, None]
    for i in range(count + 1, 2, -1):
        solved[i - 1] -= near[i] * solved[i]
        solved[i - 2] -= far[i] * solved[i]
    return solved[2:]
