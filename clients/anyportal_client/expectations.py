"""What is to be expected of a job, and why its stages ran: what the daemon says of that, as plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from anyportal.v1 import jobs_pb2

Reason = Literal["same", "changed", "first", "gone", "always", "stored", "damaged", "unknown"]

_REASONS: dict[int, Reason] = {
    jobs_pb2.StageExplanation.SAME: "same",
    jobs_pb2.StageExplanation.CHANGED: "changed",
    jobs_pb2.StageExplanation.FIRST: "first",
    jobs_pb2.StageExplanation.GONE: "gone",
    jobs_pb2.StageExplanation.ALWAYS: "always",
    jobs_pb2.StageExplanation.STORED: "stored",
    jobs_pb2.StageExplanation.DAMAGED: "damaged",
}


@dataclass(frozen=True)
class Outlook:
    """When a job that has not ended will run and be done, as far as the daemon can tell.

    Args:
        queue_position: 1 is the next to run; 0: it runs, or has ended.
        start_seconds: until it begins; None where it has, or nobody knows.
        end_seconds: until it has ended; None where nobody knows.
        unknown: why a time is not known.
        rough: the plate's size was not known.
    """

    queue_position: int = 0
    start_seconds: float | None = None
    end_seconds: float | None = None
    unknown: str = ""
    rough: bool = False

    @classmethod
    def of(cls, message: jobs_pb2.Outlook) -> Outlook:
        return cls(
            message.queue_position,
            message.start_seconds if message.HasField("start_seconds") else None,
            message.end_seconds if message.HasField("end_seconds") else None,
            message.unknown,
            message.rough,
        )

    def tells_more_than(self, other: Outlook | None) -> bool:
        """Whether it is worth telling after another one: seconds that pass are no news."""
        if other is None:
            return True
        known = self.start_seconds is None, self.end_seconds is None
        return (self.queue_position, *known) != (
            other.queue_position,
            other.start_seconds is None,
            other.end_seconds is None,
        )


@dataclass(frozen=True)
class Difference:
    """One thing that decides a stage and is not as it was.

    Args:
        kind: setting, plugin, code, media, work_size, seed, stage, model or prompt.
        before: as text; empty where there was none, or none that says anything to a person. `after` likewise.
    """

    kind: str
    name: str
    before: str
    after: str

    @classmethod
    def of(cls, message: jobs_pb2.Difference) -> Difference:
        kind = jobs_pb2.Difference.Kind.Name(message.kind).lower()
        return cls(kind, message.name, message.before, message.after)


@dataclass(frozen=True)
class StageExplanation:
    """What became of one stage of a job, and why; see `StageExplained` of events."""

    stage: str
    reused: bool
    reason: Reason
    compared_with: str
    differences: tuple[Difference, ...]
    seconds: float
    size_bytes: int
    plugin: str

    @classmethod
    def of(cls, message: jobs_pb2.StageExplanation) -> StageExplanation:
        return cls(
            message.stage,
            message.reused,
            _REASONS.get(message.reason, "unknown"),
            message.compared_with,
            tuple(map(Difference.of, message.differences)),
            message.seconds,
            message.size_bytes,
            message.plugin,
        )
