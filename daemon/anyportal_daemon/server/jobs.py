"""JobService: jobs asked for, looked at, watched, ended."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import re
import threading
from collections.abc import AsyncIterator, Sequence

from google.protobuf import empty_pb2

from anyportal.v1 import jobs_pb2, jobs_pb2_grpc
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.errors import ShotError
from anyportal_daemon.errors import JobNotFoundError, PageTokenError, ScopeError, StoppingError
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.explain import explain
from anyportal_daemon.jobs.journal import Journal, Request
from anyportal_daemon.jobs.lookout import Lookout
from anyportal_daemon.jobs.outlook import Outlooks
from anyportal_daemon.jobs.plan import plan
from anyportal_daemon.jobs.scheduler import Scheduler
from anyportal_daemon.security.scopes import Scope
from anyportal_daemon.security.users import caller, calling
from anyportal_daemon.server.bell import Bell
from anyportal_daemon.server.guard import Context
from anyportal_daemon.server.threads import SlowWork, in_thread
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker.workers import Workers

_NAME = re.compile(r"jobs/([0-9a-z]{1,64})")
DEFAULT_PAGE, MAX_PAGE = 50, 1000
MAX_REQUEST_ID = 200

NEWS = 2.0
"""Seconds after which whoever watches a job is told what is to be expected of it, where that has changed."""


class JobService(jobs_pb2_grpc.JobServiceServicer):
    """See jobs.proto. The journal is read and written in threads."""

    def __init__(
        self,
        book: JobBook,
        journal: Journal,
        scheduler: Scheduler,
        workers: Workers,
        folders: SharedFolders,
        bell: Bell,
        slow: SlowWork,
    ) -> None:
        self._book, self._journal, self._workers, self._folders = book, journal, workers, folders
        self._scheduler, self._bell, self._slow = scheduler, bell, slow
        self._lookout = Lookout(Outlooks(journal, scheduler).look)
        self._admitting = threading.Lock()
        """Held while a user's jobs are counted and one is added."""
        self._refusing: StoppingError | None = None

    def refuse(self, why: StoppingError | None = None) -> None:
        """Take no new jobs, and say why: by default that the daemon stops. A job that was taken is told of again."""
        self._refusing = why or _stopping()

    def _need_open(self) -> None:
        if self._refusing:
            raise self._refusing

    async def close(self) -> None:
        """Let go of the journal; no rpc is running any more."""
        await self._lookout.close()

    async def CreateJob(self, request: jobs_pb2.CreateJobRequest, context: Context) -> Job:
        job = await self._slow.run(caller(), self._create, caller(), request)
        if request.validate_only:
            await self._lookout.promise(job)
        else:
            await self._lookout.add(job)
        return job

    def _create(self, user: str, request: jobs_pb2.CreateJobRequest) -> Job:
        if len(request.request_id) > MAX_REQUEST_ID:
            hint = f"give at most {MAX_REQUEST_ID}: a UUID is a good one"
            raise ShotError(f"an id of {len(request.request_id)} characters", where="request_id", hint=hint)
        own = Request(request.request_id, _body_digest(request.job)) if request.request_id else None
        known = None if request.validate_only else self._journal.requested(user, own)
        if known is not None:
            return known
        self._need_open()
        checked = plan(request.job, self._workers.catalogue, self._folders, self._workers.limits.frames)
        if request.validate_only:
            return checked.job
        with self._admitting:
            if self._journal.requested(user, own) is None:
                self._scheduler.admit(user)
            return self._book.create(user, checked, own)

    async def _job(self, user: str, job_id: str) -> Job:
        job = await in_thread(self._journal.job, user, job_id)
        await self._lookout.add(job)
        return job

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Context) -> Job:
        user = await in_thread(self._as_whom, _id(request.name), calling().sees_all)
        return await self._job(user, _id(request.name))

    def _as_whom(self, job_id: str, everybody: bool) -> str:
        """In whose name a job is looked at or changed: the caller's own, or its user's where ``everybody``'s may be."""
        return self._journal.user_of(job_id) if everybody else caller()

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Context) -> jobs_pb2.ListJobsResponse:
        states = sorted(set(request.states))
        if request.all_users and not calling().sees_all:
            hint = "leave all_users out, or on the daemon's machine: anyportal users scopes NAME --scope read-all"
            raise ScopeError("everybody's jobs are for those with the scope read-all or admin", hint=hint)
        user = None if request.all_users else caller()
        before = _read_token(request.page_token, states) if request.page_token else None
        size = min(max(request.page_size, 0) or DEFAULT_PAGE, MAX_PAGE)
        jobs, following = await in_thread(self._journal.page, user, states, size, before)
        await self._lookout.add_to_page(jobs)
        token = "" if following is None else _token(following, states)
        return jobs_pb2.ListJobsResponse(jobs=jobs, next_page_token=token)

    async def WatchJob(self, request: jobs_pb2.WatchJobRequest, context: Context) -> AsyncIterator[jobs_pb2.JobEvent]:
        job_id, after = _id(request.name), request.after_sequence
        user = await in_thread(self._as_whom, job_id, calling().sees_all)
        told: jobs_pb2.Outlook | None = None
        while True:
            news = self._bell.listen(job_id)
            events, ended = await in_thread(self._journal.events, user, job_id, after)
            moved = any(event.HasField("state") for event in events)
            outlook = None if ended else await self._lookout.of(job_id, fresh=moved)
            if not events and outlook is not None and _worth_telling(told, outlook):
                events = [jobs_pb2.JobEvent(sequence=after)]
            for event in events:
                if outlook is not None:
                    event.outlook.CopyFrom(outlook)
                    told = outlook
                yield event
                after = event.sequence
            if ended:
                return
            if not events:
                self._book.check_written(job_id)
                if self._bell.closed:
                    raise _stopping()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), NEWS)

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Context) -> Job:
        job_id = _id(request.name)
        user = await in_thread(self._changing, job_id)
        await in_thread(self._book.cancel, user, job_id)
        return await self._job(user, job_id)

    async def RetryJob(self, request: jobs_pb2.RetryJobRequest, context: Context) -> Job:
        self._need_open()
        job_id = _id(request.name)
        user = await in_thread(self._changing, job_id)
        await in_thread(self._retry, user, job_id)
        return await self._job(user, job_id)

    def _changing(self, job_id: str) -> str:
        return self._as_whom(job_id, calling().may(Scope.ADMIN))

    def _retry(self, user: str, job_id: str) -> None:
        with self._admitting:
            if self._journal.job(user, job_id).state in (Job.FAILED, Job.CANCELLED):
                self._scheduler.admit(user)
            self._book.retry(user, job_id)

    async def DeleteJob(self, request: jobs_pb2.DeleteJobRequest, context: Context) -> empty_pb2.Empty:
        job_id = _id(request.name)
        user = await in_thread(self._changing, job_id)
        await in_thread(self._book.delete, user, job_id)
        return empty_pb2.Empty()

    async def ExplainJob(self, request: jobs_pb2.ExplainJobRequest, context: Context) -> jobs_pb2.Explanation:
        job_id = _id(request.name)
        user = await in_thread(self._as_whom, job_id, calling().sees_all)
        return await in_thread(explain, self._journal, user, job_id)


def _worth_telling(told: jobs_pb2.Outlook | None, outlook: jobs_pb2.Outlook) -> bool:
    """Whether something else is to be expected than was told: seconds that pass are no news."""
    if told is None or told.queue_position != outlook.queue_position:
        return True
    known = ("start_seconds", "end_seconds")
    return any(told.HasField(name) != outlook.HasField(name) for name in known)  # type: ignore[arg-type]


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
        display_name=job.display_name,
        shot=job.shot,
        recipe=job.recipe,
        delivery=job.delivery,
        labels=job.labels,
        priority=job.priority,
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
