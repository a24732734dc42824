"""What a worker may take, and how long it may be silent."""

from __future__ import annotations

from dataclasses import dataclass

GIGABYTE = 1_000_000_000


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
    """

    memory_gigabytes: float | None = None
    job_seconds: float | None = None
    heartbeat_seconds: float = 60
    silence_seconds: float = 1800
    resident_gigabytes: float | None = None
