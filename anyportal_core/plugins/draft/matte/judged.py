"""Alphas with a figure of how far to trust each, and the frames that the user should look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from anyportal_core.frames import FrameSet, FrameSource, Image
from anyportal_core.plugins.draft.matte.common import CHUNK
from anyportal_core.roles import Chunk, RoleContext

DOUBTFUL = 0.5
"""A frame whose confidence is below this is named to the user."""


CORRECT = "correct it with masks or strokes (--correct {first}=mask.png)"
LIMITS = "limit it (--garbage, --holdout), or give a matte (--matte)"
"""What a user may do about a doubtful frame, as far as the plug-in takes it."""


class Judged(NamedTuple):
    """A frame's alpha ``(H, W)``, and how far to trust it, 0..1."""

    alpha: Image
    sure: float


def judged_chunks(
    alphas: Iterator[Judged], plate: FrameSource, context: RoleContext, remedy: str = CORRECT
) -> Iterator[Chunk]:
    """Gather alphas into the chunks that a matte plug-in yields; in the end, doubtful frames are named.

    Args:
        remedy: what the user may do about them; ``{first}`` stands for the first one's number.
    """
    doubtful: list[int] = []
    held: list[Judged] = []
    for index, judged in enumerate(alphas):
        held.append(judged)
        if judged.sure < DOUBTFUL:
            doubtful.append(plate.numbers[index])
        if len(held) == CHUNK:
            yield _chunk(held)
            held = []
    if held:
        yield _chunk(held)
    if doubtful:
        frames = FrameSet(tuple(doubtful))
        advice = remedy.format(first=frames.first)
        context.warn(f"the matte is doubtful on {frames.named}: look there, and {advice}")


def _chunk(held: list[Judged]) -> Chunk:
    return {
        "alpha": np.stack([judged.alpha for judged in held]),
        "confidence": np.array([judged.sure for judged in held], np.float32),
    }
