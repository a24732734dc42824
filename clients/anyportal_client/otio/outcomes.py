"""What became of the shots of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from anyportal_client.errors import ClientError

State = Literal["done", "reused", "failed", "skipped", "cancelled"]


@dataclass(frozen=True)
class Result:
    """What a finished job left behind.

    Args:
        version: of the shot; names the reference and the folder.
        files: layer to file, or to the printf pattern of a sequence.
        frames: first and last frame delivered, in the plate's own numbers.
        metadata: job, recipe digest, settings and seed, written to the reference.
    """

    version: int
    files: Mapping[str, Path]
    frames: tuple[int, int]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def picture(self) -> Path:
        """The file that stands in for the plate: the comp, or the first layer where no comp was asked for."""
        return self.files.get("comp") or next(iter(self.files.values()))


@dataclass(frozen=True)
class Outcome:
    """How a shot ended.

    Args:
        state: ``skipped`` shots were never sent: the plan says why. ``reused`` ones have the result of an earlier run.
        result: of a shot that is done or reused.
        error: of a shot that failed.
        job: the job's name, where there is one.
        seconds: wall time from sending the shot to having its files.
        stage_seconds: wall time of each stage that ran; reused ones are not in it.
    """

    state: State
    result: Result | None = None
    error: ClientError | None = None
    job: str = ""
    seconds: float = 0.0
    stage_seconds: Mapping[str, float] = field(default_factory=dict)


def version_name(version: int) -> str:
    """``v001``: the name of a version in keys, folders and the report."""
    return f"v{version:03d}"
