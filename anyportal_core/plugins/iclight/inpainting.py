"""Stable Diffusion's inpainting model: a hole in a picture filled by a prompt (Rombach et al., CVPR 2022).

The deterministic sampler (Song et al., DDIM, ICLR 2021) on the model's own noise levels, from pure noise, whatever
scheduler the model's folder names. What surrounds the hole is the codec's most likely latent, where diffusers' pipeline
draws one around it: its deviation is far below what a picture shows, and so the seed decides the hole alone. No golden
case covers this file.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor

from anyportal_core.frames import Image
from anyportal_core.method.sampling import OnStep, Step
from anyportal_core.plugins.iclight.base import Base, images
from anyportal_core.plugins.iclight.codec import found, shown
from anyportal_core.plugins.iclight.specs import INPAINTING
from anyportal_core.sizes import fit

GUIDANCE: Final = 7.5
NEGATIVE_PROMPT: Final = "Blurry, Messy, Bad Quality, Watermark."
SCHEDULE: Final = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


@torch.no_grad()
def fill_hole(
    base: Base,
    unet: UNet2DConditionModel,
    image: Image,
    hole: Image,
    prompt: str,
    seed: int,
    steps: int,
    on_step: OnStep,
) -> Image:
    """The picture ``(H, W, 3)`` in 0..1 with the hole painted; it stays as it is elsewhere.

    Args:
        unet: with the nine channels of the inpainting model.
        hole: ``(H, W, 1)``, 1 where to paint, 0 elsewhere.
    """
    height, width = image.shape[:2]
    place = fit(height, width, INPAINTING)
    picture, mask = shown(base.tensor(image[None]), place), (shown(base.tensor(hole[None]), place) > 0.5).float()
    around = base.codec.encode(torch.where(mask > 0, 0.5, picture))
    given = torch.cat([F.interpolate(mask, around.shape[-2:], mode="nearest"), around], dim=1)
    noise = torch.randn(around.shape, generator=torch.Generator().manual_seed(seed)).to(around)
    latents = _denoised(unet, noise, given, base.prompts(prompt, NEGATIVE_PROMPT), steps, on_step)
    painted = images(found(base.codec.decode(latents), place, height, width))[0]
    filled: Image = painted * hole + image * (1 - hole)
    return filled


def _denoised(
    unet: UNet2DConditionModel, latents: Tensor, given: Tensor, prompts: Tensor, steps: int, on_step: OnStep
) -> Tensor:
    scheduler = DDIMScheduler(**SCHEDULE)
    scheduler.set_timesteps(steps)
    states = prompts.to(unet.dtype)
    for number, timestep in enumerate(scheduler.timesteps, start=1):
        seen = torch.cat([latents, given], dim=1).to(unet.dtype).expand(2, -1, -1, -1)
        negative, positive = unet(seen, timestep, encoder_hidden_states=states).sample.to(latents.dtype).chunk(2)
        noise = torch.lerp(negative, positive, GUIDANCE)
        latents = scheduler.step(noise, timestep, latents, return_dict=False)[0]
        on_step(Step(number, steps, int(timestep), latents, latents))
    return latents
