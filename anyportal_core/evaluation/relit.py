"""How strongly a foreground was relit, and how steadily."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from anyportal_core.evaluation.tracking import Bytes, morphed

_EVERY = 2


def light_figures(plate: Bytes, result: Bytes, matte: Bytes) -> dict[str, float]:
    """``light_change``: mean difference in Lab of the foreground's low band; ``light_var``: how it changes in time."""
    changes, means = [], []
    for given, made, alpha in zip(plate[::_EVERY], result[::_EVERY], matte[::_EVERY], strict=True):
        there = alpha > 13
        inside = morphed(alpha > 200, 7, cv2.erode)
        around = morphed(there, 90, cv2.dilate) & ~morphed(there, 8, cv2.dilate)
        if min(inside.sum(), around.sum()) < 200:
            continue
        old, new = _low(given, inside), _low(made, inside)
        changes.append(np.linalg.norm(new - old, axis=1).mean())
        means.append(new.mean(0) - old.mean(0))
    steps = np.linalg.norm(np.diff(np.array(means), axis=0), axis=1) if len(means) > 3 else np.array([np.nan])
    return {"light_change": float(np.mean(changes)) if changes else float("nan"), "light_var": float(steps.mean())}


def _low(frame: Bytes, where: Any) -> Any:
    """Lab colours ``(n, 3)`` within a mask, blurred within it."""
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    weight = where.astype(np.float32)[..., None]
    low = cv2.GaussianBlur(lab * weight, (0, 0), 8) / (cv2.GaussianBlur(weight, (0, 0), 8)[..., None] + 1e-3)
    return low[where]
