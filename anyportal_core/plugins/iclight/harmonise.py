"""A shot's foreground harmonised with its background by IC-Light, window by window; and its first frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.method.sampling import OnStep
from anyportal_core.plugins.iclight.base import Base, images
from anyportal_core.plugins.iclight.relight import (
    Frames,
    Light,
    background_evaluations,
    by_background,
    by_text,
    first_frame,
    text_evaluations,
)
from anyportal_core.plugins.iclight.unet import AnchoredUNet
from anyportal_core.roles import Chunk, Part

PROMPT_ENDING: Final = "best quality"
NEGATIVE_PROMPT: Final = "lowres, bad anatomy, bad hands, cropped, worst quality"


@dataclass(frozen=True)
class Relighting:
    """How a shot is relit.

    Args:
        prompt: what is to be seen, foreground and place.
        seed: of all noise.
        steps: evaluations of each run.
        text_strength: how far back to noise the pass by the prompt goes: the paper's T0.
        window: frames that are worked on together; bounds the memory, no part of the result.
        batch: of them, how many run through the network at once; no part of the result.
        guidance: how much more than the negative prompt the prompt counts.
    """

    prompt: str
    seed: int
    steps: int = 20
    text_strength: float = 0.65
    window: int = 49
    batch: int = 8
    guidance: float = 7.0


def evaluations(how: Relighting, count: int, by_prompt: bool) -> int:
    """How many evaluations a shot of ``count`` frames takes, all batches of a window counted as one."""
    window = background_evaluations(how.steps) + (text_evaluations(how.text_strength, how.steps) if by_prompt else 0)
    return len(list(chunks(count, how.window))) * window


@torch.no_grad()
def harmonise(
    base: Base,
    fbc: AnchoredUNet,
    fc: AnchoredUNet | None,
    sources: tuple[FrameSource, FrameSource, FrameSource],
    how: Relighting,
    on_step: OnStep,
    part: Part = lambda number, make: make(),
) -> Iterator[Image]:
    """Yield the foreground, relit, on the background: ``(t, H, W, 3)`` display-referred 0..1, in order.

    Args:
        fbc: relights by the background.
        fc: relights the result by the prompt; None leaves that out.
        sources: plate ``(T, H, W, 3)``, matte ``(T, H, W, 1)`` and background ``(T, H, W, 3)``.
        part: see `RoleContext`.
    """
    light = _light(base, how, on_step)
    anchor = [base.tensor(source.read(0, 1)) for source in sources]
    relit_anchor: Tensor | None = None

    def make(start: int, stop: int) -> Chunk:
        window = [base.tensor(source.read(start, stop)) for source in sources]
        frames = Frames(*(torch.cat(rows) for rows in zip(anchor, window, strict=True)))
        relit = by_background(fbc, base.codec, frames, light)[1:]
        # The second pass's anchor begins as what the first pass made of the first frame, not of its anchor.
        before = relit[:1] if relit_anchor is None else relit_anchor.to(relit)
        if fc is not None:
            # As published, the second pass has noise of its own.
            second = replace(light, seed=light.seed + 1)
            relit = by_text(fc, base.codec, frames, torch.cat([before, relit]), how.text_strength, second)[1:]
        return {"relit": images(relit), "anchor": before.float().cpu().numpy()}

    for number, (start, stop) in enumerate(chunks(len(sources[0]), how.window)):
        made = part(number, partial(make, start, stop))
        relit_anchor = torch.from_numpy(made["anchor"])
        yield np.asarray(made["relit"], np.float32)


@torch.no_grad()
def relit_first_frame(
    base: Base, fc: AnchoredUNet, frame: Image, matte: Image, how: Relighting, on_step: OnStep
) -> Image:
    """The foreground of a frame ``(H, W, 3)`` in a place made from the prompt, ``(H, W, 3)``; published in 50 steps.

    Args:
        matte: ``(H, W, 1)``.
    """
    rows = [base.tensor(image[None]).repeat(2, 1, 1, 1) for image in (frame, matte, np.zeros_like(frame))]
    made: Image = images(first_frame(fc, base.codec, Frames(*rows), _light(base, how, on_step)))[1]
    return made


def _light(base: Base, how: Relighting, on_step: OnStep) -> Light:
    prompt = ", ".join(filter(None, (how.prompt, PROMPT_ENDING)))
    return Light(base.prompts(prompt, NEGATIVE_PROMPT), how.guidance, how.steps, how.seed, how.batch, on_step)
