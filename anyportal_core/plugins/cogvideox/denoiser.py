"""One guided evaluation of CogVideoX under control, as the refinement needs it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from anyportal_core.method.sdedit import guided
from anyportal_core.plugins.cogvideox.controlnet import CogVideoXControlnet
from anyportal_core.plugins.cogvideox.rotary import CONTROL_BASE, Table, rotary_table
from anyportal_core.plugins.cogvideox.transformer import CogVideoX


@dataclass(frozen=True)
class ControlledDenoiser:
    """Velocity of a noisy latent, towards a text and along control frames.

    Attributes:
        controlnet: the control branch; None for no control.
        text: embeddings of the negative and the positive prompt ``(2, L, text channels)``.
        control: `CogVideoXControlnet.encode_control` of the control frames ``(1, frames, channels, h, w)``.
        weight: of the control; 0 does not evaluate the control branch at all.
        guidance: the guidance scale.
    """

    transformer: CogVideoX
    controlnet: CogVideoXControlnet | None
    text: torch.Tensor
    control: torch.Tensor | None
    weight: float = 1.0
    guidance: float = 6.0

    def __call__(self, sample: torch.Tensor, timestep: int) -> torch.Tensor:
        """Velocity of ``(1, frames, channels, h, w)``; both prompts in one batch."""
        both = sample.expand(2, -1, -1, -1, -1).to(self.transformer.dtype)
        times = torch.full((2,), timestep, device=sample.device)
        rotary = self._rotary(sample)
        residuals = self._residuals(both, times, rotary)
        uncond, cond = self.transformer(both, self.text, times, rotary, residuals, self.weight).chunk(2)
        velocity: torch.Tensor = guided(uncond.to(sample.dtype), cond.to(sample.dtype), self.guidance)
        return velocity

    def _residuals(self, both: torch.Tensor, times: torch.Tensor, rotary: Table | None) -> list[torch.Tensor]:
        if self.controlnet is None or self.control is None or not self.weight:
            return []
        control = self.control.expand(2, -1, -1, -1, -1)
        residuals: list[torch.Tensor] = self.controlnet(both, self.text, control, times, rotary)
        return residuals

    def _rotary(self, sample: torch.Tensor) -> Table | None:
        """The transformer's table, which the control branch is given too, whatever its own configuration says."""
        config = self.transformer.config
        if not config.use_rotary_positional_embeddings:
            return None
        _, frames, _, height, width = sample.shape
        grid = height // config.patch_size, width // config.patch_size
        cosines, sines = rotary_table(grid, frames, config.attention_head_dim, CONTROL_BASE)
        return cosines.to(sample.device), sines.to(sample.device)
