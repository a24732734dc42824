"""Pictures to latents and back, as IC-Light was trained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from anyportal_core.method.fitting import continued, cut_out
from anyportal_core.plugins.guards import finite
from anyportal_core.plugins.weights import CONFIG, Checkpoint, empty_network, fill, read_checkpoint, read_config
from anyportal_core.sizes import Fit

GREY: Final = 127 / 255
"""The grey that becomes exactly 0: what surrounds a foreground."""

OLD_NAMES: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""What the attention's layers are called in older files, and today."""


class PictureCodec:
    """Stable Diffusion's autoencoder: pictures ``(n, 3, H, W)`` in 0..1, scaled latents ``(n, 4, H/8, W/8)``.

    One picture at a time: the largest pictures of a run would not fit in batches.

    Args:
        middle: the grey that becomes 0: IC-Light's, or the 0.5 of Stable Diffusion itself.
    """

    def __init__(self, network: AutoencoderKL, middle: float = GREY) -> None:
        self._network = network
        self._middle = middle
        self._scale: float = network.config.scaling_factor

    def encode(self, pictures: Tensor) -> Tensor:
        """The most likely latents.

        Raises:
            NonFiniteLatentsError: they left the range of the network's precision, or its weights are broken.
        """
        rows = (pictures / self._middle - 1).to(self._network.dtype)
        latents = torch.cat([self._network.encode(row[None]).latent_dist.mode() for row in rows])
        return (finite(latents, "the codec") * self._scale).to(pictures.dtype)

    def decode(self, latents: Tensor) -> Tensor:
        """The pictures, clamped.

        Raises:
            NonFiniteLatentsError: they left the range of the network's precision.
        """
        rows = (latents / self._scale).to(self._network.dtype)
        # Before they are clamped: infinity would become white.
        pictures = finite(torch.cat([self._network.decode(row[None]).sample for row in rows]), "the codec")
        return (pictures.to(latents.dtype) / 2 + 0.5).clamp(0, 1)


def load_codec(folder: Path, device: str, dtype: torch.dtype, middle: float = GREY) -> PictureCodec:
    """The autoencoder of a published ``vae`` folder, see `PictureCodec`."""
    checkpoint = read_checkpoint(folder)
    network = empty_network(AutoencoderKL, read_config(folder), folder / CONFIG)
    fill(network, Checkpoint(checkpoint.file, published_keys(checkpoint.tensors)), dtype)
    return PictureCodec(network.to(device), middle)


def published_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights by the keys that the network has today."""
    old = re.compile(rf"(?<=\.attentions\.0\.)({'|'.join(OLD_NAMES)})(?=\.)")
    return {old.sub(lambda found: OLD_NAMES[found[0]], key): value for key, value in tensors.items()}


def resize(pictures: Tensor, height: int, width: int) -> Tensor:
    """Pictures ``(n, C, H, W)`` in 0..1 at another size."""
    if pictures.shape[-2:] == (height, width):
        return pictures
    return F.interpolate(pictures, (height, width), mode="bicubic", antialias=True).clamp(0, 1)


def shown(pictures: Tensor, place: Fit) -> Tensor:
    """Pictures ``(n, C, H, W)`` in 0..1 as a network of that fit sees them."""
    return continued(resize(pictures, *place.size), place, (-2, -1))


def found(pictures: Tensor, place: Fit, height: int, width: int) -> Tensor:
    """What a network made of pictures `shown` to it, at their own size."""
    return resize(cut_out(pictures, place, (-2, -1)), height, width)
