"""JobService: jobs asked for, looked at, watched, ended."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator, Sequence

from google.protobuf import empty_pb2

from anyportal.v1 import jobs_pb2, jobs_pb2_grpc
from anyportal.v1.jobs_pb2 import Job
from anyportal_daemon.errors import JobNotFoundError, PageTokenError, StoppingError
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.journal import Journal, Request
from anyportal_daemon.jobs.plan import plan
from anyportal_daemon.security.users import caller
from anyportal_daemon.server.bell import Bell
from anyportal_daemon.server.gate import Context
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker.supervisor import Supervisor

_NAME = re.compile(r"jobs/([0-9a-z]{1,64})")
DEFAULT_PAGE, MAX_PAGE = 50, 1000


class JobService(jobs_pb2_grpc.JobServiceServicer):
    """See jobs.proto. The journal is read and written in threads."""

    def __init__(
        self, book: JobBook, journal: Journal, supervisor: Supervisor, folders: SharedFolders, bell: Bell
    ) -> None:
        self._book, self._journal, self._supervisor, self._folders = book, journal, supervisor, folders
        self._bell = bell
        self._refusing = False

    def refuse(self) -> None:
        """Take no new jobs: the daemon stops."""
        self._refusing = True

    async def CreateJob(self, request: jobs_pb2.CreateJobRequest, context: Context) -> Job:
        if self._refusing:
            raise _stopping()
        return await asyncio.to_thread(self._create, caller(), request)

    def _create(self, user: str, request: jobs_pb2.CreateJobRequest) -> Job:
        own = Request(request.request_id, _body_digest(request.job)) if request.request_id else None
        known = None if request.validate_only else self._journal.requested(user, own)
        if known is not None:
            return known
        checked = plan(request.job, self._supervisor.catalogue, self._folders)
        return checked.job if request.validate_only else self._book.create(user, checked, own)

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Context) -> Job:
        return await asyncio.to_thread(self._journal.job, caller(), _id(request.name))

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Context) -> jobs_pb2.ListJobsResponse:
        states = sorted(set(request.states))
        before = _read_token(request.page_token, states) if request.page_token else None
        size = min(max(request.page_size, 0) or DEFAULT_PAGE, MAX_PAGE)
        jobs, following = await asyncio.to_thread(self._journal.page, caller(), states, size, before)
        token = "" if following is None else _token(following, states)
        return jobs_pb2.ListJobsResponse(jobs=jobs, next_page_token=token)

    async def WatchJob(self, request: jobs_pb2.WatchJobRequest, context: Context) -> AsyncIterator[jobs_pb2.JobEvent]:
        user, job_id, after = caller(), _id(request.name), request.after_sequence
        while True:
            news = self._bell.listen(job_id)
            events, ended = await asyncio.to_thread(self._journal.events, user, job_id, after)
            for event in events:
                yield event
                after = event.sequence
            if ended:
                return
            if not events:
                self._book.check_written(job_id)
                if self._bell.closed:
                    raise _stopping()
                await news.wait()

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Context) -> Job:
        user, job_id = caller(), _id(request.name)
        await asyncio.to_thread(self._book.cancel, user, job_id)
        return await asyncio.to_thread(self._journal.job, user, job_id)

    async def RetryJob(self, request: jobs_pb2.RetryJobRequest, context: Context) -> Job:
        if self._refusing:
            raise _stopping()
        user, job_id = caller(), _id(request.name)
        await asyncio.to_thread(self._book.retry, user, job_id)
        return await asyncio.to_thread(self._journal.job, user, job_id)

    async def DeleteJob(self, request: jobs_pb2.DeleteJobRequest, context: Context) -> empty_pb2.Empty:
        await asyncio.to_thread(self._book.delete, caller(), _id(request.name))
        return empty_pb2.Empty()


def _id(name: str) -> str:
    found = _NAME.fullmatch(name)
    if not found:
        raise JobNotFoundError(
            "there is no such job", where=name[:80], hint="a job is called jobs/{id}; `anyportal jobs` lists them"
        )
    return found[1]


def _body_digest(job: Job) -> str:
    """What a request asks for, without what only the daemon writes."""
    asked = Job(
        display_name=job.display_name, shot=job.shot, recipe=job.recipe, delivery=job.delivery, labels=job.labels
    )
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).hexdigest()


def _token(before: int, states: Sequence[int]) -> str:
    """Where a page begins, and the filter it belongs to."""
    return base64.urlsafe_b64encode(f"{before}/{states}".encode()).decode()


def _read_token(token: str, states: Sequence[int]) -> int:
    try:
        before = int(base64.urlsafe_b64decode(token).decode().partition("/")[0])
        if 0 < before < 2**62 and token == _token(before, states):
            return before
    except (binascii.Error, ValueError):
        pass
    raise PageTokenError(
        "not a token of this list", where="page_token", hint="pass next_page_token on, with the same states"
    )


def _stopping() -> StoppingError:
    return StoppingError("the daemon is stopping", hint="call again when it is back")
