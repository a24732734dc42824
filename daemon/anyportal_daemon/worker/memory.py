"""Memory of the device: which models stay in it, and what is done when it is full."""

from __future__ import annotations

import sys
from types import ModuleType

from anyportal_core.errors import AnyPortalError
from anyportal_core.plugins import loaded
from anyportal_daemon.worker.limits import GIGABYTE, Limits, machine_memory


def resident_budget(limits: Limits, device: str, children: int = 1) -> int | None:
    """Bytes of models that stay loaded between jobs; None: plug-ins make room themselves, as on a GPU.

    Args:
        children: that share the machine's memory, where the limits say nothing.
    """
    if limits.resident_gigabytes is not None:
        return int(limits.resident_gigabytes * GIGABYTE)
    whole = machine_memory()
    return None if device != "cpu" or whole is None else whole // 2 // children


def keep_resident(limits: Limits, device: str, children: int = 1) -> None:
    """From now on keep models as the limits say."""
    loaded.limit(resident_budget(limits, device, children))


def settle() -> None:
    """A job has ended."""
    loaded.settle()


def out_of_gpu_memory(error: BaseException, device: str) -> AnyPortalError | None:
    """The error to report, with the numbers, where a GPU's memory was full; None for any other error."""
    gpu = _gpu()
    return gpu.out_of_memory(error, device) if gpu is not None and gpu.is_out_of_memory(error) else None


def give_back(device: str) -> None:
    """Free all of a GPU's memory that can be had without changing what is computed."""
    if (gpu := _gpu()) is not None:
        gpu.give_back(device)


def _gpu() -> ModuleType | None:
    """What knows of GPUs; None where no plug-in has loaded torch: then no error can come of it."""
    return sys.modules.get("anyportal_core.plugins.device")
