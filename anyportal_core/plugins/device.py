"""What networks need of the device they run on."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import torch

from anyportal_core.errors import GpuTooSmallError
from anyportal_core.plugins.loaded import forget

GIGABYTE = 1e9


def dtype_of(device: str) -> torch.dtype:
    """The precision networks run in: bfloat16 on a GPU, float32 on a processor."""
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def seeded(generator: np.random.Generator) -> torch.Generator:
    """A generator on the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(int(generator.integers(2**63)))


def make_room(device: str, weights: Path, working: float) -> None:
    """Free a GPU's memory for a model that is about to be loaded. A processor has enough, or swaps.

    Args:
        weights: its file or folder.
        working: gigabytes that it takes besides.

    Raises:
        GpuTooSmallError: it would not fit, whatever else was let go of.
    """
    if not device.startswith("cuda"):
        return
    files = [weights] if weights.is_file() else [file for file in weights.rglob("*") if file.is_file()]
    # Text encoders are used first and let go of: they never lie beside the rest.
    beside = [file.stat().st_size for file in files if "text_encoder" not in file.relative_to(weights).parts]
    needed = sum(beside) / GIGABYTE + working
    free, total = (value / GIGABYTE for value in torch.cuda.mem_get_info(device))
    if total < needed:
        raise GpuTooSmallError(
            f"the model needs {needed:.1f} GB of the GPU's memory, which has {total:.1f} GB",
            where=str(weights),
            hint="choose a smaller model, a larger GPU, or the preset 'draft', which needs none",
        )
    if free < needed:
        forget()
        gc.collect()
        torch.cuda.empty_cache()
