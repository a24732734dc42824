"""What Stable Diffusion 1.5 brings besides its U-Net: the autoencoder, and the text encoder with its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from anyportal_core.frames import Image
from anyportal_core.plugins.iclight.codec import GREY, PictureCodec, load_codec
from anyportal_core.plugins.iclight.prompt import encode_pair, load_text_encoder, load_tokenizer


@dataclass(frozen=True)
class Base:
    """Pictures and texts as the U-Net sees them."""

    codec: PictureCodec
    tokenizer: CLIPTokenizer
    encoder: CLIPTextModel

    def prompts(self, text: str, negative: str) -> Tensor:
        """Text states ``(2, L, d)`` of the negative text and the text, whole at any length."""
        return encode_pair(self.tokenizer, self.encoder, text, negative)

    def tensor(self, images: Image) -> Tensor:
        """``(n, H, W, C)`` to ``(n, C, H, W)`` where the networks are."""
        return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).to(self.encoder.device)


def precision(device: str, wanted: str) -> torch.dtype:
    """What networks run in: ``half`` is for GPUs alone."""
    return torch.float16 if wanted == "half" and device != "cpu" else torch.float32


def load_base(folder: Path, device: str, dtype: torch.dtype, middle: float = GREY) -> Base:
    """From a folder as diffusers lays it out.

    Args:
        middle: see `PictureCodec`.

    Raises:
        ModelNotFoundError: something is not there.
        CheckpointError: something is not what it should be.
    """
    encoder = load_text_encoder(folder / "text_encoder", dtype).to(device)
    return Base(load_codec(folder / "vae", device, dtype, middle), load_tokenizer(folder / "tokenizer"), encoder)


def images(pictures: Tensor) -> Image:
    """``(n, C, H, W)`` to ``(n, H, W, C)`` float32."""
    return np.ascontiguousarray(pictures.permute(0, 2, 3, 1).cpu().numpy(), dtype=np.float32)
