"""What people who are known may do with the calls that they make: begin them and not end, go on with them when they are
let in no more, take nothing, send nonsense. Health and reflection are guarded as everything else is."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from anyportal.v1 import blobs_pb2, blobs_pb2_grpc, jobs_pb2, jobs_pb2_grpc, media_pb2
from anyportal_daemon.security.accounts import Accounts
from anyportal_daemon.security.limits import CallLimits
from anyportal_daemon.security.scopes import MANIFESTS, MESSAGE, Scope
from anyportal_daemon.server import hearing, visit
from tests.integration.http2 import Caller
from tests.integration.security_house import House, add, bearer, house, until_ready
from tests.integration.test_security_matrix import every_rpc, job_of, records

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
OPEN, STALLED = 40, 2
SERVER = """
import asyncio, sys
from pathlib import Path
from anyportal_daemon.security.limits import CallLimits
from tests.integration.security_house import house

async def serve():
    async with house(Path(sys.argv[1]), CallLimits(open_calls=int(sys.argv[2]))) as served:
        print(served.local, served.tokens["ann"], flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(serve())
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    limits = CallLimits(
        calls_per_second=10_000, calls_at_once=10_000, open_calls=OPEN, stalled_seconds=STALLED, idle_seconds=60
    )
    async with house(tmp_path_factory.mktemp("calls") / "state", limits) as found:
        async with found.channel() as channel:
            await until_ready(channel, bearer(found.tokens["ann"]))
        yield found


async def test_messages_that_never_end_take_so_much_room_and_no_more(tmp_path: Path) -> None:
    """One user begins messages as large as may be, and ends none of them."""
    calls = {"GetJob": hearing.REQUESTS + 1, "CreateJob": hearing.JOBS + 1, "WatchJob": 1}
    paths = [f"/anyportal.v1.JobService/{name}" for name, count in calls.items() for _ in range(count)]
    paths += ["/anyportal.v1.BlobService/WriteBlob"] * (hearing.PIECES + 1)

    def flood() -> tuple[int, set[int]]:
        """Bytes that the daemon has taken for them, and which calls it has ended after one more."""
        command = [sys.executable, "-c", SERVER, str(tmp_path / "state"), str(len(paths))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin and process.stdout
            local, token = process.stdout.readline().split()
            daemon, caller = psutil.Process(process.pid), Caller(int(local.rpartition(":")[2]), token)
            before = daemon.memory_info().rss
            for path in paths:
                caller.begin_message(caller.call(path), MANIFESTS, patience=0.2)
            assert not caller.ended
            taken = daemon.memory_info().rss - before
            caller.begin_message(caller.call(paths[0]), 100, patience=0.2)
            caller.listen(3)
            caller.close()
            process.stdin.close()
            return taken, caller.ended

    taken, ended = await asyncio.to_thread(flood)
    most = hearing.MOST_OF_A_USER + len(paths) * MIB
    assert most / 2 < taken < most, f"all of it would be {len(paths) * MANIFESTS}"
    assert ended == {2 * len(paths) + 1}, "one call more than may be open is refused"


def raw(channel: aio.Channel, path: str) -> Any:
    """An rpc of any kind, bytes in and bytes out."""
    return channel.stream_stream(path, bytes, bytes)


async def ended(call: Any) -> StatusCode:
    """How it ends."""
    try:
        if hasattr(call, "read"):
            while await call.read():
                pass
        else:
            await call
    except aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK


async def test_only_so_many_calls_of_a_user_run_and_others_are_served(served: House) -> None:
    metadata, other = bearer(served.tokens["ann"]), bearer(add(served.state, "bob"))
    async with aio.insecure_channel(served.local) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest(), metadata=metadata) for _ in range(OPEN)]
        for each in watches:
            await each.read()
        asked = health_pb2.HealthCheckRequest()
        assert await ended(health.Check(asked, metadata=metadata)) is StatusCode.RESOURCE_EXHAUSTED
        assert await ended(health.Check(asked, metadata=other)) is StatusCode.OK
        assert await ended(health.Check(asked, metadata=bearer(served.owner))) is StatusCode.OK
        watches.pop().cancel()
        async with asyncio.timeout(20):
            while await ended(health.Check(asked, metadata=metadata)) is not StatusCode.OK:
                await asyncio.sleep(0.05)
        for each in watches:
            each.cancel()


async def test_the_manifest_of_the_longest_sequences_is_a_message(served: House) -> None:
    """Plate, matte and backdrop of 100,000 files each. What other rpcs take is a twelfth of that."""
    blob = media_pb2.Blob(sha256="a" * 64, size_bytes=100_000_000)
    frames = [media_pb2.SequenceFrame(number=1_000_000 + number, blob=blob) for number in range(100_000)]
    clip = media_pb2.ClipManifest(sequence=media_pb2.FrameSequence(frames=frames, pattern="plate.%07d.exr"))
    job = job_of()
    for each in (job.shot.plate, job.shot.matte, job.recipe.backdrop.media):
        each.CopyFrom(clip)
    async with aio.insecure_channel(served.local) as channel:
        metadata = bearer(served.tokens["ann"])
        jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)
        code = await ended(jobs.CreateJob(jobs_pb2.CreateJobRequest(job=job), metadata=metadata))
        assert code is StatusCode.FAILED_PRECONDITION, "its blobs are missing, and that is all"
        blobs: Any = blobs_pb2_grpc.BlobServiceStub(channel)
        many = blobs_pb2.FindMissingBlobsRequest(blobs=[blob] * 10_000)
        assert await ended(blobs.FindMissingBlobs(many, metadata=metadata)) is StatusCode.OK
        long = jobs_pb2.GetJobRequest(name="x" * MESSAGE)
        assert await ended(jobs.GetJob(long, metadata=metadata)) is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", list(every_rpc()))
async def test_bytes_that_are_no_message_are_told_so_and_written_down_once(
    served: House, method: Any, caplog: pytest.LogCaptureFixture
) -> None:
    user, before = method.name.lower(), await records(served.state)
    metadata = bearer(add(served.state, user, *Scope))
    path = f"/{method.containing_service.full_name}/{method.name}"

    async def nonsense() -> AsyncIterator[bytes]:
        yield b"\xff\xff\xff no message at all"

    async with aio.insecure_channel(served.local) as channel:
        call = raw(channel, path)(nonsense(), metadata=metadata, timeout=20)
        with caplog.at_level(logging.WARNING), pytest.raises(aio.AioRpcError) as caught:
            async for _ in call:
                pass
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "the bytes are no message of this rpc"
    assert caplog.text == ""
    found = await records(served.state, 1, before)
    said = [(each["rpc"], each["result"]) for each in found if each["user"] == user]
    assert said == [(path, "INVALID_ARGUMENT MESSAGE")]


@pytest.fixture
def stopped_worker(served: House) -> Iterator[None]:
    """A worker that says nothing, and so do the jobs it is given."""
    children = [
        child for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())
    ]
    for child in children:
        child.suspend()
    yield
    for child in children:
        child.resume()


async def job_of_nothing(blobs: Any, jobs: Any, metadata: Any) -> str:
    """The name of a new job."""
    data = b"a plate of nothing"
    blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    asked = job_of()
    for clip in (asked.shot.plate, asked.shot.matte):
        clip.file.blob.CopyFrom(blob)
    await blobs.WriteBlob(iter([blobs_pb2.WriteBlobRequest(blob=blob, data=data)]), metadata=metadata)
    return str((await jobs.CreateJob(jobs_pb2.CreateJobRequest(job=asked), metadata=metadata)).name)


@pytest.mark.usefixtures("stopped_worker")
async def test_what_is_quiet_ends_soon_after_its_user_is_let_in_no_more(served: House) -> None:
    """A job that says nothing, health that stays as it is, a reflection nobody asks, an upload of which nothing comes,
    and a message that has not come to its end."""
    token = add(served.state, "eve")
    metadata = bearer(token)
    caller = await asyncio.to_thread(Caller, int(served.local.rpartition(":")[2]), token)
    await asyncio.to_thread(lambda: caller.begin_message(caller.call("/anyportal.v1.JobService/GetJob"), MIB, 1))

    async def one(message: Any) -> AsyncIterator[Any]:
        yield message
        await asyncio.sleep(60)

    async with aio.insecure_channel(served.local) as channel:
        jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)
        blobs: Any = blobs_pb2_grpc.BlobServiceStub(channel)
        health: Any = health_pb2_grpc.HealthStub(channel)
        job = await job_of_nothing(blobs, jobs, metadata)
        watching = jobs.WatchJob(jobs_pb2.WatchJobRequest(name=job), metadata=metadata)
        healthy = health.Watch(health_pb2.HealthCheckRequest(), metadata=metadata)
        first = blobs_pb2.WriteBlobRequest(blob=media_pb2.Blob(sha256="a" * 64, size_bytes=5), data=b"abc")
        writing = blobs.WriteBlob(one(first), metadata=metadata)
        path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
        reflecting = raw(channel, path)(one(asked), metadata=metadata)
        for each in (watching, healthy, reflecting):
            assert await each.read()
        ends = [asyncio.create_task(ended(call)) for call in (watching, healthy, reflecting, writing)]
        await asyncio.sleep(1.5)
        assert not any(each.done() for each in ends) and not caller.ended
        with closing(Accounts(served.state)) as accounts:
            accounts.revoke("eve")
        began = time.monotonic()
        async with asyncio.timeout(20):
            assert await asyncio.gather(*ends) == [StatusCode.UNAUTHENTICATED] * 4
        await asyncio.to_thread(caller.listen, 0.5)
        assert caller.ended == {1} and time.monotonic() - began < 10
    caller.close()


async def test_who_takes_nothing_of_a_download_is_let_go_and_can_go_on(served: House) -> None:
    data = random.Random(3).randbytes(8 * MIB)
    blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    metadata = bearer(served.tokens["ann"])
    async with aio.insecure_channel(served.local) as channel:
        blobs: Any = blobs_pb2_grpc.BlobServiceStub(channel)
        pieces = [data[at : at + MIB // 4] for at in range(0, len(data), MIB // 4)]
        parts = [blobs_pb2.WriteBlobRequest(blob=None if at else blob, data=part) for at, part in enumerate(pieces)]
        await blobs.WriteBlob(iter(parts), metadata=metadata)
        files = psutil.Process().num_fds()
        reading = blobs.ReadBlob(blobs_pb2.ReadBlobRequest(blob=blob), metadata=metadata)
        got = (await reading.read()).data
        await asyncio.sleep(STALLED / 2)
        assert psutil.Process().num_fds() > files, "a pause is none of it"
        async with asyncio.timeout(20):
            while psutil.Process().num_fds() > files:
                await asyncio.sleep(0.1)
        with pytest.raises(aio.AioRpcError) as caught:
            while message := await reading.read():
                got += message.data
        assert caught.value.code() in (StatusCode.UNAVAILABLE, StatusCode.CANCELLED)
        rest = blobs_pb2.ReadBlobRequest(blob=blob, offset=len(got))
        async for message in blobs.ReadBlob(rest, metadata=metadata):
            got += message.data
        assert got == data


async def test_the_owners_token_opens_nothing_from_another_machine(
    served: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit, "is_here", lambda peer: False)  # as if everybody were on another
    async with aio.insecure_channel(served.local) as channel:
        for param in every_rpc():
            method = param.values[0]
            path = f"/{method.containing_service.full_name}/{method.name}"

            async def nothing() -> AsyncIterator[bytes]:
                yield b""

            call = raw(channel, path)(nothing(), metadata=bearer(served.owner), timeout=20)
            assert await ended(call) is StatusCode.UNAUTHENTICATED, path
