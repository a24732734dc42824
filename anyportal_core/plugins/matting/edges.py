"""Soft edges from a rough probability by ViTMatte (arXiv 2305.15272), on a trimap."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anyportal_core.errors import NonFiniteLatentsError
from anyportal_core.frames import Image
from anyportal_core.ops import ImageOps

MEAN: Final = (0.5, 0.5, 0.5)
DEVIATION: Final = (0.5, 0.5, 0.5)
MULTIPLE: Final = 32
"""Sides of what the network sees are multiples of it."""

UNKNOWN: Final = np.float32(128 / 255)
"""What a trimap says where neither is sure, in eight bits as the network was trained."""

_SURE = 0.95
_SHARE = 8  # the edge of something small is no wider than its size by this


class SoftEdges:
    """Decides the unknown part of a trimap.

    Args:
        network: a ViTMatte.
    """

    def __init__(self, network: Any) -> None:
        self._network = network

    @torch.no_grad()
    def __call__(self, frame: Image, trimap: Image) -> Image:
        """Alpha ``(H, W)`` 0..1; where ``trimap`` is sure, the trimap itself bit for bit."""
        unknown = trimap == UNKNOWN
        if not unknown.any():
            return trimap
        height, width = trimap.shape
        seen = prepare(frame, trimap)[None].to(self._network.device, self._network.dtype)
        found = self._network(seen).alphas[0, 0, :height, :width].float().cpu()
        if not torch.isfinite(found).all():
            raise NonFiniteLatentsError(
                "making the edges soft gave values that are no numbers",
                where="matte",
                hint="fetch the model again; if that does not help, use draft.propagate",
            )
        alpha: Image = np.where(unknown, found.clamp(0, 1).numpy(), trimap)
        return alpha


def prepare(frame: Image, trimap: Image) -> Tensor:
    """Picture ``(H, W, 3)`` and trimap ``(H, W)`` as the network sees them, ``(4, H', W')``.

    What ``VitMatteImageProcessor`` does: the picture normalised, the trimap not, zeros added below and to the right.
    """
    mean, deviation = (torch.tensor(value).view(3, 1, 1) for value in (MEAN, DEVIATION))
    picture = torch.from_numpy(np.array(frame, np.float32)).permute(2, 0, 1).clamp(0, 1)
    both = torch.cat([(picture - mean) / deviation, torch.from_numpy(np.array(trimap, np.float32))[None]])
    height, width = trimap.shape
    return F.pad(both, (0, -width % MULTIPLE, 0, -height % MULTIPLE))


def make_trimap(probability: Image, reach: int, ops: ImageOps) -> Image:
    """What is surely foreground (1), surely background (0), or ``UNKNOWN``, ``(H, W)``.

    Args:
        probability: ``(H, W)`` 0..1.
        reach: how far from anything unsure one is sure, in pixels; less for what is small.
    """
    size = math.sqrt(float((probability > 0.5).sum()))
    radius = max(1, min(reach, round(size / _SHARE)))
    inside, outside = ops.erode(probability, radius) > _SURE, ops.dilate(probability, radius) < 1 - _SURE
    trimap: Image = np.where(inside, np.float32(1), np.where(outside, np.float32(0), UNKNOWN))
    return trimap
