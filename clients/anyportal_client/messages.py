"""What the daemon says, as plain frozen data: nobody who uses this library needs protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Literal

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from anyportal.v1 import catalog_pb2, jobs_pb2
from anyportal_client.errors import Cancelled, ClientError, JobError, error_of
from anyportal_client.expectations import Outlook

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled", "unknown"]
FINAL: frozenset[JobState] = frozenset(("succeeded", "failed", "cancelled"))

_STATES: dict[int, JobState] = {
    jobs_pb2.Job.QUEUED: "queued",
    jobs_pb2.Job.RUNNING: "running",
    jobs_pb2.Job.SUCCEEDED: "succeeded",
    jobs_pb2.Job.FAILED: "failed",
    jobs_pb2.Job.CANCELLED: "cancelled",
}


def state_of(value: int) -> JobState:
    """The word for a state; a newer daemon may have states that this client does not know."""
    return _STATES.get(value, "unknown")


def state_value(word: str) -> jobs_pb2.Job.State.ValueType:
    """The state that a word stands for; KeyError where none does."""
    return jobs_pb2.Job.State.Value(word.upper())


@dataclass(frozen=True)
class ResultFile:
    """One file of a result, as the daemon holds it; `frame` is None for a movie."""

    sha256: str
    size_bytes: int
    filename: str
    layers: tuple[str, ...]
    frame: int | None = None

    @classmethod
    def of(cls, message: jobs_pb2.ResultFile) -> ResultFile:
        frame = message.frame if message.HasField("frame") else None
        return cls(message.blob.sha256, message.blob.size_bytes, message.filename, tuple(message.layers), frame)


@dataclass(frozen=True)
class Job:
    """A job, as the daemon described it when it was asked.

    Args:
        name: `jobs/{id}`.
        fraction: how far it is, 0..1.
        error: why it failed.
        resolved_recipe: every setting filled in: the recipe's canonical JSON.
        stage_seconds: wall seconds of the stages that ran.
        frames: the frames delivered; empty until the job runs.
        outlook: what is to be expected of it; None where it has ended.
        user: who submitted it.
    """

    name: str
    display_name: str
    state: JobState
    stage: str = ""
    fraction: float = 0.0
    error: ClientError | None = None
    results: tuple[ResultFile, ...] = ()
    recipe_digest: str = ""
    resolved_recipe: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    frames: str = ""
    frame_rate: Fraction | None = None
    last_sequence: int = 0
    priority: int = 0
    outlook: Outlook | None = None
    user: str = ""

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL

    @property
    def seconds(self) -> float:
        """Wall seconds from its start to its end, or 0 while it has not ended."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else 0.0

    def raise_failure(self) -> None:
        """Raise why there is no result, where it failed or was cancelled."""
        if self.state == "cancelled":
            raise Cancelled("the job was cancelled", job=self.name)
        if self.state == "failed":
            raise self.error or JobError("the job failed", job=self.name)

    @classmethod
    def of(cls, message: jobs_pb2.Job) -> Job:
        rate = message.frame_rate
        return cls(
            name=message.name,
            display_name=message.display_name,
            state=state_of(message.state),
            stage=message.progress.stage,
            fraction=message.progress.fraction,
            error=job_error(message.error, message.name) if message.HasField("error") else None,
            results=tuple(map(ResultFile.of, message.results)),
            recipe_digest=message.recipe_digest,
            resolved_recipe=message.resolved_recipe,
            labels=dict(message.labels),
            created=_time(message, "create_time"),
            started=_time(message, "start_time"),
            ended=_time(message, "end_time"),
            stage_seconds=dict(message.stage_seconds),
            frames=message.frames_delivered,
            frame_rate=Fraction(rate.numerator, rate.denominator) if rate.denominator else None,
            last_sequence=message.last_sequence,
            priority=message.priority,
            outlook=Outlook.of(message.outlook) if message.HasField("outlook") else None,
            user=message.user,
        )


def _time(message: jobs_pb2.Job, name: Literal["create_time", "start_time", "end_time"]) -> datetime | None:
    stamp: Timestamp = getattr(message, name)
    return stamp.ToDatetime(UTC) if message.HasField(name) else None


def job_error(message: jobs_pb2.JobError, job: str) -> ClientError:
    """Why a job failed, as the error to raise."""
    return error_of(
        message.code or "JOB_FAILED",
        message.message or "the job failed",
        where=message.where,
        hint=message.hint,
        job=job,
        otherwise=JobError,
    )


@dataclass(frozen=True)
class WorkerInfo:
    """A process of the daemon that owns one GPU, or the CPU.

    Args:
        trouble: why it is dead, where that is known.
        name: unlike those of the daemon's others, which may share its device.
    """

    device: str
    state: str
    job: str
    trouble: str = ""
    name: str = ""


@dataclass(frozen=True)
class DaemonInfo:
    """What the daemon says of itself.

    Args:
        broken_plugins: what could not be read, and why.
        mappings: names of folders of which paths can be sent instead of bytes.
        user: who asked.
        scopes: what they may do: submit, read-all, admin.
        draining: it takes no more jobs.
    """

    version: str
    platform: str
    workers: tuple[WorkerInfo, ...]
    queued_jobs: int
    running_jobs: int
    free_disk_bytes: int
    broken_plugins: Mapping[str, str]
    mappings: tuple[str, ...] = ()
    user: str = ""
    scopes: tuple[str, ...] = ()
    draining: bool = False

    @classmethod
    def of(cls, message: catalog_pb2.Daemon) -> DaemonInfo:
        workers = (
            WorkerInfo(
                each.device, catalog_pb2.Worker.State.Name(each.state).lower(), each.job, each.trouble, each.name
            )
            for each in message.workers
        )
        return cls(
            message.version,
            message.platform,
            tuple(workers),
            message.queued_jobs,
            message.running_jobs,
            message.free_disk_bytes,
            dict(message.broken_plugins),
            tuple(message.mappings),
            message.user,
            tuple(message.scopes),
            message.draining,
        )


@dataclass(frozen=True)
class PresetInfo:
    """A preset: what it chooses by role, which backdrops it takes, and what is missing if it cannot run."""

    name: str
    summary: str
    roles: Mapping[str, Any]
    backdrops: tuple[str, ...]
    unavailable: str

    @classmethod
    def of(cls, message: catalog_pb2.Preset) -> PresetInfo:
        roles = MessageToDict(message.roles)
        return cls(message.name, message.summary, roles, tuple(message.backdrops), message.unavailable)
