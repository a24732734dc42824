"""What a worker may take, and how long it may be silent."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from anyportal_daemon.config_keys import Kind, key, number, whole

GIGABYTE = 1_000_000_000

MEMORY_PART = 0.9
"""Of the machine's memory, for all workers, where nothing is said: the rest keeps daemon and system alive."""

MOST_DEVICES = 64
_DEVICE = re.compile(r"cpu|cuda:(0|[1-9]\d?)")


def devices_of(value: object) -> tuple[str, ...]:
    """What stands for devices in a configuration: ``"auto"``, or names such as ``["cuda:0", "cuda:1"]``.

    Raises:
        ValueError: it is neither.
    """
    if value == "auto":
        return ()
    if not isinstance(value, list) or not 0 < len(value) <= MOST_DEVICES:
        raise ValueError
    if not all(isinstance(each, str) and _DEVICE.fullmatch(each) for each in value):
        raise ValueError
    return tuple(value)


def machine_memory() -> int | None:
    """Bytes of the machine's memory; None where the system does not say."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Limits:
    """Of one worker child. None: no limit."""

    devices: tuple[str, ...] = key(
        Kind('"auto" or a list of devices such as "cpu" and "cuda:0"', '["cuda:0", "cuda:1"]', devices_of),
        "One worker process runs on each of them; a device may be named more than once.",
        (),
        unset="all CUDA devices, else the processor",
    )

    memory_gigabytes: float | None = key(
        number(48),
        "Of the machine's memory, for each worker. A job that takes more is ended, and so is its process.",
        None,
        unset="nine tenths of it, divided among the workers",
    )
    frames: int = key(whole(100_000), "That one job may analyse: from the first to the last delivered one.", 100_000)
    picture_megapixels: float = key(
        number(300), "Millions of pixels that a picture of plate, matte, mask or backdrop may have.", 300
    )
    job_seconds: float | None = key(number(14_400), "That one job may run.", None, unset="no limit")
    heartbeat_seconds: float = key(number(60), "Without a sign of life after which a worker process is killed.", 60)
    silence_seconds: float = key(
        number(1800), "Without news from a stage after which a worker process is killed, though it lives.", 1800
    )
    resident_gigabytes: float | None = key(
        number(24),
        "Of models that stay loaded between jobs.",
        None,
        unset="half of the machine's memory; on a GPU as many as leave room for the work",
    )

    def most_memory(self, share: int = 1) -> int | None:
        """Bytes that one worker may take of the machine's memory; None: nobody knows how much there is.

        Args:
            share: workers that have it in common, where nothing is said.
        """
        if self.memory_gigabytes is not None:
            return int(self.memory_gigabytes * GIGABYTE)
        whole = machine_memory()
        return None if whole is None else int(MEMORY_PART * whole) // share
