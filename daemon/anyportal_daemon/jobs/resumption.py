"""What becomes of a job that lost its worker: it goes on by itself, unless it is what kills its workers."""

from __future__ import annotations

from dataclasses import dataclass

from anyportal.v1.jobs_pb2 import Job, JobEvent, LogLine
from anyportal_daemon.errors import WorkerLostError
from anyportal_daemon.jobs.records import job_error, moved

MOST_LOST = 3
"""Workers that may die under one job before it is taken for the cause."""


@dataclass(frozen=True)
class Finished:
    """What an earlier run of a job has delivered already.

    Args:
        key: names everything that decides the files; see ``anyportal_core.pipeline``.
        frames: numbers of the frames whose files are all there.
        seconds: that these frames took.
    """

    key: str = ""
    frames: frozenset[int] = frozenset()
    seconds: float = 0.0

    def seconds_of(self, key: str) -> float:
        """What a run is spared that delivers files decided by ``key``."""
        return self.seconds if key == self.key else 0.0


def lost(job: Job, how: str) -> list[JobEvent]:
    """Its worker died: the job is queued again, or failed at the third time; cancelled where that was asked for."""
    if job.cancel_requested:
        return [moved(job, Job.CANCELLED)]
    job.workers_lost += 1
    if job.workers_lost < MOST_LOST:
        text = f"{how}; the job goes on where it was (worker {job.workers_lost} of {MOST_LOST} that may die under it)"
        return [_warning(text), moved(job, Job.QUEUED)]
    hint = "see the daemon's log and the free memory; lower work.long_side, or run it again: finished stages are kept"
    text = f"{job.workers_lost} workers died under the job in {job.attempts} attempts: {how}"
    error = WorkerLostError(text, hint=hint)
    job.error.CopyFrom(job_error(error))
    return [moved(job, Job.FAILED)]


def interrupted(job: Job, why: str) -> list[JobEvent]:
    """Its daemon is no more, not by the job's doing: it is queued again, or cancelled where that was asked for."""
    if job.cancel_requested:
        return [moved(job, Job.CANCELLED)]
    return [_warning(f"{why}; the job goes on where it was"), moved(job, Job.QUEUED)]


def _warning(text: str) -> JobEvent:
    return JobEvent(log=LogLine(severity=LogLine.WARNING, text=text))
