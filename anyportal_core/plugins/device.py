"""What networks need of the device they run on."""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch

from anyportal_core.errors import GpuTooSmallError, OutOfGpuMemoryError
from anyportal_core.plugins import loaded
from anyportal_core.plugins.weights import loaded_bytes

GIGABYTE: Final = 1e9

KEPT: Final = 1 << 30
"""Bytes of freed memory that a process keeps for what comes."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Memory:
    """A GPU's memory in gigabytes: what nobody uses now, and all of it."""

    free: float
    total: float


@dataclass(frozen=True)
class Load:
    """What lies in a device's memory at once.

    Args:
        weights: files or folders of networks, each with the precision it is loaded in; None for the file's own.
        working: gigabytes that the work with them takes besides.
    """

    weights: tuple[tuple[Path, torch.dtype | None], ...]
    working: float

    @property
    def gigabytes(self) -> float:
        """All of it.

        Raises:
            ModelNotFoundError, CheckpointError: weights are not there, or unreadable.
        """
        return self.weight_bytes / GIGABYTE + self.working

    @property
    def weight_bytes(self) -> int:
        """Of the networks alone.

        Raises:
            ModelNotFoundError, CheckpointError: see `gigabytes`.
        """
        return sum(loaded_bytes(path, dtype) for path, dtype in self.weights)


def dtype_of(device: str) -> torch.dtype:
    """The precision networks run in: bfloat16 on a GPU, float32 on a processor."""
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def seeded(generator: np.random.Generator) -> torch.Generator:
    """A generator on the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(int(generator.integers(2**63)))


def device_memory(device: str) -> Memory | None:
    """Of a GPU; None for a processor, which has enough, or swaps."""
    if not device.startswith("cuda"):
        return None
    free, total = torch.cuda.mem_get_info(device)
    return Memory(free / GIGABYTE, total / GIGABYTE)


def check_fits(device: str, *loads: Load) -> None:
    """Look whether each of some loads, which follow one another, fits a device that has nothing else to hold.

    Raises:
        GpuTooSmallError: the largest does not.
    """
    memory = device_memory(device)
    if memory is not None:
        _refuse_too_small(device, max(load.gigabytes for load in loads), memory)


def make_room(device: str, load: Load, *used: object) -> None:
    """Free a GPU's memory for what is about to be loaded, or to be worked with.

    Args:
        used: keys of kept models (see `loaded.keep`) that must stay.

    Raises:
        GpuTooSmallError: it does not fit the device, or not beside what others hold there.
    """
    memory = device_memory(device)
    if memory is None:
        return
    needed = load.gigabytes
    _refuse_too_small(device, needed, memory)
    if memory.free < needed:
        memory = _emptied(device, memory)
    if memory.free < needed:
        loaded.forget(*used)
        memory = _emptied(device, memory)
    if memory.free < needed:
        raise GpuTooSmallError(
            f"it needs {needed:.1f} GB of the GPU's memory, of which {memory.free:.1f} GB are free",
            where=device,
            hint="end what else uses the GPU, choose smaller models, or the preset 'draft', which needs none",
        )


def keep_on(device: str, key: tuple[object, ...], load: Load, make: Callable[[], Loaded]) -> Loaded:
    """What `loaded.keep` keeps for a key, with room on the device to load it, and to work with it each time.

    Raises:
        GpuTooSmallError: see `make_room`.
    """
    if not device.startswith("cuda"):
        reuse_memory()
    make_room(device, Load((), load.working) if loaded.keeps(key) else load, key)
    return loaded.keep(key, make, lambda: load.weight_bytes)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch said that a GPU's memory is full."""
    return isinstance(error, torch.cuda.OutOfMemoryError)


def out_of_memory(error: BaseException, device: str) -> OutOfGpuMemoryError:
    """What torch said when a GPU's memory was full, with the numbers as they are now."""
    memory = device_memory(device) or Memory(0, 0)
    ours = torch.cuda.memory_allocated(device) / GIGABYTE if device.startswith("cuda") else 0.0
    most = torch.cuda.max_memory_allocated(device) / GIGABYTE if device.startswith("cuda") else 0.0
    wanted = re.search(r"allocate ([\d.]+ \w+)", str(error))
    others = max(memory.total - memory.free - ours, 0.0)
    return OutOfGpuMemoryError(
        f"{wanted[1] if wanted else 'more'} were wanted beside {ours:.1f} GB in use ({most:.1f} GB at most); of "
        f"{memory.total:.1f} GB {memory.free:.1f} GB are free and {others:.1f} GB are held by others or set aside",
        where=device,
        hint="lower harmonise.batch, the window or work.long_side, which are part of the recipe; or end what else "
        "uses the GPU",
    )


def give_back(device: str) -> None:
    """Free all of a GPU's memory that this process can do without: kept models, and what torch set aside."""
    loaded.forget()
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


@cache
def reuse_memory() -> None:
    """Have this process keep up to a gigabyte of freed memory, where the C library is glibc.

    By default every array of more than 32 MB is fresh memory from the system, which clears it page by page: on a
    processor that takes as long as the networks themselves. On a GPU nothing large is made here.
    """
    try:
        change = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
        change(option, KEPT)


def _emptied(device: str, before: Memory) -> Memory:
    """The memory once torch has given back what it holds for later use: the driver does not count that as free."""
    gc.collect()
    torch.cuda.empty_cache()
    return device_memory(device) or before


def _refuse_too_small(device: str, needed: float, memory: Memory) -> None:
    if memory.total < needed:
        raise GpuTooSmallError(
            f"it needs {needed:.1f} GB of the GPU's memory, which has {memory.total:.1f} GB",
            where=device,
            hint="choose smaller models, a larger GPU, or the preset 'draft', which needs none",
        )
