"""A tiny Depth Anything and a tiny ZoeDepth as folders in the published layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from transformers import (
    BeitConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    PreTrainedModel,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
)

from anyportal_core.testing.tiny.random import randomised

BACKBONE: Final[dict[str, Any]] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "mlp_ratio": 2,
    "image_size": 56,
    "patch_size": 14,
    "out_indices": [1, 2],
    "apply_layernorm": True,
    "reshape_hidden_states": False,
}
SIZES: Final[dict[str, Any]] = {
    "reassemble_hidden_size": 16,
    "reassemble_factors": [1, 0.5],
    "neck_hidden_sizes": [8, 8],
    "fusion_hidden_size": 8,
    "head_hidden_size": 8,
}
PICTURES: Final[dict[str, Any]] = {
    "image_processor_type": "DPTImageProcessor",
    "do_normalize": True,
    "do_pad": False,
    "do_rescale": True,
    "do_resize": True,
    "size": {"height": 56, "width": 56},
    "keep_aspect_ratio": True,
    "ensure_multiple_of": 14,
    "resample": 3,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
"""Those of Depth Anything, but for the size, which is 518."""

ZOE_BACKBONE: Final[dict[str, Any]] = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 64,
    "patch_size": 16,
    "out_indices": [1, 2, 3, 4],
    "use_relative_position_bias": True,
    "reshape_hidden_states": False,
}
ZOE_SIZES: Final[dict[str, Any]] = {
    "backbone_hidden_size": 16,
    "neck_hidden_sizes": [8, 8, 8, 8],
    "fusion_hidden_size": 8,
    "bottleneck_features": 8,
    "num_relative_features": 4,
    "bin_embedding_dim": 8,
    "num_attractors": [4, 2, 2, 1],
    "patch_transformer_hidden_size": 8,
    "patch_transformer_intermediate_size": 16,
    "patch_transformer_num_attention_heads": 2,
}
ZOE_PICTURES: Final[dict[str, Any]] = {
    "image_processor_type": "ZoeDepthImageProcessor",
    "do_normalize": True,
    "do_pad": True,
    "do_rescale": True,
    "do_resize": True,
    "size": {"height": 64, "width": 96},
    "keep_aspect_ratio": True,
    "ensure_multiple_of": 32,
    "resample": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
"""Those of Intel's ZoeDepth, but for the size, which is 384 by 512."""


def write_depth(folder: Path, seed: int = 0) -> None:
    """Depth Anything: network, and how pictures are prepared for it."""
    config = DepthAnythingConfig(backbone_config=Dinov2Config(**BACKBONE), **SIZES)
    _write(randomised(DepthAnythingForDepthEstimation(config), seed), PICTURES, folder)


def write_zoedepth(folder: Path, seed: int = 0) -> None:
    """ZoeDepth: network, and how pictures are prepared for it."""
    config = ZoeDepthConfig(backbone_config=BeitConfig(**ZOE_BACKBONE), **ZOE_SIZES)
    _write(randomised(ZoeDepthForDepthEstimation(config), seed), ZOE_PICTURES, folder)


def _write(network: PreTrainedModel, pictures: dict[str, Any], folder: Path) -> None:
    # Saved by the library: it goes back to the names that keys were published under.
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures), "utf-8")
