"""TheDenk's ControlNet for CogVideoX: control frames in, residuals for the transformer's first blocks out."""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import CogVideoXPatchEmbed, TimestepEmbedding, Timesteps
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock
from torch import nn

from anyportal_core.plugins.cogvideox.rotary import Table
from anyportal_core.plugins.guards import finite


class CogVideoXControlnet(ModelMixin, ConfigMixin):
    """A few transformer blocks that see the noisy latents beside the compressed control frames.

    Constructor arguments and key names are those of the published checkpoints. To judge by the sizes of their files,
    the published 5b ones have 30 heads where the transformer has 48, so they project their residuals, and 12 (HED) or
    18 (Canny) layers.

    Args:
        vae_channels: channels of the latents.
        in_channels: channels of a control frame.
        downscale_coef: pixels of a control frame, each way, for one latent pixel.
        use_rotary_positional_embeddings: False adds sine and cosine positions to the tokens. Rotary tables are taken
            whatever this says: the published 5b ControlNet was trained with both at once.
        out_proj_dim: channels of the transformer's tokens where the blocks here are narrower; None where they agree.
        text_embed_dim: not in published configurations, where it is always T5's.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        num_attention_heads: int = 30,
        attention_head_dim: int = 64,
        vae_channels: int = 16,
        in_channels: int = 3,
        downscale_coef: int = 8,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        time_embed_dim: int = 512,
        num_layers: int = 8,
        dropout: float = 0.0,
        attention_bias: bool = True,
        sample_width: int = 90,
        sample_height: int = 60,
        sample_frames: int = 49,
        patch_size: int = 2,
        temporal_compression_ratio: int = 4,
        activation_fn: str = "gelu-approximate",
        timestep_activation_fn: str = "silu",
        norm_elementwise_affine: bool = True,
        norm_eps: float = 1e-5,
        spatial_interpolation_scale: float = 1.875,
        temporal_interpolation_scale: float = 1.0,
        use_rotary_positional_embeddings: bool = False,
        use_learned_positional_embeddings: bool = False,
        out_proj_dim: int | None = None,
        text_embed_dim: int = 4096,
    ) -> None:
        super().__init__()
        dim = num_attention_heads * attention_head_dim
        pixels = in_channels * downscale_coef**2
        self.unshuffle = nn.PixelUnshuffle(downscale_coef)
        self.controlnet_encode_first = _encoder(pixels, pixels // 2)
        self.controlnet_encode_second = _encoder(pixels // 2, pixels // 4)
        self.patch_embed = CogVideoXPatchEmbed(
            patch_size=patch_size,
            in_channels=vae_channels + pixels // 4,
            embed_dim=dim,
            text_embed_dim=text_embed_dim,
            sample_width=sample_width,
            sample_height=sample_height,
            sample_frames=sample_frames,
            temporal_compression_ratio=temporal_compression_ratio,
            spatial_interpolation_scale=spatial_interpolation_scale,
            temporal_interpolation_scale=temporal_interpolation_scale,
            use_positional_embeddings=not use_rotary_positional_embeddings,
            use_learned_positional_embeddings=use_learned_positional_embeddings,
        )
        self.time_proj = Timesteps(dim, flip_sin_to_cos, freq_shift)
        self.time_embedding = TimestepEmbedding(dim, time_embed_dim, timestep_activation_fn)
        self.transformer_blocks = nn.ModuleList(
            CogVideoXBlock(
                dim,
                num_attention_heads,
                attention_head_dim,
                time_embed_dim,
                dropout=dropout,
                activation_fn=activation_fn,
                attention_bias=attention_bias,
                norm_elementwise_affine=norm_elementwise_affine,
                norm_eps=norm_eps,
            )
            for _ in range(num_layers)
        )
        self.out_projectors = (
            nn.ModuleList(nn.Linear(dim, out_proj_dim) for _ in range(num_layers)) if out_proj_dim else None
        )

    def forward(
        self,
        latents: torch.Tensor,
        text: torch.Tensor,
        control: torch.Tensor,
        timestep: torch.Tensor,
        rotary: Table | None = None,
    ) -> list[torch.Tensor]:
        """Residuals of video tokens, one for each of the transformer's first blocks.

        Args:
            latents: ``(B, frames, channels, h, w)``, what the transformer is given.
            text: ``(B, L, text channels)``.
            control: `encode_control` of the control frames.
            timestep: ``(B,)``.
            rotary: the transformer's table.

        Raises:
            NonFiniteLatentsError: they left the range of the network's precision, or its weights are broken.
        """
        time = self.time_embedding(self.time_proj(timestep).to(latents.dtype))
        tokens = self.patch_embed(text, torch.cat([latents, control], dim=2))
        video, words = tokens[:, text.shape[1] :], tokens[:, : text.shape[1]]
        residuals = []
        for index, block in enumerate(self.transformer_blocks):
            video, words = block(video, words, time, rotary)
            residual = self.out_projectors[index](video) if self.out_projectors else video
            residuals.append(finite(residual, "the ControlNet"))
        return residuals

    def encode_control(self, frames: torch.Tensor) -> torch.Tensor:
        """Control frames ``(B, F, 3, H, W)`` in -1..1 to latent size ``(B, f, channels, h, w)``.

        They depend on neither time step nor noise: one call serves a whole run.
        """
        small = self.unshuffle(frames.flatten(0, 1))
        first = compress_time(_as_video(self.controlnet_encode_first(small), frames.shape[0]))
        second = self.controlnet_encode_second(first.flatten(0, 1))
        return compress_time(_as_video(second, frames.shape[0]))


def compress_time(frames: torch.Tensor) -> torch.Tensor:
    """Halve the frames ``(B, F, C, H, W)`` by averaging pairs; of an odd number the first is kept as it is."""
    kept = frames.shape[1] % 2
    pairs = (frames[:, kept::2] + frames[:, kept + 1 :: 2]) / 2
    return torch.cat([frames[:, :kept], pairs], dim=1)


def _as_video(frames: torch.Tensor, batch: int) -> torch.Tensor:
    return frames.reshape(batch, -1, *frames.shape[1:])


def _encoder(channels: int, out_channels: int) -> nn.Sequential:
    # Two groups, normalised per frame: the frames are the batch here.
    return nn.Sequential(nn.Conv2d(channels, out_channels, 1), nn.GroupNorm(2, out_channels), nn.ReLU())
