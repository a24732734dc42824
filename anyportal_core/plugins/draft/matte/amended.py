"""Strokes on a matte that is known already: they change what they disagree with, near them, and nothing else."""

from __future__ import annotations

import math
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.errors import ShotError
from anyportal_core.frames import Image
from anyportal_core.plugins.draft.matte.scribbles import is_scribble

_Where = NDArray[np.bool_]

_REACH = 3.0  # strokes are felt so many times their width away
_FARTHEST = 0.06  # of the picture's diagonal, however wide they are
_ROUNDS = 3
_CLEAR, _SOLID = 0.02, 0.98
_AGREES = 0.1  # a stroke on what is within this of it already says nothing new


def amended(frame: Image, mask: Image, known: Image) -> Image:
    """The mask itself; of strokes, the matte that was known, where they change it: ``(H, W)`` 0..1.

    White strokes never take away and black ones never add; those that agree with what was known change nothing.

    Args:
        frame: ``(H, W, 3)`` display-referred, 0..1.
        mask: ``(H, W)`` 0..1, white inside, black outside, grey undecided.
        known: ``(H, W)`` 0..1.

    Raises:
        ShotError: there is no stroke.
    """
    if not is_scribble(mask):
        return mask
    white, black = mask >= 0.75, mask <= 0.25
    if not (white | black).any():
        raise ShotError(
            "a correction has no stroke: all of it is grey",
            where="shot.corrections",
            hint="paint white what is foreground and black what is not, or leave the correction out (--correct)",
        )
    add, take = white & (known < 1 - _AGREES), black & (known > _AGREES)
    near_add, near_take = _near(add), _near(take)
    near = near_add | near_take
    if not near.any():
        return known
    labels = np.where(known > 0.5, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
    nearer = _away(add) < _away(take)
    labels[near] = np.where(nearer, cv2.GC_PR_FGD, cv2.GC_PR_BGD)[near]
    labels[white], labels[black] = cv2.GC_FGD, cv2.GC_BGD
    inside = _cut(frame, labels, near)
    added = _touching(inside & near_add & ~black & (known < _SOLID), add)
    taken = _touching(~inside & near_take & ~white & (known > _CLEAR), take)
    return np.where(added, np.float32(1), np.where(taken, np.float32(0), known))


def _near(strokes: _Where) -> _Where:
    """What lies within reach of strokes, of each by its own width."""
    count, labels = cv2.connectedComponents(strokes.astype(np.uint8))
    depth = cv2.distanceTransform(strokes.astype(np.uint8), cv2.DIST_L2, 5)
    farthest = _FARTHEST * math.hypot(*strokes.shape)
    widths = [2 * float(depth[labels == label].max()) for label in range(1, count)]
    near = strokes.copy()
    for label, width in enumerate(widths, 1):
        near |= _away(labels == label) <= min(_REACH * width, farthest)
    return near


def _away(strokes: _Where) -> Image:
    if not strokes.any():
        return np.full(strokes.shape, np.inf, np.float32)
    return cast(Image, cv2.distanceTransform((~strokes).astype(np.uint8), cv2.DIST_L2, 5))


def _cut(frame: Image, labels: NDArray[np.uint8], near: _Where) -> _Where:
    """What is inside by the colours around (GrabCut): those of the whole picture say nothing of a patch."""
    x, y, width, height = cv2.boundingRect(near.astype(np.uint8))
    margin = max(8, width // 2, height // 2)
    part = slice(max(0, y - margin), y + height + margin), slice(max(0, x - margin), x + width + margin)
    inside: _Where = labels & 1 == 1
    own = np.ascontiguousarray(labels[part])
    if inside[part].all() or not inside[part].any():
        return inside
    eight = np.clip(frame[part][..., ::-1] * 255 + 0.5, 0, 255).astype(np.uint8)
    cv2.setRNGSeed(0)  # GrabCut begins with a clustering that draws lots
    cv2.grabCut(eight, own, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    inside[part] = own & 1 == 1
    return inside


def _touching(change: _Where, strokes: _Where) -> _Where:
    """The pieces of a change that strokes lie on."""
    count, pieces = cv2.connectedComponents(change.astype(np.uint8))
    touched = np.zeros(count, bool)
    touched[pieces[strokes]] = True
    touched[0] = False
    return touched[pieces]
