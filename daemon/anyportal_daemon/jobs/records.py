"""Pieces of a job's record that several parts of the book write."""

from __future__ import annotations

from anyportal.v1.jobs_pb2 import Job, JobError, JobEvent, StateChange
from anyportal_core.errors import AnyPortalError
from anyportal_daemon.jobs.journal import ENDED


def job_error(error: AnyPortalError) -> JobError:
    return JobError(code=error.code, message=error.message, where=error.where, hint=error.hint)


def moved(job: Job, state: Job.State.ValueType) -> JobEvent:
    """Give a job a new state."""
    job.state = state
    if state in ENDED:
        job.cancel_requested = False
    change = StateChange(state=state)
    if state == Job.FAILED:
        change.error.CopyFrom(job.error)
    return JobEvent(state=change)
