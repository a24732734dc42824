"""The CogVideoX transformer, open between its embedding, its blocks and its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import CogVideoXTransformer3DModel

from anyportal_core.errors import CheckpointError
from anyportal_core.plugins.cogvideox.rotary import Table

Tokens = tuple[torch.Tensor, torch.Tensor]
"""Video tokens ``(B, frames * rows * columns, dim)`` and text tokens ``(B, L, dim)``."""


class OpenCogVideoX(CogVideoXTransformer3DModel):
    """CogVideoX 1.0 (2b, 5b) before and after its blocks. Layers, keys and arithmetic are those of diffusers."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        if self.config.patch_size_t or self.config.ofs_embed_dim:
            raise CheckpointError(
                "this is CogVideoX 1.5, whose patches span frames", hint="use a CogVideoX 1.0 model: 2b, 5b or 5b-I2V"
            )

    def embed(self, latents: torch.Tensor, text: torch.Tensor, timestep: torch.Tensor) -> tuple[Tokens, torch.Tensor]:
        """Tokens of a video and its text, with additive positions where the model has them; time ``(B, dim)``.

        Raises:
            ValueError: the model learned its positions, for another number of frames.
        """
        config = self.config
        frames = (latents.shape[1] - 1) * config.temporal_compression_ratio + 1
        if config.use_learned_positional_embeddings and frames != config.sample_frames:
            # diffusers would put computed positions in their place, without a word.
            raise ValueError(f"{frames} frames for positions that were learned for {config.sample_frames}")
        time = self.time_embedding(self.time_proj(timestep).to(latents.dtype))
        tokens = self.patch_embed(text, latents)
        return (tokens[:, text.shape[1] :], tokens[:, : text.shape[1]]), time

    def predict(self, video: torch.Tensor, time: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Video tokens back to a prediction for latents of this shape."""
        batch, frames, _, height, width = shape
        p: int = self.config.patch_size
        patches: torch.Tensor = self.proj_out(self.norm_out(self.norm_final(video), temb=time))
        patches = patches.reshape(batch, frames, height // p, width // p, -1, p, p)
        return patches.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, frames, -1, height, width)


class CogVideoX(OpenCogVideoX):
    """CogVideoX whose blocks take residuals of a control branch; without any it is diffusers' own, bit for bit."""

    def forward(
        self,
        latents: torch.Tensor,
        text: torch.Tensor,
        timestep: torch.Tensor,
        rotary: Table | None = None,
        control: Sequence[torch.Tensor] = (),
        weights: float | Sequence[float] = 1.0,
    ) -> torch.Tensor:
        """Predict the velocity.

        Args:
            latents: ``(B, frames, channels, h, w)``.
            text: ``(B, L, text channels)``.
            timestep: ``(B,)`` train timesteps.
            rotary: see `rotary_table`; for the models that were trained with it.
            control: one residual of video tokens for each of the first blocks.
            weights: of all residuals, or of each; 0 is no control, bit for bit.

        Returns:
            ``(B, frames, out channels, h, w)``.
        """
        (video, words), time = self.embed(latents, text, timestep)
        strengths = [weights] * len(control) if isinstance(weights, float | int) else list(weights)
        residuals = dict(enumerate(zip(control, strengths, strict=True)))
        for index, block in enumerate(self.transformer_blocks):
            video, words = block(video, words, time, rotary)
            residual, strength = residuals.get(index, (video, 0.0))
            if strength:
                video = video + residual * strength
        return self.predict(video, time, latents.shape)


def base_grid(config: Any) -> tuple[int, int]:
    """Rows and columns of the grid of patches that a transformer was trained on."""
    return config.sample_height // config.patch_size, config.sample_width // config.patch_size
