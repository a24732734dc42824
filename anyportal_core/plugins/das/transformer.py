"""Diffusion-as-Shader's transformer: CogVideoX whose first blocks have a copy that reads the tracking video."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock
from torch import nn

from anyportal_core.plugins.cogvideox.rotary import Table
from anyportal_core.plugins.cogvideox.transformer import OpenCogVideoX


class CogVideoXTransformer3DModelTracking(OpenCogVideoX):
    """CogVideoX image-to-video with tracking blocks; named as in the published configuration.

    Args:
        num_tracking_blocks: so many of the first blocks have a copy for the tracking tokens.
        config: the arguments of CogVideoX itself.
    """

    def __init__(self, num_tracking_blocks: int = 18, **config: Any) -> None:
        super().__init__(**config)
        self.register_to_config(num_tracking_blocks=num_tracking_blocks)
        c = self.config
        dim = c.num_attention_heads * c.attention_head_dim
        self.initial_combine_linear = nn.Linear(dim, dim)
        self.combine_linears = nn.ModuleList(nn.Linear(dim, dim) for _ in range(num_tracking_blocks))
        self.transformer_blocks_copy = nn.ModuleList(
            CogVideoXBlock(
                dim,
                c.num_attention_heads,
                c.attention_head_dim,
                c.time_embed_dim,
                dropout=c.dropout,
                activation_fn=c.activation_fn,
                attention_bias=c.attention_bias,
                norm_elementwise_affine=c.norm_elementwise_affine,
                norm_eps=c.norm_eps,
            )
            for _ in range(num_tracking_blocks)
        )

    def forward(
        self,
        latents: torch.Tensor,
        text: torch.Tensor,
        timestep: torch.Tensor,
        tracking: torch.Tensor,
        rotary: Table | None = None,
    ) -> torch.Tensor:
        """Predict the velocity ``(B, frames, out channels, h, w)``.

        Args:
            latents: ``(B, frames, 2 * channels, h, w)``, noisy ones and the first frame's on the channel axis.
            text: ``(B, L, text channels)``.
            timestep: ``(B,)``.
            tracking: the tracking video's latents and its first frame's, shaped as ``latents``.
            rotary: see `rotary_table`.
        """
        (video, words), time = self.embed(latents, text, timestep)
        # The tracking tokens are embedded by the same layer, positions included.
        (tracks, _), _ = self.embed(tracking, text, timestep)
        tracks = self.initial_combine_linear(video + tracks)
        for index, block in enumerate(self.transformer_blocks):
            video, words = block(video, words, time, rotary)
            if index < len(self.combine_linears):
                # The copy reads the text as its block left it; what the linear makes is the next copy's input.
                tracks, _ = self.transformer_blocks_copy[index](tracks, words, time, rotary)
                tracks = self.combine_linears[index](tracks)
                video = video + tracks
        return self.predict(video, time, latents.shape)
