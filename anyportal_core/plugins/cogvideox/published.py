"""Reads what a published CogVideoX folder holds: ``transformer/``, ``vae/``, ``scheduler/``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLCogVideoX

from anyportal_core.errors import CheckpointError
from anyportal_core.method.schedule import NoiseSchedule, scaled_linear
from anyportal_core.plugins.cogvideox.codec import VideoCodec
from anyportal_core.plugins.weights import configured, load_network, read_config

SCHEDULER = "scheduler_config.json"
EXPECTED = {"beta_schedule": "scaled_linear", "prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
SNR_SHIFT = 3.0
"""Where a configuration says nothing, as in diffusers; that is the 2b model's. The 5b models say 1."""


def load_schedule(model: Path) -> NoiseSchedule:
    """The noise schedule that a model was trained with."""
    folder = model / "scheduler"
    return noise_schedule(read_config(folder, SCHEDULER), str(folder / SCHEDULER))


def noise_schedule(config: Mapping[str, Any], where: str) -> NoiseSchedule:
    """The noise schedule of a published configuration; ``where`` names it in an error."""
    other = {key: config.get(key) for key, value in EXPECTED.items() if config.get(key) != value}
    if other:
        raise CheckpointError(f"this is not CogVideoX's noise schedule: {other}", where=where)
    shift = config.get("snr_shift_scale", SNR_SHIFT)
    with configured(Path(where)):
        return scaled_linear(config["beta_start"], config["beta_end"], config["num_train_timesteps"], shift)


def load_codec(model: Path, dtype: torch.dtype | None = None) -> VideoCodec:
    """The video codec of a model."""
    return VideoCodec(load_network(AutoencoderKLCogVideoX, model / "vae", dtype))
