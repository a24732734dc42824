"""The passes of AnyPortal that IC-Light makes: the first frame, and the foreground's harmonising.

In all of them the first row of every tensor is the anchor, the shot's first frame, which every other row looks at.
The anchor has noise of its own, and all frames share one other noise: so the published scripts, which start their
generator anew for every frame, make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from anyportal_core.method.sampling import OnStep, Step
from anyportal_core.plugins.iclight.codec import GREY, PictureCodec, found, resize, shown
from anyportal_core.plugins.iclight.sampler import Steps
from anyportal_core.plugins.iclight.specs import LIGHTING
from anyportal_core.plugins.iclight.unet import AnchoredUNet
from anyportal_core.sizes import Fit, fit

ENLARGED: Final = 2
"""The second half of a pass works at so many times the size."""

HALF_WAY: Final = 0.5
"""How far the second half of the background pass goes back to noise."""


@dataclass(frozen=True)
class Frames:
    """What is relit, ``(n, C, H, W)`` in 0..1, one size; the first row is the anchor.

    ``matte`` has one channel, ``plate`` and ``background`` three.
    """

    plate: Tensor
    matte: Tensor
    background: Tensor

    @property
    def foreground(self) -> Tensor:
        """The plate on grey."""
        return GREY + (self.plate - GREY) * self.matte

    def on_background(self, relit: Tensor, place: Fit) -> Tensor:
        """What the model made of pictures shown to it, within the matte, on the background."""
        inside = found(relit, place, *self.plate.shape[-2:])
        return inside * self.matte + self.background * (1 - self.matte)

    def place(self) -> Fit:
        """How the model sees them: mostly a little smaller than they are."""
        height, width = self.plate.shape[-2:]
        return fit(height, width, LIGHTING)


@dataclass(frozen=True)
class Light:
    """What a pass is steered by.

    Args:
        prompts: text states ``(2, L, d)`` of the negative prompt and the prompt.
        guidance: how much more than the negative prompt the prompt counts.
        steps: evaluations of a run.
        seed: of a pass. It has the same noise for every window of a shot.
        batch: how many frames run at once; no part of the result.
        on_step: hears of every step.
    """

    prompts: Tensor
    guidance: float
    steps: int
    seed: int
    batch: int
    on_step: OnStep

    def generator(self) -> torch.Generator:
        """At its beginning; on the CPU, so that every device draws the same."""
        return torch.Generator().manual_seed(self.seed)


def first_frame(unet: AnchoredUNet, codec: PictureCodec, frames: Frames, light: Light) -> Tensor:
    """The foreground in a place made from the prompt alone (``fc``), ``(n, 3, H, W)``."""
    place = frames.place()
    conditions = codec.encode(shown(frames.foreground, place))
    relit = codec.decode(_run(unet, Steps(light.steps), None, conditions, light, light.generator()))
    return found(relit, place, *frames.plate.shape[-2:])


def by_background(unet: AnchoredUNet, codec: PictureCodec, frames: Frames, light: Light) -> Tensor:
    """The foreground lit as the background (``fbc``) and on it, ``(n, 3, H, W)``: small, then enlarged and redone."""

    def conditions(place: Fit) -> Tensor:
        both = [codec.encode(shown(pictures, place)) for pictures in (frames.foreground, frames.background)]
        return torch.cat(both, dim=1)

    small = frames.place()
    large = small.enlarged(ENLARGED)
    generator = light.generator()
    relit = codec.decode(_run(unet, Steps(light.steps), None, conditions(small), light, generator))
    start = codec.encode(resize(relit, *large.seen))
    latents = _run(unet, _steps_from(HALF_WAY, light.steps), start, conditions(large), light, generator)
    return frames.on_background(codec.decode(latents), large)


def by_text(
    unet: AnchoredUNet, codec: PictureCodec, frames: Frames, pictures: Tensor, strength: float, light: Light
) -> Tensor:
    """Pictures ``(n, 3, H, W)`` of foreground and background relit by the prompt (``fc``), from a noise level (SDEdit).

    Args:
        strength: how far back to noise: the paper's T0, as a share of the way.
    """
    large = frames.place().enlarged(ENLARGED)
    conditions = codec.encode(shown(frames.foreground, large))
    start = codec.encode(shown(pictures, large))
    latents = _run(unet, _steps_from(strength, light.steps), start, conditions, light, light.generator())
    return frames.on_background(codec.decode(latents), large)


def background_evaluations(steps: int) -> int:
    """Of both halves of the pass by the background."""
    return steps + len(_steps_from(HALF_WAY, steps))


def text_evaluations(strength: float, steps: int) -> int:
    """Of the pass by the prompt."""
    return len(_steps_from(strength, steps))


def _steps_from(strength: float, count: int) -> Steps:
    """The fewest steps of the whole way of which ``count`` are left from a noise level."""
    fewest = int(count / strength)
    whole = next(steps for steps in range(fewest, fewest + 3) if int(steps * strength) == count)
    return Steps(whole, strength)


def _run(
    unet: AnchoredUNet,
    steps: Steps,
    start: Tensor | None,
    conditions: Tensor,
    light: Light,
    generator: torch.Generator,
) -> Tensor:
    """Latents ``(n, 4, h, w)`` after all steps, from noise or from those of a picture."""
    count, _, height, width = conditions.shape
    noise_of = (torch.arange(count) > 0).long()

    def draw() -> Tensor:
        return torch.randn(2, 4, height, width, generator=generator)[noise_of].to(conditions)

    def predict(latents: Tensor, timestep: Tensor) -> Tensor:
        negative, positive = unet(latents, timestep, conditions, light.prompts, light.batch)
        return torch.lerp(negative, positive, light.guidance)

    latents = steps.begin(draw(), start)
    for number, after in enumerate(steps.run(latents, predict, draw), start=1):
        latents = after
        light.on_step(Step(number, len(steps), int(steps.timesteps[number - 1]), latents, latents))
    return latents
