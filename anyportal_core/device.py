"""Where networks run when nobody says: the first CUDA device, or the processor."""

from __future__ import annotations

import importlib.util
import shutil


def default_device() -> str:
    """``cuda:0`` or ``cpu``. Imports torch only where a GPU's driver is installed: it takes seconds."""
    if shutil.which("nvidia-smi") is None or importlib.util.find_spec("torch") is None:
        return "cpu"
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"
