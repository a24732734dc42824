"""Signs of life from the child, whatever its main thread does."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from anyportal_daemon.worker.messages import Beat

BEAT = 1.0
"""Seconds between two signs of life."""


class Heart(threading.Thread):
    """Beats until the process ends or nobody listens."""

    def __init__(self, send: Callable[[Beat], None]) -> None:
        super().__init__(name="heart", daemon=True)
        self._send, self._never = send, threading.Event()

    def run(self) -> None:
        try:
            while True:
                self._send(Beat(memory_bytes()))
                self._never.wait(BEAT)
        except (OSError, ValueError):  # the pipe is closed: the thread that reads it ends the process
            return


def memory_bytes() -> int:
    """What this process takes of the machine's memory; where the system does not say, the most it ever took."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
