"""What is written down of a stage: what decided its result, what became of it, and how much there was to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Extent:
    """How much a shot is.

    Args:
        frames: analysed, from the first to the last delivered one.
        work_pixels: of a frame at work size.
        delivered: frames.
        pixels: of a frame of the plate.
    """

    frames: int
    work_pixels: int
    delivered: int
    pixels: int


@dataclass(frozen=True)
class StageRecord:
    """One stage of a run that has ended.

    Args:
        decided_by: everything that decides the result, as canonical JSON; empty where none is stored.
        key: what the result is stored under: the digest of that.
        reused: it was there already.
        seconds: wall time, that of looking for it included; where an earlier run had finished parts of it, with the
            time that those took.
        size_bytes: of the stored result.
        volume: frames times pixels that it worked on.
        damaged: it ran since the stored result turned out to be damaged.
    """

    stage: str
    decided_by: str
    key: str
    reused: bool
    seconds: float
    size_bytes: int
    volume: int
    damaged: bool = False


@runtime_checkable
class Recorder(Protocol):
    """An observer that is told this, too."""

    def opened(self, extent: Extent) -> None:
        """The shot's media are open."""
        ...

    def record(self, record: StageRecord) -> None:
        """A stage has ended."""
        ...
