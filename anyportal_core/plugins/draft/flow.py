"""Dense optical flow by DIS (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class FlowPair:
    """The flow between two frames, in both directions.

    Args:
        forward: ``(H, W, 2)`` float32: the pixel ``p`` of ``a`` lies at ``p + forward[p]`` in ``b``.
        backward: the same from ``b`` to ``a``.
        seen: ``(H, W)`` bool: pixels of ``a`` that are seen in ``b`` as well (the way there and back closes).
        seen_back: pixels of ``b`` that are seen in ``a``.
    """

    forward: Image
    backward: Image
    seen: Mask
    seen_back: Mask


class Flow:
    """Flow between display-referred frames ``(H, W, 3)`` float32 0..1; call it for one direction.

    The result does not depend on the number of OpenCV's threads: with spatial propagation, which is
    switched on here, DIS searches in a fixed number of stripes.

    Args:
        shrink: find it on a picture smaller by this factor: much faster, and fine for smooth masks.
    """

    def __init__(self, shrink: int = 1) -> None:
        self._shrink = shrink
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._dis.setUseSpatialPropagation(True)

    def __call__(self, a: Image, b: Image) -> Image:
        """``(H, W, 2)``: the pixel ``p`` of ``a`` lies at ``p + flow[p]`` in ``b``."""
        return self._enlarge(self._between(self._grey(a), self._grey(b)), a)

    def pair(self, a: Image, b: Image) -> FlowPair:
        """Both directions, and where they agree."""
        grey_a, grey_b = self._grey(a), self._grey(b)
        forward, backward = self._between(grey_a, grey_b), self._between(grey_b, grey_a)
        seen, seen_back = closes(forward, backward), closes(backward, forward)
        return FlowPair(
            self._enlarge(forward, a), self._enlarge(backward, a), _enlarged(seen, a), _enlarged(seen_back, a)
        )

    def _between(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Image:
        height, width = a.shape
        more = max(0, _SMALLEST - height), max(0, _SMALLEST - width)
        if any(more):
            a, b = (np.pad(grey, ((0, more[0]), (0, more[1])), "edge") for grey in (a, b))
        # None is no start: a field given here would be taken for one, and the stubs know no other way.
        return cast(Image, self._dis.calc(a, b, None)[:height, :width])  # type: ignore[call-overload]

    def _grey(self, frame: Image) -> NDArray[np.uint8]:
        grey = cv2.cvtColor(np.clip(frame, 0, 1), cv2.COLOR_RGB2GRAY)
        if self._shrink > 1:
            size = (-(-grey.shape[1] // self._shrink), -(-grey.shape[0] // self._shrink))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        return (grey * 255 + 0.5).astype(np.uint8)

    def _enlarge(self, flow: Image, like: Image) -> Image:
        height, width = like.shape[:2]
        if flow.shape[:2] == (height, width):
            return flow
        scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        return cast(Image, cv2.resize(flow, (width, height))) * scale


def _enlarged(mask: Mask, like: Image) -> Mask:
    height, width = like.shape[:2]
    return cv2.resize(mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(np.bool_)


_SMALLEST = 32
"""Pixels a side: below this OpenCV chooses the scales of DIS by the width alone and reads beyond a lower picture."""


def closes(forward: Image, backward: Image) -> Mask:
    """Where the way there and back ends near its start: bool ``(H, W)``.

    The tolerance grows with the motion (Sundaram, Brox, Keutzer, ECCV 2010, equation 5). What leaves the
    frame does not close.
    """
    there = follow(backward, forward)
    gap, size = np.square(forward + there), np.square(forward) + np.square(there)
    height, width = forward.shape[:2]
    x, y = _targets(forward)
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    closed: Mask = (_sum(gap) < 0.01 * _sum(size) + 0.5) & inside
    return closed


def _sum(pairs: Image) -> Image:
    total: Image = pairs[..., 0] + pairs[..., 1]  # ten times faster than .sum(-1)
    return total


def follow(image: Image, flow: Image, border: int = cv2.BORDER_REPLICATE) -> Image:
    """Bring ``image`` of the frame that ``flow`` leads to back to the frame it starts from.

    ``image`` is ``(H, W)`` or ``(H, W, C)``; ``out[p] = image[p + flow[p]]``, bilinear.
    """
    x, y = _targets(flow)
    return cast(Image, cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=border))


def _targets(flow: Image) -> tuple[Image, Image]:
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32).reshape(-1, 1)
    return cast(Image, x), cast(Image, y)
