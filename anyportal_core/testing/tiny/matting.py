"""Tiny SAM 2, EdgeTAM and ViTMatte as folders in the published layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from transformers import (
    EdgeTamVideoConfig,
    EdgeTamVideoModel,
    PreTrainedModel,
    Sam2VideoConfig,
    Sam2VideoModel,
    VitDetConfig,
    VitMatteConfig,
    VitMatteForImageMatting,
)

from anyportal_core.testing.tiny.random import randomised

SIDE: Final = 64
WIDTH: Final = 128
"""Twice the memory's width, which the library fixes at 64."""

VISION: Final[dict[str, Any]] = {
    "model_type": "sam2_vision_model",
    "backbone_config": {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [8, 4, 4, 2],
        "window_positional_embedding_background_size": [4, 4],
        "global_attention_blocks": [3],
    },
    "backbone_channel_list": [64, 32, 16, 8],
    "backbone_feature_sizes": [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
    "fpn_hidden_size": WIDTH,
}
VIDEO: Final[dict[str, Any]] = {
    "vision_config": VISION,
    "prompt_encoder_config": {"hidden_size": WIDTH, "image_size": SIDE, "mask_input_channels": 4},
    "mask_decoder_config": {
        "hidden_size": WIDTH,
        "mlp_dim": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 16,
    },
    "image_size": SIDE,
    "num_maskmem": 3,
    "max_object_pointers_in_encoder": 4,
    "memory_attention_hidden_size": WIDTH,
    "memory_attention_num_layers": 1,
    "memory_attention_rope_feat_sizes": [SIDE // 16] * 2,
    "memory_encoder_hidden_size": WIDTH,
    "memory_encoder_output_channels": 64,
    "mask_downsampler_embed_dim": WIDTH,
    "memory_fuser_embed_dim": WIDTH,
    "memory_fuser_intermediate_dim": 32,
    "memory_fuser_num_layers": 1,
}
PERCEIVER: Final[dict[str, Any]] = {
    "memory_attention_mlp_hidden_size": 32,
    "memory_attention_rope_k_sizes": [4, 4],
    "perceiver_resampler_num_latents": 16,
    "perceiver_resampler_num_latents_2d": 16,
    "perceiver_resampler_mlp_intermediate_size": 16,
    "perceiver_resampler_num_layers": 1,
}
EDGES: Final[dict[str, Any]] = {
    "hidden_size": 16,
    "convstream_hidden_sizes": [4, 8, 8],
    "fusion_hidden_sizes": [16, 8, 8, 4],
}
BACKBONE: Final[dict[str, Any]] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "mlp_ratio": 2,
    "image_size": 64,
    "pretrain_image_size": 32,
    "num_channels": 4,
    "window_size": 2,
    "window_block_indices": [0],
    "residual_block_indices": [1],
    "use_relative_position_embeddings": True,
    "out_features": ["stage2"],
}


def write_sam2(folder: Path, seed: int = 0) -> None:
    """A video network of SAM 2.1."""
    config = Sam2VideoConfig(**VIDEO, memory_attention_feed_forward_hidden_size=32)
    _write(sure(randomised(Sam2VideoModel(config), seed)), folder)


def write_edgetam(folder: Path, seed: int = 0) -> None:
    """EdgeTAM on the backbone of SAM 2: the published one is built on a package that nothing else here needs."""
    _write(sure(randomised(EdgeTamVideoModel(EdgeTamVideoConfig(**VIDEO, **PERCEIVER)), seed)), folder)


def write_vitmatte(folder: Path, seed: int = 0) -> None:
    """ViTMatte on a small transformer."""
    config = VitMatteConfig(backbone_config=VitDetConfig(**BACKBONE), **EDGES)
    network = randomised(VitMatteForImageMatting(config), seed)
    for key, value in network.state_dict().items():
        if key.endswith("running_mean"):
            value.zero_()  # drawn around 1, as gains are, they would leave nothing above 0
    _write(network, folder)


def sure(network: PreTrainedModel) -> PreTrainedModel:
    """Never in doubt that the thing is on the frame: half of all random networks would lose it at once."""
    with torch.no_grad():
        network.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(10.0)
    return network


def _write(network: PreTrainedModel, folder: Path) -> None:
    folder.mkdir(parents=True)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(network.config.to_json_string(), "utf-8")
