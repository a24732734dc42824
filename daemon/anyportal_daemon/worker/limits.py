"""What a worker may take, and how long it may be silent."""

from __future__ import annotations

import re
from dataclasses import dataclass

GIGABYTE = 1_000_000_000

MOST_DEVICES = 64
_DEVICE = re.compile(r"cpu|cuda:(0|[1-9]\d?)")


@dataclass(frozen=True)
class Limits:
    """Of one worker child. None: no limit.

    Args:
        memory_gigabytes: of the machine's memory. A job that takes more is ended, and so is its child.
        job_seconds: that one job may run.
        heartbeat_seconds: without a sign of life after which a child is killed.
        silence_seconds: without news from a stage after which a child is killed, though it lives.
        resident_gigabytes: of models that stay loaded between jobs; None: half of the machine's memory, on a GPU as
            many as leave room for the work.
        devices: one child runs on each of them; a device may be named more than once. Empty: all CUDA devices, or the
            processor.
    """

    memory_gigabytes: float | None = None
    job_seconds: float | None = None
    heartbeat_seconds: float = 60
    silence_seconds: float = 1800
    resident_gigabytes: float | None = None
    devices: tuple[str, ...] = ()


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
