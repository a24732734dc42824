"""Masks that are only strokes: white inside, black outside, grey undecided."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.plugins.draft.matte.colours import likeness

_STROKES = 0.3  # a mask with more of its area grey is strokes: a soft edge has less
_ROUNDS = 4


def is_scribble(mask: Image) -> bool:
    """Whether most of a mask ``(H, W)`` is left undecided."""
    return bool(((mask > 0.25) & (mask < 0.75)).mean() > _STROKES)


def decided(frame: Image, mask: Image) -> Image:
    """The mask itself; of strokes, what they mean by the colours of the frame (GrabCut): ``(H, W)`` 0..1.

    Args:
        frame: ``(H, W, 3)`` display-referred, 0..1.
    """
    if not is_scribble(mask):
        return mask
    labels = np.full(mask.shape, cv2.GC_PR_BGD, np.uint8)
    labels[_likely(frame, mask)] = cv2.GC_PR_FGD
    labels[mask <= 0.25], labels[mask >= 0.75] = cv2.GC_BGD, cv2.GC_FGD
    if not (labels == cv2.GC_FGD).any() and not (labels == cv2.GC_PR_FGD).any():
        return np.zeros_like(mask)
    eight = np.clip(frame[..., ::-1] * 255 + 0.5, 0, 255).astype(np.uint8)
    if not (labels & 1 == 0).any():
        return np.ones_like(mask)
    cv2.setRNGSeed(0)  # GrabCut begins with a clustering that draws lots
    cv2.grabCut(eight, labels, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return (labels & 1).astype(np.float32)


def _likely(frame: Image, mask: Image) -> NDArray[np.bool_]:
    """Where colours are more those of white strokes than of black ones, or, where none tell, where those are nearer."""
    inside, outside = mask >= 0.75, mask <= 0.25
    white, black = (cv2.distanceTransform((~at).astype(np.uint8), cv2.DIST_L2, 5) for at in (inside, outside))
    size = math.hypot(*mask.shape)
    white, black = np.minimum(white, size), np.minimum(black, size)
    likely: NDArray[np.bool_] = (
        likeness(frame, inside, outside) + np.log((black + 0.01 * size) / (white + 0.01 * size)) > 0
    )
    return likely
