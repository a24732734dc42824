"""Priority, quotas, places in the queue, estimates and explanations as a client meets them."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from grpc import StatusCode, aio

from anyportal.v1 import catalog_pb2, jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Difference, Job, StageExplanation
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from anyportal_daemon.jobs.scheduler import Rules
from benchmarks.clients import pictures, small_job
from tests.unit.test_daemon_server import ANN, BOB, TwoUsers, Wire, details, refused, until_ready

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUOTA = 3


class Desk(Wire):
    """A daemon's services, and what is asked of them here."""

    clips: tuple[media_pb2.Blob, media_pb2.Blob]

    async def send(self, seed: int = 0, metadata: Any = ANN, **request: Any) -> Job:
        job = small_job(*self.clips, frames=3, seed=1)
        job.recipe.seed = seed
        job.priority = request.pop("priority", 0)
        job.recipe.settings.update(request.pop("settings", {}))
        created: Job = await self.jobs.CreateJob(jobs_pb2.CreateJobRequest(job=job, **request), metadata=metadata)
        return created

    async def look(self, name: str) -> Job:
        found: Job = await self.jobs.GetJob(jobs_pb2.GetJobRequest(name=name), metadata=ANN)
        return found

    async def sees(self, *places: tuple[str, int]) -> None:
        """Until jobs have these places in the queue: what is told may be a moment old."""
        async with asyncio.timeout(30):
            while [(name, (await self.look(name)).outlook.queue_position) for name, _ in places] != list(places):
                await asyncio.sleep(0.05)

    async def watched(self, name: str) -> list[jobs_pb2.JobEvent]:
        """All of a job's messages, to its end."""
        return [event async for event in self.jobs.WatchJob(jobs_pb2.WatchJobRequest(name=name), metadata=ANN)]

    async def end(self, name: str) -> Job:
        await self.watched(name)
        return await self.look(name)

    async def cancel(self, *names: str) -> None:
        for name in names:
            await self.jobs.CancelJob(jobs_pb2.CancelJobRequest(name=name), metadata=ANN)

    async def explain(self, name: str, metadata: Any = ANN) -> dict[str, StageExplanation]:
        said = await self.jobs.ExplainJob(jobs_pb2.ExplainJobRequest(name=name), metadata=metadata)
        return {stage.stage: stage for stage in said.stages}

    async def worker(self) -> int:
        found = await self.catalog.GetDaemon(catalog_pb2.GetDaemonRequest(), metadata=ANN)
        return int(found.workers[0].process_id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    state = tmp_path_factory.mktemp("state")
    config = Config(Address("127.0.0.1", 0), state, jobs=Rules(queued=QUOTA))
    async with daemon(config, authenticator=TwoUsers()) as found, aio.insecure_channel(found.address) as channel:
        desk = Desk(channel, found.address, state)
        await until_ready(desk)
        plate, matte = pictures()
        desk.clips = await upload(desk, plate), await upload(desk, matte)
        yield desk


async def upload(desk: Desk, data: bytes) -> media_pb2.Blob:
    import hashlib

    from anyportal.v1 import blobs_pb2

    blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))

    async def messages() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        yield blobs_pb2.WriteBlobRequest(blob=blob, data=data)

    await desk.blobs.WriteBlob(messages(), metadata=ANN)
    return blob


@pytest_asyncio.fixture(loop_scope="module")
async def still(desk: Desk) -> AsyncIterator[str]:
    """A running job whose worker stands still while the test runs; so does the queue behind it."""
    pid = await desk.worker()
    os.kill(pid, signal.SIGSTOP)
    try:
        running = await desk.send(seed=77)
        async for event in desk.jobs.WatchJob(jobs_pb2.WatchJobRequest(name=running.name), metadata=ANN):
            if event.state.state == Job.RUNNING:
                break
        yield running.name
    finally:
        os.kill(pid, signal.SIGCONT)
    await desk.end(running.name)


async def test_a_job_that_waits_has_its_place_and_greater_priority_goes_first(desk: Desk, still: str) -> None:
    usual = await desk.send(seed=1)
    urgent = await desk.send(seed=2, priority=5)
    assert urgent.priority == 5
    places = ((still, 0), (usual.name, 2), (urgent.name, 1))
    await desk.sees(*places)
    page = await desk.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_size=3), metadata=ANN)
    assert {job.name: job.outlook.queue_position for job in page.jobs} == dict(places)
    await desk.cancel(urgent.name)
    await desk.sees((usual.name, 1))
    assert not (await desk.look(urgent.name)).HasField("outlook")
    await desk.cancel(usual.name)


async def test_whoever_watches_a_job_that_waits_hears_of_its_new_place(desk: Desk, still: str) -> None:
    first, second = await desk.send(seed=1), await desk.send(seed=2)
    places = []
    async for event in desk.jobs.WatchJob(jobs_pb2.WatchJobRequest(name=second.name), metadata=ANN):
        assert event.sequence == 1, "it has no number of its own"
        places.append((event.outlook.queue_position, event.WhichOneof("event")))
        if len(places) == 1:
            await desk.cancel(first.name)
        if event.outlook.queue_position == 1:
            break
    assert places == [(2, "state"), (1, None)]
    await desk.cancel(second.name)


async def test_more_jobs_than_may_wait_are_refused_with_a_time_to_try_again(desk: Desk, still: str) -> None:
    waiting = [(await desk.send(seed=seed)).name for seed in range(QUOTA)]
    with pytest.raises(aio.AioRpcError) as caught:
        await desk.send(seed=99)
    said = details(caught.value)
    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED
    assert (said.reason, said.metadata["queued"], said.metadata["limit"]) == ("QUOTA", "3", "3")
    assert said.retry_after > 0
    await desk.send(seed=99, validate_only=True)
    await desk.cancel(waiting[0])
    again = await desk.send(seed=99, request_id="once")
    assert (await desk.send(seed=99, request_id="once")).name == again.name, "a retry is no further job"
    code, said = await refused(desk.jobs.RetryJob(jobs_pb2.RetryJobRequest(name=waiting[0]), metadata=ANN))
    assert (code, said.reason) == (StatusCode.RESOURCE_EXHAUSTED, "QUOTA")
    await desk.cancel(*waiting[1:], again.name)


@pytest.mark.parametrize("priority", [-101, 101])
async def test_a_priority_beyond_its_range_is_refused(desk: Desk, priority: int) -> None:
    code, said = await refused(desk.send(priority=priority))
    assert (code, said.fields) == (StatusCode.INVALID_ARGUMENT, ["priority"])


async def test_the_same_request_with_another_priority_is_another_job(desk: Desk) -> None:
    request = str(uuid.uuid4())
    done = await desk.send(seed=3, request_id=request)
    code, said = await refused(desk.send(seed=3, request_id=request, priority=1))
    assert (code, said.reason) == (StatusCode.ALREADY_EXISTS, "REQUEST_ID")
    await desk.end(done.name)


async def test_a_second_job_of_a_kind_knows_how_long_it_takes(desk: Desk, request: pytest.FixtureRequest) -> None:
    await desk.end((await desk.send(seed=4)).name)
    events = await desk.watched((await desk.send(seed=5)).name)
    (running,) = [event for event in events if event.state.state == Job.RUNNING]
    assert running.outlook.queue_position == 0
    assert running.outlook.end_seconds > 0 and not running.outlook.unknown


async def test_explained_over_the_wire(desk: Desk) -> None:
    """Change one setting, and only the stages that read it run."""
    before = await desk.end((await desk.send(seed=6)).name)
    settings = {"exposure": 0.25}
    after = await desk.end((await desk.send(seed=6, settings=settings)).name)
    assert after.state == Job.SUCCEEDED, after.error
    stages = await desk.explain(after.name)
    assert {name: stage.reused for name, stage in stages.items()} == {
        "matte": True, "motion": True, "background": True, "harmonise": False, "refine": False, "finish": False,
    }  # fmt: skip
    changed = stages["harmonise"]
    assert changed.reason == StageExplanation.CHANGED and changed.compared_with == before.name
    ((difference),) = changed.differences
    assert (difference.kind, difference.name) == (Difference.SETTING, "exposure")
    assert (difference.before, difference.after) == ("0.0", "0.25")
    assert [each.name for each in stages["refine"].differences] == ["harmonise"]
    assert stages["finish"].size_bytes == sum(file.blob.size_bytes for file in after.results) > 0
    assert all(stage.size_bytes > 0 and stage.seconds >= 0 for stage in stages.values())
    assert set(after.stage_seconds) == {name for name, stage in stages.items() if not stage.reused}


async def test_nobody_explains_another_user_s_job(desk: Desk) -> None:
    job = await desk.end((await desk.send(seed=6)).name)
    code, said = await refused(desk.jobs.ExplainJob(jobs_pb2.ExplainJobRequest(name=job.name), metadata=BOB))
    assert (code, said.reason) == (StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


async def test_nothing_is_kept_of_jobs_that_nobody_watches(desk: Desk) -> None:
    from anyportal_daemon.server.bell import Bell

    bell = Bell()
    held = bell.listen("a")
    assert bell.listen("a") is held
    bell.listen("b")
    assert list(bell._waiting) == ["a"]
