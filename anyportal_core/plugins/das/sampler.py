"""Diffusion-as-Shader's image-to-video run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from anyportal_core.method.sampling import OnStep, sample_sde
from anyportal_core.method.schedule import NoiseSchedule
from anyportal_core.method.sdedit import guided
from anyportal_core.plugins.cogvideox.codec import VideoCodec, sampled
from anyportal_core.plugins.cogvideox.rotary import Table, rotary_table
from anyportal_core.plugins.cogvideox.transformer import base_grid
from anyportal_core.plugins.das.transformer import CogVideoXTransformer3DModelTracking

Draw = Callable[[tuple[int, ...]], torch.Tensor]
"""Standard normal numbers of a shape, from one seeded generator."""


@dataclass(frozen=True)
class Scene:
    """What a run is to show.

    Attributes:
        image: the first frame ``(1, 3, H, W)``, -1..1.
        tracking: scaled latents of the tracking video ``(1, frames, channels, h, w)``, see `encode_tracking`.
        tracking_image: the tracking video's first frame ``(1, 3, H, W)``, -1..1 (the video itself was encoded in 0..1).
        text: embeddings of the negative and the positive prompt ``(2, L, text channels)``.
    """

    image: torch.Tensor
    tracking: torch.Tensor
    tracking_image: torch.Tensor
    text: torch.Tensor


def encode_tracking(codec: VideoCodec, video: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Latents of a tracking video ``(1, 4k+1, 3, H, W)``, which is encoded in 0..1 as the model was trained."""
    mean, deviation = codec.encode(video)
    return sampled((mean, deviation), draw(tuple(mean.transpose(1, 2).shape)))


def image_to_video(
    network: CogVideoXTransformer3DModelTracking,
    codec: VideoCodec,
    schedule: NoiseSchedule,
    scene: Scene,
    steps: int,
    guidance: Callable[[int], float],
    draw: Draw,
    on_step: OnStep,
) -> torch.Tensor:
    """Clean latents ``(1, frames, channels, h, w)`` of the video.

    Args:
        guidance: the guidance scale at a train time step (see `schedule.swinging_guidance`).
        draw: called in the order of the published pipeline, so that seeded runs agree with it.
    """
    shape = tuple(scene.tracking.shape)
    image = _first_frame(codec, scene.image, shape, draw)
    latents = draw(shape)
    tracking = torch.cat([scene.tracking, _first_frame(codec, scene.tracking_image, shape, draw)], dim=2)
    draw(shape)  # The published pipeline prepares latents for the tracking image too, and drops them.
    tracking = tracking.expand(2, -1, -1, -1, -1).to(network.dtype)
    rotary = _rotary(network, shape)

    def predict(sample: torch.Tensor, timestep: int) -> torch.Tensor:
        both = torch.cat([sample, image], dim=2).expand(2, -1, -1, -1, -1).to(network.dtype)
        times = torch.full((2,), timestep, device=sample.device)
        uncond, cond = network(both, scene.text, times, tracking, rotary).chunk(2)
        velocity: torch.Tensor = guided(uncond.to(sample.dtype), cond.to(sample.dtype), guidance(timestep))
        return velocity

    clean: torch.Tensor = sample_sde(latents, steps, schedule, predict, lambda: draw(shape), on_step)
    return clean


def _first_frame(codec: VideoCodec, image: torch.Tensor, shape: tuple[int, ...], draw: Draw) -> torch.Tensor:
    """The image's latent in the first frame of a video of latents, zeros after it."""
    mean, deviation = codec.encode(image[:, None])
    video = torch.zeros(shape, dtype=mean.dtype, device=mean.device)
    video[:, :1] = sampled((mean, deviation), draw(tuple(mean.transpose(1, 2).shape)))
    return video


def _rotary(network: CogVideoXTransformer3DModelTracking, shape: tuple[int, ...]) -> Table | None:
    config = network.config
    if not config.use_rotary_positional_embeddings:
        return None
    grid = shape[3] // config.patch_size, shape[4] // config.patch_size
    cosines, sines = rotary_table(grid, shape[1], config.attention_head_dim, base_grid(config))
    return cosines.to(network.device), sines.to(network.device)
