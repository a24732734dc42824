"""Worker children that misbehave, for tests. A child is spawned, so what it does is named here and not made there."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal

from anyportal_daemon.worker import child, heart, observer
from anyportal_daemon.worker.limits import GIGABYTE
from anyportal_daemon.worker.messages import WorkerSetup

ENORMOUS = 1000 * GIGABYTE


@dataclass(frozen=True)
class HeldAt:
    """A child that is held up at its first news from a stage.

    Args:
        how: ``patient`` goes on when it is cancelled, as between two steps; ``deaf`` never does, as in native code that
            hangs; ``greedy`` says that it takes a thousand gigabytes.
        once: the children that come after it in the same state directory are not held up.
    """

    stage: str
    how: Literal["patient", "deaf", "greedy"]
    once: bool = False

    def __call__(self, pipe: Connection, setup: WorkerSetup) -> None:
        mark = setup.blobs.parent / "held"
        told, never = observer.PipeObserver.progress, threading.Event()

        def progress(own: observer.PipeObserver, stage: str, stage_fraction: float, fraction: float) -> None:
            told(own, stage, stage_fraction, fraction)
            if stage != self.stage or (self.once and mark.exists()):
                return
            mark.touch()
            if self.how == "patient":
                own._cancel.wait()
                return
            if self.how == "greedy":
                heart.memory_bytes = lambda: ENORMOUS
            never.wait()

        observer.PipeObserver.progress = progress  # type: ignore[method-assign]
        child.main(pipe, setup)


def reads_nothing(pipe: Connection, setup: WorkerSetup) -> None:
    """A child that hangs before it has read its first message."""
    threading.Event().wait()
