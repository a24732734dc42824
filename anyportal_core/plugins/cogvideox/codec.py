"""CogVideoX's video codec: frames to the mean and deviation of their latent, and back."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKLCogVideoX

from anyportal_core.plugins.guards import finite


class VideoCodec:
    """Frames ``(B, 4k+1, 3, H, W)`` in -1..1, latents ``(B, k+1, channels, H/8, W/8)`` in the transformer's scale.

    Each comes in the precision that the other was given in, whatever the network's is.
    """

    def __init__(self, network: AutoencoderKLCogVideoX) -> None:
        self._network = network
        self._scale: float = network.config.scaling_factor

    def to(self, device: torch.device | str) -> VideoCodec:
        """The codec, on a device."""
        return VideoCodec(self._network.to(device))

    def encode(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the latent.

        Raises:
            NonFiniteLatentsError: they left the range of the network's precision, or its weights are broken.
        """
        latent = self._network.encode(frames.transpose(1, 2).to(self._network.dtype)).latent_dist
        mean, deviation = finite(latent.mean, "the codec"), finite(latent.std, "the codec")
        return self._to_latent(mean).to(frames.dtype), self._to_latent(deviation).to(frames.dtype)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Frames, not clamped.

        Raises:
            NonFiniteLatentsError: they left the range of the network's precision.
        """
        scaled = (latent / self._scale).transpose(1, 2).to(self._network.dtype)
        frames = finite(self._network.decode(scaled).sample, "the codec")
        return frames.transpose(1, 2).to(latent.dtype)

    def _to_latent(self, value: torch.Tensor) -> torch.Tensor:
        return self._scale * value.transpose(1, 2)


def sampled(latent: tuple[torch.Tensor, torch.Tensor], noise: torch.Tensor) -> torch.Tensor:
    """A latent drawn from its mean and deviation.

    Args:
        noise: standard normal, channels before frames ``(B, channels, frames, h, w)``, as the codec itself draws it.
    """
    mean, deviation = latent
    return mean + deviation * noise.transpose(1, 2)
