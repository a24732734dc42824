"""What the draft preset's matte plug-ins share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import cv2
import numpy as np

from anyportal_core.frames import FrameSource, Image
from anyportal_core.method.matting import refine_to_frame
from anyportal_core.ops import ImageOps, opencv
from anyportal_core.roles import Chunk, RoleContext, Stored

CHUNK = 8
"""Frames that a plug-in reads and yields at once."""

OPS = cast(ImageOps, opencv)

SUPPLY = "give a matte (--matte)"
MASK = "a mask or strokes on one frame (--mask)"
CLEAN_PLATE = "a clean plate (--clean-plate)"
KEY = "key a screen (--set matte.plugin=draft.key)"
PERSON = "find people (--set matte.plugin=draft.person)"
"""The ways to a matte, as they are offered where one did not work."""

_RENDER_RADIUS = 3
_RENDER_EPS = 1e-4  # a standard deviation of 1 % of the display's range


def each_frame(source: FrameSource, start: int = 0, stop: int | None = None) -> Iterator[Image]:
    """Frames from index ``start`` on, before ``stop`` or to the end, ``(H, W, C)``, holding only a few of them."""
    end = len(source) if stop is None else stop
    for first in range(start, end, CHUNK):
        yield from source.read(first, min(first + CHUNK, end))


def each_frame_back(source: FrameSource, start: int, last: int = 0) -> Iterator[Image]:
    """Frames from index ``start`` down to ``last``, read in runs forwards, since sources go back slowly."""
    for stop in range(start + 1, last, -2 * CHUNK):
        yield from source.read(max(last, stop - 2 * CHUNK), stop)[::-1]


def in_chunks(alphas: Iterator[Image]) -> Iterator[Chunk]:
    """Gather alphas ``(H, W)`` into the chunks that a matte plug-in yields."""
    held: list[Image] = []
    for alpha in alphas:
        held.append(alpha)
        if len(held) == CHUNK:
            yield {"alpha": np.stack(held)}
            held = []
    if held:
        yield {"alpha": np.stack(held)}


def reach(frame: Image, context: RoleContext) -> int:
    """The setting ``edge_reach`` in pixels of ``frame`` ``(H, W, C)``; its 100 % is the side of a like square."""
    side = math.sqrt(frame.shape[0] * frame.shape[1])
    return max(4, round(context.settings.number("edge_reach") / 100 * side))


def held(alpha: Image, stored: Stored) -> Image:
    """Alpha ``(H, W)`` at any size without what is garbage, and with what is held, as far as that was stored."""
    size = alpha.shape[1], alpha.shape[0]
    if "garbage" in stored:
        garbage = np.asarray(stored["garbage"], np.float32)
        alpha = alpha * (1 - cast(Image, cv2.resize(garbage, size)))
    if "holdout" in stored:
        alpha = np.maximum(alpha, cast(Image, cv2.resize(np.asarray(stored["holdout"], np.float32), size)))
    return np.asarray(alpha, np.float32)


def render_edges(frame: Image, stored: Stored, context: RoleContext) -> Image:
    """The stored alpha at the frame's own size ``(H, W)``, along its edges."""
    settings = context.settings
    alpha = stored["alpha"].astype(np.float32, copy=False)
    fine: Image = refine_to_frame(
        frame,
        alpha,
        _RENDER_RADIUS,
        _RENDER_EPS,
        settings.number("black"),
        settings.number("white"),
        OPS,
    )
    return held(fine, stored)
