"""Worker children that misbehave, for tests. A child is spawned, so what it does is named here and not made there."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from anyportal_core.media.writers import Written
from anyportal_daemon.storage.files import hash_file
from anyportal_daemon.worker import borrowed, child, heart, observer
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


def finds_two(pipe: Connection, setup: WorkerSetup) -> None:
    """A child that finds two GPUs, whatever the machine has."""
    child.devices = lambda: ("cuda:0", "cuda:1")  # type: ignore[assignment]
    child.settle_on = lambda device: None  # type: ignore[assignment]
    child.main(pipe, setup)


@dataclass(frozen=True)
class DiesAfter:
    """A child that dies once, when so many frames of the result are in the store.

    Args:
        pause: seconds that each frame takes.
        damage: it changes a byte of the last of these frames as a disk does.
    """

    frames: int
    pause: float = 0.0
    damage: bool = False

    def __call__(self, pipe: Connection, setup: WorkerSetup) -> None:
        mark = setup.blobs.parent / "died"
        keep, made = observer.PipeObserver.files, []

        def files(own: observer.PipeObserver, written: Sequence[Written]) -> None:
            threading.Event().wait(self.pause)
            keep(own, written)
            made.extend(written)
            if len(made) == self.frames and not mark.exists():
                mark.touch()
                own._collect(0)
                if self.damage:
                    _change_a_byte(own._blobs.path(hash_file(made[-1].path)))
                os._exit(9)

        observer.PipeObserver.files = files  # type: ignore[method-assign]
        child.main(pipe, setup)


@dataclass(frozen=True)
class SwapsDuring:
    """A child under which a shared file is another one from a stage's first news until the job's end.

    Of ``finish`` that is its first file: its progress is told when another thread may have looked at the shared file.
    """

    stage: str
    file: Path

    def __call__(self, pipe: Connection, setup: WorkerSetup) -> None:
        told, kept, left = observer.PipeObserver.progress, observer.PipeObserver.files, observer.PipeObserver.__exit__
        aside, other = self.file.with_name("aside"), self.file.with_name("other")

        def swap(stage: str) -> None:
            if stage == self.stage and other.exists():
                self.file.rename(aside)
                other.rename(self.file)

        def progress(own: observer.PipeObserver, stage: str, stage_fraction: float, fraction: float) -> None:
            swap(stage)
            told(own, stage, stage_fraction, fraction)

        def files(own: observer.PipeObserver, written: Sequence[Written]) -> None:
            swap("finish")
            kept(own, written)

        def leave(own: observer.PipeObserver, *error: Any) -> None:
            if aside.exists():
                aside.replace(self.file)
            left(own, *error)

        observer.PipeObserver.progress = progress  # type: ignore[method-assign]
        observer.PipeObserver.files = files  # type: ignore[method-assign]
        observer.PipeObserver.__exit__ = leave  # type: ignore[method-assign, assignment]
        child.main(pipe, setup)


@dataclass(frozen=True)
class SwapsFolders:
    """A child under which two folders change places once a file of the one was looked at, and again at the job's end.

    Args:
        link: what the other has in place of the file.
    """

    folder: Path
    other: Path
    link: str

    def __call__(self, pipe: Connection, setup: WorkerSetup) -> None:
        lay, left = borrowed.Loan.lay, observer.PipeObserver.__exit__

        def swap() -> None:
            aside = self.folder.with_name("aside")
            self.folder.rename(aside)
            self.other.rename(self.folder)
            aside.rename(self.other)

        def lay_and_swap(own: borrowed.Loan, source: Path, sha256: str, target: Path) -> None:
            lay(own, source, sha256, target)
            swap()

        def leave(own: observer.PipeObserver, *error: Any) -> None:
            if (self.folder / self.link).is_symlink():
                swap()
            left(own, *error)

        borrowed.Loan.lay = lay_and_swap  # type: ignore[method-assign]
        observer.PipeObserver.__exit__ = leave  # type: ignore[method-assign, assignment]
        child.main(pipe, setup)


def _change_a_byte(path: Path) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        first = file.read(1)[0]
        file.seek(0)
        file.write(bytes([first ^ 1]))
