"""Tiny Stable Diffusion 1.5 with IC-Light's offsets and its inpainting sibling, as folders in the published layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from anyportal_core.plugins.iclight.prompt import PREFIX
from anyportal_core.plugins.iclight.unet import CHANNELS
from anyportal_core.testing.tiny.random import randomised

UNET: Final[dict[str, Any]] = {
    "in_channels": 4,
    "block_out_channels": [4, 16],
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "cross_attention_dim": 16,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
CODEC: Final[dict[str, Any]] = {
    "block_out_channels": [4, 4, 4, 4],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "latent_channels": 4,
    "norm_num_groups": 2,
}
LETTERS: Final = [
    *(chr(code) for code in range(33, 127)),
    *(chr(code) for code in (*range(161, 173), *range(174, 324))),
]
"""What bytes are written as in CLIP's vocabulary."""

TEXT: Final[dict[str, Any]] = {
    "vocab_size": 2 * len(LETTERS) + 2,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
    "bos_token_id": 2 * len(LETTERS),
    "eos_token_id": 2 * len(LETTERS) + 1,
}
INPAINTING_CHANNELS: Final = 9


def write_stable_diffusion(folder: Path, channels: int = 4, seed: int = 0) -> None:
    """A whole folder: ``unet``, ``vae``, ``text_encoder``, ``tokenizer``."""
    unet = UNET | {"in_channels": channels}
    _write(folder / "unet", unet, randomised(UNet2DConditionModel(**unet), seed).state_dict())
    _write(folder / "vae", CODEC, randomised(AutoencoderKL(**CODEC), seed + 1).state_dict())
    text = randomised(CLIPTextModel(CLIPTextConfig(**TEXT)), seed + 2).state_dict()
    _write(folder / "text_encoder", TEXT, {f"{PREFIX}{key}": value for key, value in text.items()}, "model")
    write_tokenizer(folder / "tokenizer")


def write_iclight_offset(file: Path, variant: str, seed: int = 0) -> None:
    """One of IC-Light's files."""
    unet = UNet2DConditionModel(**UNET | {"in_channels": CHANNELS[variant]})
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(randomised(unet, seed).state_dict(), file)


def _write(
    folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor], name: str = "diffusion_pytorch_model"
) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    save_file({key: value.contiguous() for key, value in weights.items()}, folder / f"{name}.safetensors")


def write_tokenizer(folder: Path) -> None:
    """One token a letter."""
    folder.mkdir(parents=True)
    start, end = "<|startoftext|>", "<|endoftext|>"
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), start, end]
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": TEXT["max_position_embeddings"]}
    tokens = {"bos_token": start, "eos_token": end, "pad_token": end, "unk_token": end}
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config | tokens), "utf-8")
