"""Random weights of the published sizes, in the published layout: about 46 GB.

Key names, shapes and configurations are those of the manifests the loaders are tested against. What transformers reads
by itself (SAM 2, ViTMatte, ZoeDepth) is made of the published configurations' numbers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    Sam2VideoConfig,
    Sam2VideoModel,
    VitDetConfig,
    VitMatteConfig,
    VitMatteForImageMatting,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
)

from anyportal_core.models import Models
from anyportal_core.plugins.cogvideox.edges import HED_FILE
from anyportal_core.plugins.cogvideox.published import SCHEDULER
from anyportal_core.plugins.propainter.loading import COMPLETION, GENERATOR, RAFT
from anyportal_core.testing.manifests import Manifest, manifests
from anyportal_core.testing.tiny.depth import ZOE_PICTURES
from anyportal_core.testing.tiny.matting import sure
from anyportal_core.testing.tiny.pictures import write_tokenizer
from anyportal_core.testing.tiny.text import PIECES, vocabulary_file
from anyportal_core.testing.tiny.video import SCHEDULE

MANIFESTS: Final = {manifest.name: manifest for manifest in manifests()}
SHARD: Final = 4_000_000_000
"""Bytes of a file of weights, about; it also bounds the memory that writing takes."""

OFFSET: Final = 0.05
"""Of what is added to another network's weights: with more, their sum would leave its range."""

DIFFUSERS, TRANSFORMERS = "diffusion_pytorch_model", "model"

HIERA_LARGE: Final[dict[str, Any]] = {
    "model_type": "sam2_vision_model",
    "backbone_config": {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 144,
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 6, 36, 4],
        "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "window_size_per_stage": [8, 4, 16, 8],
        "window_positional_embedding_background_size": [7, 7],
        "global_attention_blocks": [23, 33, 43],
    },
    "backbone_channel_list": [1152, 576, 288, 144],
}
"""Of facebook/sam2.1-hiera-large."""

VITMATTE_SMALL: Final[dict[str, Any]] = {
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "image_size": 512,
    "pretrain_image_size": 224,
    "patch_size": 16,
    "num_channels": 4,
    "window_size": 14,
    "window_block_indices": [0, 1, 3, 4, 6, 7, 9, 10],
    "residual_block_indices": [2, 5, 8, 11],
    "use_relative_position_embeddings": True,
    "out_features": ["stage12"],
}
"""The backbone of hustvl/vitmatte-small-composition-1k."""

FUSION: Final[dict[str, Any]] = {
    "hidden_size": 384,
    "convstream_hidden_sizes": [48, 96, 192],
    "fusion_hidden_sizes": [256, 128, 64, 32],
}


def write_all(root: Path, device: str) -> None:
    """Every model that the preset ``anyportal`` uses; what is there already stays.

    Args:
        device: where random numbers are drawn.
    """
    writer = Writer(Models(root), device)
    writer.stable_diffusion("sd15", "sd15_unet")
    writer.stable_diffusion("sd15-inpainting", "sd15_inpainting_unet")
    for variant in ("fc", "fbc"):
        manifest = MANIFESTS[f"iclight_{variant}"]
        writer.file(writer.models.place(f"iclight/{variant}"), manifest, torch.float16, OFFSET)
    writer.video("das", "das")
    writer.video("cogvideox-5b", "cogvideox_5b")
    writer.folder(writer.models.place("controlnet/5b-hed"), MANIFESTS["controlnet_5b_hed"], torch.bfloat16, DIFFUSERS)
    writer.file(writer.models.place("hed") / HED_FILE, MANIFESTS["hed"], torch.float16)
    propainter = writer.models.place("propainter")
    writer.file(propainter / RAFT, MANIFESTS["raft"], torch.float32)
    writer.file(propainter / COMPLETION, MANIFESTS["propainter_flow_completion"], torch.float32)
    writer.file(propainter / GENERATOR, MANIFESTS["propainter_generator"], torch.float32)
    writer.pretrained("sam2", sure(Sam2VideoModel(Sam2VideoConfig(vision_config=HIERA_LARGE))))
    backbone = VitDetConfig(**VITMATTE_SMALL)
    writer.pretrained("vitmatte", VitMatteForImageMatting(VitMatteConfig(backbone_config=backbone, **FUSION)))
    writer.pretrained("depth", ZoeDepthForDepthEstimation(ZoeDepthConfig()))
    pictures = {**ZOE_PICTURES, "size": {"height": 384, "width": 512}}
    (writer.models.place("depth") / "preprocessor_config.json").write_text(json.dumps(pictures), "utf-8")


class Writer:
    """Writes models below one root."""

    def __init__(self, models: Models, device: str) -> None:
        self.models = models
        self._generator = torch.Generator(device).manual_seed(0)

    def stable_diffusion(self, name: str, unet: str) -> None:
        place = self.models.place(name)
        self.folder(place / "unet", MANIFESTS[unet], torch.float16, DIFFUSERS)
        self.folder(place / "vae", MANIFESTS["sd15_vae"], torch.float16, DIFFUSERS)
        self.folder(place / "text_encoder", MANIFESTS["sd15_text_encoder"], torch.float16, TRANSFORMERS)
        if not (place / "tokenizer").exists():
            write_tokenizer(place / "tokenizer")

    def video(self, name: str, transformer: str) -> None:
        place = self.models.place(name)
        self.folder(place / "transformer", MANIFESTS[transformer], torch.bfloat16, DIFFUSERS)
        self.folder(place / "vae", MANIFESTS["cogvideox_vae"], torch.bfloat16, DIFFUSERS)
        texts = place / "text_encoder"
        if name == "das":
            self.folder(texts, MANIFESTS["t5_encoder"], torch.bfloat16, TRANSFORMERS)
        else:  # one T5 serves both
            texts.mkdir(parents=True, exist_ok=True)
            for file in (self.models.place("das") / "text_encoder").iterdir():
                if not (texts / file.name).exists():
                    os.link(file, texts / file.name)
        for folder, file, content in (
            ("tokenizer", "spiece.model", vocabulary_file(PIECES)),
            ("scheduler", SCHEDULER, json.dumps(SCHEDULE | {"snr_shift_scale": 1.0}).encode()),
        ):
            (place / folder).mkdir(exist_ok=True)
            (place / folder / file).write_bytes(content)

    def folder(self, folder: Path, manifest: Manifest, dtype: torch.dtype, name: str) -> None:
        """Configuration, files of weights of about 4 GB each, and their index, which is written last."""
        index = folder / f"{name}.safetensors.index.json"
        if index.exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(manifest.config), "utf-8")
        shard_of = {}
        for number, keys in enumerate(_shards(manifest, dtype.itemsize)):
            file = f"{name}-{number:05}.safetensors"
            save_file({key: self._drawn(key, manifest.keys[key], dtype) for key in keys}, folder / file)
            shard_of |= dict.fromkeys(keys, file)
        index.write_text(json.dumps({"weight_map": shard_of}), "utf-8")

    def file(self, file: Path, manifest: Manifest, dtype: torch.dtype, scale: float = 1.0) -> None:
        if file.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        tensors = {key: scale * self._drawn(key, shape, dtype) for key, shape in manifest.keys.items()}
        part = file.with_name(f"{file.name}.part")
        save_file(tensors, part) if file.suffix == ".safetensors" else torch.save(tensors, part)
        part.replace(file)  # what is cut off must not pass for finished

    def pretrained(self, name: str, network: Any) -> None:
        """What transformers reads itself; numbers as it draws them are good ones."""
        if not (self.models.place(name) / "model.safetensors").exists():
            network.save_pretrained(self.models.place(name))

    def _drawn(self, key: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Numbers that keep a deep network's values in range: see `testing.tiny.random`."""
        if key.endswith("num_batches_tracked"):
            return torch.zeros(shape, dtype=torch.int64)
        device = self._generator.device
        drawn = torch.randn(shape, generator=self._generator, device=device)
        if len(shape) > 1:
            drawn /= drawn[0].numel() ** 0.5
        else:
            drawn = 0.1 * drawn + (0 if key.endswith("bias") else 1)
        return drawn.to(dtype).cpu()


def _shards(manifest: Manifest, itemsize: int) -> Iterator[list[str]]:
    keys: list[str] = []
    size = 0
    for key, shape in manifest.keys.items():
        keys.append(key)
        size += itemsize * math.prod(shape)
        if size > SHARD:
            yield keys
            keys, size = [], 0
    if keys:
        yield keys
