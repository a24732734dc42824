"""A tiny Depth Anything as a folder in the published layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from safetensors.torch import save_file
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

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
    "size": {"height": 56, "width": 56},
    "ensure_multiple_of": 14,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def write_depth(folder: Path, seed: int = 0) -> None:
    """Network, and how pictures are prepared for it."""
    folder.mkdir(parents=True)
    network = DepthAnythingForDepthEstimation(DepthAnythingConfig(backbone_config=Dinov2Config(**BACKBONE), **SIZES))
    save_file(randomised(network, seed).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(network.config.to_json_string(), "utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(PICTURES), "utf-8")
