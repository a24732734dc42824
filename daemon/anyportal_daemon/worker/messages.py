"""Every message that crosses the pipe between the daemon and its worker child. Frames travel as digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anyportal_core.record import Extent, StageRecord
from anyportal_core.registry import Catalogue
from anyportal_core.shot import Span
from anyportal_daemon.worker.limits import Limits


@dataclass(frozen=True)
class WorkerSetup:
    """What a child is started with.

    Args:
        blobs: the folder of the blob store's bytes.
        stages: the folder of stage results.
        scratch: where jobs get a folder for as long as they run.
        parent: the daemon's process id.
        models: the root of the model weights, where it is configured.
        limits: what the child may take.
        device: where it runs networks; empty: on the first that it finds.
        share: children that divide the processors among them; for a child that finds devices, one for each of them.
    """

    blobs: Path
    stages: Path
    scratch: Path
    parent: int
    models: Path | None = None
    limits: Limits = field(default_factory=Limits)
    device: str = ""
    share: int = 1


# From the daemon to the child.


@dataclass(frozen=True)
class ClipInput:
    """A clip of a shot.

    Args:
        name: the file name, or the printf pattern of a sequence; empty: the folder of its files.
        files: digest and file name of each file; of shared media of which nothing more is known there are none.
        rate: frames per second as a fraction, where it is stated.
        colour_space: the one to assume; empty: as tagged.
        digest: what identifies the content, where it is known.
        elsewhere: where files lie that are not in the store, by name: shared ones, to be checked when they are used.
        span: where the file is a part of a movie.
        content: what shared files of which nothing more is known have to hold together, as the recipe says; empty:
            whatever they hold now.
    """

    name: str
    files: tuple[tuple[str, str], ...] = ()
    rate: tuple[int, int] | None = None
    colour_space: str = ""
    digest: str = ""
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    span: Span | None = None
    content: str = ""


@dataclass(frozen=True)
class RunJob:
    """Render this shot. ``recipe`` is the canonical form.

    Args:
        colour_config: the built-in configuration of this name; with a ``colour_file`` that file's.
        colour_file: digest and file name of a configuration.
        finish: what decided the files that an earlier run has delivered.
        finished: numbers of the frames that it has delivered.
    """

    job: str
    name: str
    plate: ClipInput
    frames: str
    handles: int
    matte: ClipInput | None
    mask: ClipInput | None
    mask_frame: int | None
    backdrop: ClipInput | None
    recipe: str
    layers: tuple[str, ...]
    format: str
    compression: str = "zip"
    colour_space: str = ""
    within: str = ""
    missing: str = "error"
    colour_config: str = ""
    colour_file: tuple[str, str] | None = None
    clean_plate: ClipInput | None = None
    garbage: ClipInput | None = None
    holdout: ClipInput | None = None
    corrections: Mapping[int, ClipInput] = field(default_factory=dict)
    finish: str = ""
    finished: frozenset[int] = frozenset()


@dataclass(frozen=True)
class CancelJob:
    """End this job at the next checkpoint."""

    job: str


@dataclass(frozen=True)
class Stop:
    """End when idle."""


# From the child to the daemon.


@dataclass(frozen=True)
class Ready:
    """The child can take jobs.

    Args:
        device: where it runs networks.
        devices: all that it may see, where it was to find one.
    """

    catalogue: Catalogue
    device: str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Beat:
    """A sign of life, once a second, whatever the child does."""

    memory_bytes: int


@dataclass(frozen=True)
class Opened:
    """The shot's media are open."""

    frames: str
    rate: tuple[int, int]


@dataclass(frozen=True)
class Progressed:
    stage: str
    stage_fraction: float
    fraction: float


@dataclass(frozen=True)
class StageBegun:
    """A stage has to run; what it finishes lies under ``key``, in parts at first."""

    key: str


@dataclass(frozen=True)
class StageDone:
    stage: str
    seconds: float
    reused: bool


@dataclass(frozen=True)
class Finishing:
    """Files come next, decided by ``finish``. Those that something else decided are no results of the job."""

    finish: str


@dataclass(frozen=True)
class Recorded:
    """What a run wants written down for estimates and explanations."""

    what: Extent | StageRecord


@dataclass(frozen=True)
class MadeFile:
    """A finished result file whose bytes are in the store."""

    sha256: str
    size: int
    filename: str
    layers: tuple[str, ...]
    frame: int | None


@dataclass(frozen=True)
class FilesMade:
    files: tuple[MadeFile, ...]


@dataclass(frozen=True)
class Said:
    text: str
    warning: bool


@dataclass(frozen=True)
class Succeeded:
    """The job is done; all its files were reported."""


@dataclass(frozen=True)
class Failed:
    """The job cannot be done."""

    code: str
    message: str
    where: str
    hint: str


@dataclass(frozen=True)
class WasCancelled:
    """The job ended because it was asked to."""


ToChild = RunJob | CancelJob | Stop
Report = Opened | Progressed | StageBegun | StageDone | Recorded | Finishing | FilesMade | Said
Outcome = Succeeded | Failed | WasCancelled
FromChild = Ready | Report | Outcome
"""An outcome before it is ready says why it never will be."""
