"""Everything that happens during a call, as frozen data; each has a JSON line of its own (docs/events.md).

`Client.watch` yields StateChanged, Progressed, ResultsReady, LogLine and Expected; `submit` and `fetch` tell the rest
to `on_event`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from anyportal.v1 import jobs_pb2
from anyportal_client.errors import ClientError
from anyportal_client.expectations import Outlook, Reason, StageExplanation
from anyportal_client.messages import FINAL, Job, JobState, ResultFile, job_error, state_of

SCHEMA = 1


@dataclass(frozen=True)
class Event:
    """Base of all events."""

    event: ClassVar[str]

    def as_json(self) -> dict[str, Any]:
        """The event as plain data, for a line of JSON."""
        values = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        return {"schema": SCHEMA, "event": self.event, **values}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class DaemonFound(Event):
    """A daemon answers; `started` where it was started for this call."""

    event = "daemon"
    address: str
    version: str
    started: bool


@dataclass(frozen=True)
class DaemonChosen(Event):
    """Of several daemons this one: `reason` says why; `end_seconds` until it would be done, where that is known."""

    event = "chosen"
    address: str
    reason: str
    end_seconds: float | None
    asked: int


@dataclass(frozen=True)
class DaemonDiscovered(Event):
    """A daemon of `anyportal discover`. `queued_jobs` is null where it was not asked or did not say: see `note`."""

    event = "discovered"
    name: str
    address: str
    gpu: str
    version: str
    queued_jobs: int | None
    running_jobs: int | None
    tls: bool
    logged_in: bool
    note: str = ""


@dataclass(frozen=True)
class DaemonNamed(Event):
    """Of `anyportal discover`: where calls go that name no daemon, and who says so. Else they go to this machine."""

    event = "named"
    daemon: str
    origin: str


@dataclass(frozen=True)
class HostSaved(Event):
    """A daemon of `anyportal login`: the token works and is kept; with `--list` one that is."""

    event = "login"
    address: str
    user: str
    fingerprint: str
    keyring: bool


@dataclass(frozen=True)
class HostForgotten(Event):
    """`anyportal logout`: the token is kept no longer. The daemon still takes it until it is revoked there."""

    event = "logout"
    address: str


@dataclass(frozen=True)
class DaemonAway(Event):
    """For two seconds nobody has answered: the daemon is waited for, and its jobs are safe with it."""

    event = "away"
    address: str
    patience_seconds: float


@dataclass(frozen=True)
class DaemonBack(Event):
    """The daemon that was away answers again; `address` may be another than before."""

    event = "back"
    address: str
    away_seconds: float


@dataclass(frozen=True)
class Uploading(Event):
    """How far the footage is: `reading` takes digests, `sending` sends what the daemon lacks."""

    event = "upload"
    phase: Literal["reading", "sending"]
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Submitted(Event):
    """The job is queued. What is to be expected of it is as in `Expected`."""

    event = "submitted"
    job: str
    name: str
    recipe_digest: str
    queue_position: int = 0
    start_seconds: float | None = None
    end_seconds: float | None = None

    @classmethod
    def of(cls, job: Job) -> Submitted:
        """The event for a job that was just queued."""
        outlook = job.outlook or Outlook()
        return cls(
            job.name,
            job.display_name,
            job.recipe_digest,
            outlook.queue_position,
            outlook.start_seconds,
            outlook.end_seconds,
        )


@dataclass(frozen=True)
class StateChanged(Event):
    """The job has a new state."""

    event = "state"
    job: str
    sequence: int
    state: JobState
    error: ClientError | None = field(default=None)

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self.state in FINAL

    def as_json(self) -> dict[str, Any]:
        """Without the error, which has a line of its own."""
        return {key: value for key, value in super().as_json().items() if key != "error"}


@dataclass(frozen=True)
class Progressed(Event):
    """The job went on; fractions are 0..1, of the stage and of the job. `end_seconds` are those left, where known."""

    event = "progress"
    job: str
    sequence: int
    stage: str
    stage_fraction: float
    fraction: float
    end_seconds: float | None = None


@dataclass(frozen=True)
class ResultsReady(Event):
    """Files of the result can be fetched. Has no JSON line: FileFetched has."""

    event = "ready"
    job: str
    sequence: int
    files: tuple[ResultFile, ...]


@dataclass(frozen=True)
class Expected(Event):
    """What is to be expected of a job that has not ended, whenever that changes; see `Outlook`. It has no number."""

    event = "expected"
    job: str
    queue_position: int
    start_seconds: float | None
    end_seconds: float | None
    unknown: str
    rough: bool

    @classmethod
    def of(cls, job: str, outlook: Outlook) -> Expected:
        """The event that tells an outlook."""
        return cls(
            job,
            outlook.queue_position,
            outlook.start_seconds,
            outlook.end_seconds,
            outlook.unknown,
            outlook.rough,
        )


@dataclass(frozen=True)
class LogLine(Event):
    """Something a person should know."""

    event = "log"
    job: str
    sequence: int
    severity: Literal["info", "warning"]
    text: str


@dataclass(frozen=True)
class FileFetched(Event):
    """A file of the result lies where it was asked for, whole and checked; `frame` is None for a movie."""

    event = "file"
    job: str
    path: Path
    layers: tuple[str, ...]
    frame: int | None
    size_bytes: int


@dataclass(frozen=True)
class Done(Event):
    """All files of the result are there: layer to path (a sequence as a printf pattern)."""

    event = "done"
    job: str
    files: Mapping[str, Path]
    frames: str
    recipe_digest: str
    seconds: float
    stage_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed(Event):
    """The call ended with an error; nothing follows. `exit_code` is what the command ends with."""

    event = "error"
    code: str
    message: str
    where: str
    hint: str
    exit_code: int
    job: str

    @classmethod
    def of(cls, error: ClientError) -> Failed:
        """The event that tells of an error."""
        return cls(error.code, error.message, error.where, error.hint, error.exit_code, error.job)


@dataclass(frozen=True)
class WasCancelled(Event):
    """The call ended because somebody asked for it; `job` is empty where none had been queued yet."""

    event = "cancelled"
    job: str
    message: str


@dataclass(frozen=True)
class JobListed(Event):
    """A job of `anyportal jobs`; `created` is ISO 8601. What is to be expected of it is as in `Expected`."""

    event = "job"
    job: str
    name: str
    state: JobState
    fraction: float
    created: str
    labels: Mapping[str, str]
    priority: int = 0
    queue_position: int = 0
    start_seconds: float | None = None
    end_seconds: float | None = None
    user: str = ""

    @classmethod
    def of(cls, job: Job) -> JobListed:
        """The line for a job."""
        created = job.created.isoformat() if job.created else ""
        outlook = job.outlook or Outlook()
        return cls(
            job.name,
            job.display_name,
            job.state,
            job.fraction,
            created,
            job.labels,
            job.priority,
            outlook.queue_position,
            outlook.start_seconds,
            outlook.end_seconds,
            job.user,
        )


@dataclass(frozen=True)
class StageExplained(Event):
    """A stage of `anyportal explain`: whether it was reused, and why (`compared_with` is the nearest earlier job)."""

    event = "stage"
    job: str
    stage: str
    reused: bool
    reason: Reason
    compared_with: str
    differences: tuple[Mapping[str, str], ...]
    seconds: float
    size_bytes: int
    plugin: str

    @classmethod
    def of(cls, job: str, stage: StageExplanation) -> StageExplained:
        """The line for a stage."""
        return cls(
            job,
            stage.stage,
            stage.reused,
            stage.reason,
            stage.compared_with,
            tuple(asdict(difference) for difference in stage.differences),
            stage.seconds,
            stage.size_bytes,
            stage.plugin,
        )


@dataclass(frozen=True)
class PresetListed(Event):
    """A preset of `anyportal presets`; `unavailable` says what is missing where it cannot run."""

    event = "preset"
    name: str
    summary: str
    roles: Mapping[str, Any]
    backdrops: tuple[str, ...]
    unavailable: str


@dataclass(frozen=True)
class Checked(Event):
    """Something `anyportal doctor` looked at."""

    event = "check"
    name: str
    status: Literal["ok", "warning", "broken"]
    message: str
    hint: str = ""


JobEvent = StateChanged | Progressed | ResultsReady | LogLine | Expected
OnEvent = Callable[[Event], None]


def read_event(job: str, message: jobs_pb2.JobEvent) -> JobEvent | None:
    """An event as the daemon sent it; None for a kind that this client does not know."""
    kind = message.WhichOneof("event")
    number = message.sequence
    if kind == "state":
        error = job_error(message.state.error, job) if message.state.HasField("error") else None
        return StateChanged(job, number, state_of(message.state.state), error)
    if kind == "progress":
        step = message.progress
        left = message.outlook.end_seconds if message.outlook.HasField("end_seconds") else None
        return Progressed(job, number, step.stage, step.stage_fraction, step.fraction, left)
    if kind == "results":
        return ResultsReady(job, number, tuple(map(ResultFile.of, message.results.files)))
    if kind == "log":
        warning = message.log.severity == jobs_pb2.LogLine.WARNING
        return LogLine(job, number, "warning" if warning else "info", message.log.text)
    return None
