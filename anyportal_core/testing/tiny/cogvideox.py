"""Tiny CogVideoX: transformer, tracking transformer, ControlNet and video codec that fit one another."""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKLCogVideoX

from anyportal_core.plugins.cogvideox.controlnet import CogVideoXControlnet
from anyportal_core.plugins.cogvideox.transformer import CogVideoX
from anyportal_core.plugins.das.transformer import CogVideoXTransformer3DModelTracking
from anyportal_core.testing.tiny.random import randomised

HEIGHT, WIDTH, FRAMES = 64, 96, 9
LATENT = (1, 3, 4, HEIGHT // 8, WIDTH // 8)
"""Latents of such a clip: batch, frames, channels, rows, columns."""
TEXT_LENGTH, TEXT_CHANNELS = 6, 20

_COMMON: dict[str, Any] = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "time_embed_dim": 24,
    "text_embed_dim": TEXT_CHANNELS,
    "patch_size": 2,
    "sample_width": LATENT[4],
    "sample_height": LATENT[3],
    "sample_frames": FRAMES,
}
_TRANSFORMER = _COMMON | {
    "in_channels": 4,
    "out_channels": 4,
    "max_text_seq_length": TEXT_LENGTH,
    "use_rotary_positional_embeddings": True,
}
_CODEC: dict[str, Any] = {
    "block_out_channels": (4, 4, 4, 4),
    "layers_per_block": 1,
    "latent_channels": LATENT[2],
    "norm_num_groups": 2,
    "scaling_factor": 0.7,
    "sample_height": HEIGHT,
    "sample_width": WIDTH,
}


def tiny_transformer(seed: int = 0, **config: Any) -> CogVideoX:
    return randomised(CogVideoX(**_TRANSFORMER | {"num_layers": 3} | config), seed)


def tiny_tracking_transformer(seed: int = 0, **config: Any) -> CogVideoXTransformer3DModelTracking:
    more = {"num_layers": 3, "num_tracking_blocks": 2, "in_channels": 8, "use_learned_positional_embeddings": True}
    return randomised(CogVideoXTransformer3DModelTracking(**_TRANSFORMER | more | config), seed)


def tiny_controlnet(seed: int = 0, **config: Any) -> CogVideoXControlnet:
    more = {"vae_channels": 4, "num_layers": 2, "use_rotary_positional_embeddings": True}
    network: CogVideoXControlnet = randomised(CogVideoXControlnet(**_COMMON | more | config), seed)
    return network


def tiny_codec(seed: int = 0, **config: Any) -> AutoencoderKLCogVideoX:
    return randomised(AutoencoderKLCogVideoX(**_CODEC | config), seed)
