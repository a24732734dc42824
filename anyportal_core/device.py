"""Where networks run: on the CUDA devices that this process may see, or on the processor."""

from __future__ import annotations

import importlib.util
import shutil


def default_device() -> str:
    """``cuda:0`` or ``cpu``: where networks run when nobody says."""
    return devices()[0]


def devices() -> tuple[str, ...]:
    """``cuda:0``, ``cuda:1``, ...; ``cpu`` alone where there is no such device.

    Imports torch only where a GPU's driver is installed: it takes seconds.
    """
    if shutil.which("nvidia-smi") is None or importlib.util.find_spec("torch") is None:
        return ("cpu",)
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return tuple(f"cuda:{number}" for number in range(count)) or ("cpu",)


def settle_on(device: str) -> None:
    """Have what names no CUDA device run on this one, too; the first one is meant anyway."""
    if device not in ("cpu", "cuda:0"):
        import torch

        torch.cuda.set_device(device)
