"""Tiny video models as folders in the published layout: CogVideoX, Diffusion-as-Shader, ControlNets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors.torch import save_file
from torch import Tensor

from anyportal_core.plugins.cogvideox.published import EXPECTED, SCHEDULER
from anyportal_core.plugins.text import TIED
from anyportal_core.testing.tiny.cogvideox import (
    tiny_codec,
    tiny_controlnet,
    tiny_tracking_transformer,
    tiny_transformer,
)
from anyportal_core.testing.tiny.text import PIECES, T5, tiny_text_encoder, vocabulary_file

SCHEDULE: Final = EXPECTED | {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012}

SEEN: Final = 17
"""Frames that tiny models see at once: a third of what the published ones do, and of the time it takes."""

PAINTED: Final = 49
"""Frames that the tracking one has positions for: those of a preset's window, as the published one."""

NARROW: Final[dict[str, Any]] = {"block_out_channels": (1, 2, 2, 2), "norm_num_groups": 1}
"""The codec runs more than a hundred times a window, and nearly all of its time goes into pictures of full size."""

READ: Final = 64
"""Tokens of a prompt, letters here: enough for a sentence. That the other tiny transformers read fewer saves time."""

PLAIN: Final[dict[str, Any]] = {"use_rotary_positional_embeddings": False, "max_text_seq_length": 226}
"""What the 2b models have; their ControlNets add positions to as many text tokens, whatever the transformer says."""


def write_cogvideox(folder: Path, rotary: bool, seed: int = 0) -> None:
    """A 5b (``rotary``) or a 2b model."""
    more: dict[str, Any] = {"sample_frames": SEEN, "max_text_seq_length": READ} | ({} if rotary else PLAIN)
    transformer = tiny_transformer(seed, **more)
    _write_model(folder, transformer, 1.0 if rotary else 3.0, seed)


def write_das(folder: Path, seed: int = 0) -> None:
    """Diffusion-as-Shader."""
    transformer = tiny_tracking_transformer(seed, sample_frames=PAINTED, max_text_seq_length=READ)
    _write_model(folder, transformer, 1.0, seed)


def write_controlnet(folder: Path, rotary: bool, seed: int = 0) -> None:
    """A ControlNet that fits the 5b (``rotary``) or the 2b model."""
    write_network(folder, tiny_controlnet(seed, use_rotary_positional_embeddings=rotary))


def write_network(folder: Path, network: Any) -> None:
    """A network that knows its configuration."""
    _write(folder, dict(network.config), network.state_dict(), "diffusion_pytorch_model")


def _write_model(folder: Path, transformer: Any, snr_shift: float, seed: int) -> None:
    """A whole folder: ``transformer``, ``vae``, ``scheduler``, ``text_encoder``, ``tokenizer``."""
    write_network(folder / "transformer", transformer)
    write_network(folder / "vae", tiny_codec(seed + 1, **NARROW))
    words = tiny_text_encoder(seed + 2).state_dict()
    words.pop(TIED[1])  # one table is saved once
    _write(folder / "text_encoder", T5, words, "model")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "spiece.model").write_bytes(vocabulary_file(PIECES))
    (folder / "scheduler").mkdir()
    schedule = SCHEDULE | {"snr_shift_scale": snr_shift}
    (folder / "scheduler" / SCHEDULER).write_text(json.dumps(schedule), "utf-8")


def _write(folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor], name: str) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    save_file({key: value.contiguous() for key, value in weights.items()}, folder / f"{name}.safetensors")
