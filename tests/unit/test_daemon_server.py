"""Every rpc at the gate, other people's things, uploads that are cut, and what errors look like on the wire."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from anyportal.v1 import (
    blobs_pb2,
    blobs_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    media_pb2,
    store_pb2,
    store_pb2_grpc,
)
from anyportal_core.errors import (
    AnyPortalError,
    DiskFullError,
    FrameRangeError,
    StorageError,
    UnsupportedBackdropError,
)
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from anyportal_daemon.errors import Refusal, TokenError
from anyportal_daemon.security.limits import CallLimits
from anyportal_daemon.security.users import Principal, TokenAuthenticator
from anyportal_daemon.server.errors import STATUS, to_status

pytestmark = pytest.mark.asyncio(loop_scope="module")

Metadata = tuple[tuple[str, str], ...]
ANN: Metadata = (("authorization", "Bearer ann"),)
BOB: Metadata = (("authorization", "Bearer bob"),)
CHUNK = 256 * 1024


class TwoUsers:
    """Ann's token is ``ann``, Bob's is ``bob``."""

    def principal(self, metadata: Mapping[str, str | bytes]) -> Principal:
        for user in ("ann", "bob"):
            try:
                return TokenAuthenticator(user, user).principal(metadata)
            except TokenError:
                pass
        raise TokenError("neither Ann nor Bob")


@dataclass
class Wire:
    """A daemon's services as a client reaches them."""

    channel: aio.Channel
    address: str
    state: Path = Path()

    def __post_init__(self) -> None:
        self.blobs: Any = blobs_pb2_grpc.BlobServiceStub(self.channel)
        self.jobs: Any = jobs_pb2_grpc.JobServiceStub(self.channel)
        self.catalog: Any = catalog_pb2_grpc.CatalogServiceStub(self.channel)
        self.store: Any = store_pb2_grpc.StoreServiceStub(self.channel)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wire(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wire]:
    state = tmp_path_factory.mktemp("state")
    config = Config(Address("127.0.0.1", 0), state, limits=CallLimits(wrong_tokens_per_minute=10_000))
    async with daemon(config, authenticator=TwoUsers()) as found, aio.insecure_channel(found.address) as channel:
        wire = Wire(channel, found.address, state)
        await until_ready(wire)
        yield wire


async def until_ready(wire: Wire) -> None:
    while True:
        try:
            await wire.catalog.GetDaemon(catalog_pb2.GetDaemonRequest(), metadata=ANN)
            return
        except aio.AioRpcError as error:
            assert details(error).reason == "STARTING"
            assert details(error).retry_after > 0


@dataclass
class Details:
    reason: str
    metadata: dict[str, str]
    fields: list[str]
    retry_after: float


def details(error: aio.AioRpcError) -> Details:
    """The google.rpc details of an error."""
    raw = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(raw)  # type: ignore[arg-type]
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for message in (info, bad, retry):
            detail.Unpack(message)
    assert info.domain == "anyportal"
    fields = [violation.field for violation in bad.field_violations]
    return Details(info.reason, dict(info.metadata), fields, retry.retry_delay.ToTimedelta().total_seconds())


async def refused(call: Any) -> tuple[StatusCode, Details]:
    """How an rpc was refused; it must have been."""
    with pytest.raises(aio.AioRpcError) as caught:
        if hasattr(call, "__aiter__"):
            [message async for message in call]
        else:
            await call
    return caught.value.code(), details(caught.value)


def every_rpc() -> Iterator[Any]:
    modules = (blobs_pb2, jobs_pb2, catalog_pb2, store_pb2, health_pb2, reflection_pb2)
    for module in modules:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield pytest.param(method, id=f"{service.name}.{method.name}")


@pytest.mark.parametrize("method", list(every_rpc()))
async def test_every_rpc_needs_the_token(wire: Wire, method: Any) -> None:
    async def call(metadata: Metadata) -> StatusCode:
        path = f"/{method.containing_service.full_name}/{method.name}"

        async def requests() -> AsyncIterator[bytes]:
            yield b""

        try:
            async for _ in wire.channel.stream_stream(path)(requests(), metadata=metadata, timeout=5):
                break
        except aio.AioRpcError as error:
            if error.code() is StatusCode.UNAUTHENTICATED:
                assert details(error).reason == "TOKEN"
            return error.code()
        return StatusCode.OK

    for wrong in ((), (("authorization", "Bearer wrong"),), (("authorization", "ann"),), (("token", "ann"),)):
        assert await call(wrong) is StatusCode.UNAUTHENTICATED
    assert await call(ANN) not in (StatusCode.UNAUTHENTICATED, StatusCode.INTERNAL, StatusCode.UNKNOWN)


async def test_who_watches_the_health_hears_of_the_end_though_others_have_left(tmp_path: Path) -> None:
    async with daemon(Config(Address("127.0.0.1", 0), tmp_path / "state")) as found:
        channel = aio.insecure_channel(found.address)
        health: Any = health_pb2_grpc.HealthStub(channel)
        owner = (("authorization", f"Bearer {found.token}"),)
        ask = [health_pb2.HealthCheckRequest(service=service) for service in ("", "", "nobody")]
        stays, leaves, stranger = [health.Watch(each, metadata=owner) for each in ask]
        told = [(await each.read()).status for each in (stays, leaves, stranger)]
        status = health_pb2.HealthCheckResponse
        assert told == [status.SERVING, status.SERVING, status.SERVICE_UNKNOWN]
        with pytest.raises(aio.AioRpcError) as caught:
            await health.Check(ask[2], metadata=owner)
        assert caught.value.code() is StatusCode.NOT_FOUND
        leaves.cancel()
        await asyncio.sleep(0.5)  # until the daemon knows
        last = asyncio.create_task(stays.read())
    assert (await last).status == status.NOT_SERVING
    await channel.close()


async def test_health_and_reflection_serve(wire: Wire) -> None:
    health: Any = health_pb2_grpc.HealthStub(wire.channel)
    for service in ("", "anyportal.v1.JobService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service), metadata=ANN)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def blob_of(data: bytes) -> media_pb2.Blob:
    return media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


async def upload(wire: Wire, data: bytes, offset: int = 0, metadata: Metadata = ANN, stop: int | None = None) -> Any:
    async def messages() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        yield blobs_pb2.WriteBlobRequest(blob=blob_of(data), offset=offset)
        end = len(data) if stop is None else stop
        for start in range(offset, end, CHUNK):
            yield blobs_pb2.WriteBlobRequest(data=data[start : min(start + CHUNK, end)])

    return await wire.blobs.WriteBlob(messages(), metadata=metadata)


async def download(wire: Wire, data: bytes, offset: int = 0, limit: int = 0, metadata: Metadata = ANN) -> bytes:
    request = blobs_pb2.ReadBlobRequest(blob=blob_of(data), offset=offset, limit_bytes=limit)
    return b"".join([message.data async for message in wire.blobs.ReadBlob(request, metadata=metadata)])


async def missing(wire: Wire, data: bytes, metadata: Metadata = ANN) -> bool:
    request = blobs_pb2.FindMissingBlobsRequest(blobs=[blob_of(data)])
    return bool((await wire.blobs.FindMissingBlobs(request, metadata=metadata)).missing)


@pytest.mark.parametrize("size", [0, 1, CHUNK, 3 * CHUNK + 17, 5_000_000])
async def test_bytes_go_in_and_come_out(wire: Wire, size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert await missing(wire, data)
    done = await upload(wire, data)
    assert (done.complete, done.committed_bytes) == (True, size)
    assert not await missing(wire, data)
    assert await download(wire, data) == data
    assert await download(wire, data, offset=size // 2) == data[size // 2 :]
    assert await download(wire, data, offset=size // 3, limit=10) == data[size // 3 : size // 3 + 10]


async def test_an_upload_goes_on_after_cuts(wire: Wire) -> None:
    dice = random.Random(7)
    data = dice.randbytes(2_000_000)
    committed = 0
    for round in range(8):
        position = dice.randrange(committed, len(data))
        call = wire.blobs.WriteBlob(metadata=ANN)
        await call.write(blobs_pb2.WriteBlobRequest(blob=blob_of(data), offset=committed))
        for start in range(committed, position, CHUNK):
            await call.write(blobs_pb2.WriteBlobRequest(data=data[start : min(start + CHUNK, position)]))
        while round % 2 and await committed_of(wire, data) < position:
            await asyncio.sleep(0.01)  # every other time all that was sent has arrived
        call.cancel()
        at = await settled(wire, data)
        assert committed <= at <= position
        assert at == position or round % 2 == 0, "what arrived is kept"
        assert await missing(wire, data)
        committed = at
    done = await upload(wire, data, offset=committed)
    assert done.complete
    assert await download(wire, data) == data


async def test_an_upload_goes_on_after_the_connection_was_cut(wire: Wire) -> None:
    """Through a proxy that closes both sockets after so many bytes, in the middle of whatever it is."""
    dice = random.Random(11)
    data = dice.randbytes(3_000_000)
    host, port = wire.address.split(":")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, room: int) -> None:
            while room > 0 and (part := await source.read(min(room, 65536))):
                target.write(part)
                await target.drain()
                room -= len(part)
            for end in (writer, back):
                end.transport.abort()

        ways = pump(reader, back, dice.randrange(1_000_000)), pump(there, writer, sys.maxsize)
        await asyncio.gather(*ways, return_exceptions=True)

    committed, cuts = 0, 0
    async with await asyncio.start_server(relay, "127.0.0.1", 0) as proxy:
        address = "{}:{}".format(*proxy.sockets[0].getsockname())
        while committed < len(data):
            async with aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                try:
                    await upload(Wire(channel, address), data, offset=committed)
                except aio.AioRpcError as error:
                    # gRPC's asynchronous client says INTERNAL when the cut falls into a write.
                    assert error.code() in (StatusCode.UNAVAILABLE, StatusCode.INTERNAL)
                    cuts += 1
            before, committed = committed, await settled(wire, data)
            assert committed >= before
    assert cuts >= 3
    assert await download(wire, data) == data


async def committed_of(wire: Wire, data: bytes) -> int:
    found = await wire.blobs.GetUpload(blobs_pb2.GetUploadRequest(blob=blob_of(data)), metadata=ANN)
    return int(found.committed_bytes)


async def settled(wire: Wire, data: bytes) -> int:
    """Where an upload stands once the cut call has let go of it."""
    while True:
        at = await committed_of(wire, data)
        try:
            await upload(wire, data, offset=at, stop=at)
            return at
        except aio.AioRpcError as error:
            assert details(error).reason in ("UPLOAD_BUSY", "OFFSET")
            await asyncio.sleep(0.02)


async def test_a_wrong_offset_says_the_right_one(wire: Wire) -> None:
    data = b"offset" * 1000
    half = await upload(wire, data, stop=100)
    assert (half.complete, half.committed_bytes) == (False, 100)
    code, found = await refused(upload(wire, data, offset=200))
    assert (code, found.reason) == (StatusCode.FAILED_PRECONDITION, "OFFSET")
    assert found.metadata["committed_bytes"] == "100"


async def test_other_bytes_than_announced_are_lost_data(wire: Wire) -> None:
    async def lie() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        yield blobs_pb2.WriteBlobRequest(blob=blob_of(b"truth"), data=b"lies!")

    code, found = await refused(wire.blobs.WriteBlob(lie(), metadata=ANN))
    assert (code, found.reason) == (StatusCode.DATA_LOSS, "DIGEST")
    assert await missing(wire, b"truth")


@pytest.mark.parametrize("sha256", ["", "no digest", "../../etc/passwd", "A" * 64])
async def test_a_malformed_blob_is_named_by_its_field(wire: Wire, sha256: str) -> None:
    bad = media_pb2.Blob(sha256=sha256, size_bytes=1)
    requests = [blobs_pb2.FindMissingBlobsRequest(blobs=[blob_of(b""), bad])]
    code, found = await refused(wire.blobs.FindMissingBlobs(requests[0], metadata=ANN))
    assert (code, found.reason, found.fields) == (StatusCode.INVALID_ARGUMENT, "BLOB", ["blobs[1]"])
    code, found = await refused(wire.blobs.ReadBlob(blobs_pb2.ReadBlobRequest(blob=bad), metadata=ANN))
    assert (code, found.reason) == (StatusCode.INVALID_ARGUMENT, "BLOB")


async def test_reading_beyond_the_end_is_out_of_range(wire: Wire) -> None:
    await upload(wire, b"short")
    request = blobs_pb2.ReadBlobRequest(blob=blob_of(b"short"), offset=6)
    code, found = await refused(wire.blobs.ReadBlob(request, metadata=ANN))
    assert (code, found.reason) == (StatusCode.OUT_OF_RANGE, "OFFSET")


async def test_a_message_has_a_most(wire: Wire) -> None:
    async def big() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        yield blobs_pb2.WriteBlobRequest(blob=blob_of(bytes(1024 * 1024 + 1)), data=bytes(1024 * 1024 + 1))

    code, found = await refused(wire.blobs.WriteBlob(big(), metadata=ANN))
    assert (code, found.reason, found.fields) == (StatusCode.INVALID_ARGUMENT, "BLOB", ["data"])


async def test_a_flood_of_a_message_is_refused(wire: Wire) -> None:
    async def flood() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        yield blobs_pb2.WriteBlobRequest(blob=blob_of(b"x"), data=bytes(65 * 1024 * 1024))

    with pytest.raises(aio.AioRpcError) as caught:
        await wire.blobs.WriteBlob(flood(), metadata=ANN)
    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_a_refusal_of_many_files_arrives(wire: Wire) -> None:
    """What is refused travels as metadata, and clients take little of that."""
    frames = [media_pb2.SequenceFrame(number=n, blob=blob_of(f"never sent {n}".encode())) for n in range(5000)]
    plate = media_pb2.ClipManifest(sequence=media_pb2.FrameSequence(frames=frames, pattern="plate.%04d.exr"))
    job = job_of(b"")
    job.shot.plate.CopyFrom(plate)
    code, found = await refused(wire.jobs.CreateJob(jobs_pb2.CreateJobRequest(job=job), metadata=ANN))
    assert (code, found.reason) == (StatusCode.FAILED_PRECONDITION, "BLOBS_MISSING")
    assert found.metadata["hint"] and found.fields[0] == "shot.plate.sequence.frames[0].blob"
    assert 10 < len(found.fields) < 5000


async def test_a_refusal_of_a_long_text_arrives(wire: Wire) -> None:
    for asked in (job_of(b""), job_of(b"")):
        asked.shot.frames = "x" * 9_000
        code, found = await refused(wire.jobs.CreateJob(jobs_pb2.CreateJobRequest(job=asked), metadata=ANN))
        assert (code, found.reason) == (StatusCode.INVALID_ARGUMENT, "FRAME_RANGE")
    asked = job_of(b"")
    asked.recipe.settings.update({"é" * 9_000: 1})
    code, found = await refused(wire.jobs.CreateJob(jobs_pb2.CreateJobRequest(job=asked), metadata=ANN))
    assert (code, found.reason) == (StatusCode.INVALID_ARGUMENT, "UNKNOWN_NAME")


@pytest.mark.parametrize(("metadata", "reason"), [((), "TOKEN"), (ANN, "OFFSET")])
async def test_who_is_refused_while_sending_learns_why(wire: Wire, metadata: Metadata, reason: str) -> None:
    """A stream that ended under its sender would look to grpc.aio like a bug of its own, about once in twenty times."""

    async def sent() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        yield blobs_pb2.WriteBlobRequest(blob=blob_of(bytes(10_000_000)), offset=5)
        for _ in range(3):
            yield blobs_pb2.WriteBlobRequest(data=bytes(CHUNK))

    reasons = {(await refused(wire.blobs.WriteBlob(sent(), metadata=metadata)))[1].reason for _ in range(100)}
    assert reasons == {reason}


async def test_who_is_refused_and_does_not_end_is_not_waited_for(wire: Wire) -> None:
    async def endless() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        yield blobs_pb2.WriteBlobRequest(data=b"x")
        await asyncio.sleep(60)

    begun = asyncio.get_running_loop().time()
    with pytest.raises(aio.AioRpcError):
        await wire.blobs.WriteBlob(endless())
    assert asyncio.get_running_loop().time() - begun < 10


@pytest.mark.parametrize("part", [(0, 0), (300_000, 0), (0, 10), (699_999, 1)])
async def test_damaged_bytes_are_found_out_and_can_be_sent_again(wire: Wire, part: tuple[int, int]) -> None:
    """Whatever part is asked for, and wherever the damage is."""
    data = random.Random(repr(part)).randbytes(700_000)
    await upload(wire, data)
    [path] = wire.state.glob(f"blobs/{blob_of(data).sha256[:2]}/{blob_of(data).sha256[2:]}")
    path.chmod(0o600)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    offset, limit = part
    code, found = await refused(download(wire, data, offset, limit))
    assert (code, found.reason) == (StatusCode.DATA_LOSS, "BLOB_CORRUPT")
    assert await missing(wire, data)
    await upload(wire, data)
    assert await download(wire, data) == data


async def test_a_digest_alone_opens_nothing(wire: Wire) -> None:
    data = b"ann's secret" * 1000
    await upload(wire, data)
    assert await missing(wire, data, BOB)
    code, found = await refused(download(wire, data, metadata=BOB))
    assert (code, found.reason) == (StatusCode.NOT_FOUND, "BLOB_NOT_FOUND")
    there = await wire.blobs.GetUpload(blobs_pb2.GetUploadRequest(blob=blob_of(data)), metadata=BOB)
    assert (there.complete, there.committed_bytes) == (False, 0)
    code, found = await refused(wire.jobs.CreateJob(jobs_pb2.CreateJobRequest(job=job_of(data)), metadata=BOB))
    assert (code, found.reason) == (StatusCode.FAILED_PRECONDITION, "BLOBS_MISSING")
    assert found.fields == ["shot.plate.file.blob"]


async def test_users_see_their_own_totals_and_touch_nobodys_files(wire: Wire) -> None:
    async def blobs(metadata: Metadata) -> tuple[int, int]:
        found = await wire.store.GetStore(store_pb2.GetStoreRequest(), metadata=metadata)
        assert found.budget_bytes > 0 and found.free_disk_bytes > 0
        assert not found.whole and not found.prunable_bytes, "what all have together tells of the others"
        [held] = [each for each in found.own if each.kind == store_pb2.Holding.BLOB]
        return held.count, held.size_bytes

    before = await blobs(ANN), await blobs(BOB)
    await upload(wire, b"one more of Bob's", metadata=BOB)
    assert await blobs(ANN) == before[0]
    assert await blobs(BOB) == (before[1][0] + 1, before[1][1] + 17)
    for call in (wire.store.PruneStore(store_pb2.PruneStoreRequest(recent=True), metadata=ANN),
                 wire.store.VerifyStore(store_pb2.VerifyStoreRequest(), metadata=BOB)):  # fmt: skip
        code, found = await refused(call)
        assert (code, found.reason) == (StatusCode.PERMISSION_DENIED, "SCOPE")
    assert await download(wire, b"one more of Bob's", metadata=BOB) == b"one more of Bob's"


def job_of(data: bytes, name: str = "plate.mp4", **more: Any) -> jobs_pb2.Job:
    plate = media_pb2.ClipManifest(file=media_pb2.MediaFile(blob=blob_of(data), filename=name))
    recipe = jobs_pb2.Recipe(backdrop=jobs_pb2.Backdrop(colour="#336699"))
    return jobs_pb2.Job(shot=jobs_pb2.Shot(plate=plate), recipe=recipe, **more)


async def create(wire: Wire, data: bytes, metadata: Metadata = ANN, **more: Any) -> jobs_pb2.Job:
    await upload_once(wire, data, metadata)
    created = await wire.jobs.CreateJob(jobs_pb2.CreateJobRequest(job=job_of(data), **more), metadata=metadata)
    assert isinstance(created, jobs_pb2.Job)
    return created


async def upload_once(wire: Wire, data: bytes, metadata: Metadata) -> None:
    if await missing(wire, data, metadata):
        await upload(wire, data, metadata=metadata)


async def watch(wire: Wire, name: str, after: int = 0) -> list[jobs_pb2.JobEvent]:
    """A job's events, without the messages between them that only tell what is expected of it now."""
    request = jobs_pb2.WatchJobRequest(name=name, after_sequence=after)
    return [event async for event in wire.jobs.WatchJob(request, metadata=ANN) if event.WhichOneof("event")]


async def test_a_job_that_cannot_be_done_says_why_in_its_events(wire: Wire) -> None:
    job = await create(wire, b"this is no movie")
    events = await watch(wire, job.name)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[0].state.state == jobs_pb2.Job.QUEUED
    assert events[-1].state.state == jobs_pb2.Job.FAILED
    assert events[-1].state.error.code == "MEDIA_UNREADABLE"
    assert await watch(wire, job.name, after=2) == events[2:]
    found = await wire.jobs.GetJob(jobs_pb2.GetJobRequest(name=job.name), metadata=ANN)
    assert found.error.code == "MEDIA_UNREADABLE" and found.error.hint
    assert found.last_sequence == len(events)


async def test_other_peoples_jobs_are_not_there(wire: Wire) -> None:
    name = (await create(wire, b"this is no movie")).name
    for call in (
        wire.jobs.GetJob(jobs_pb2.GetJobRequest(name=name), metadata=BOB),
        wire.jobs.WatchJob(jobs_pb2.WatchJobRequest(name=name), metadata=BOB),
        wire.jobs.CancelJob(jobs_pb2.CancelJobRequest(name=name), metadata=BOB),
        wire.jobs.RetryJob(jobs_pb2.RetryJobRequest(name=name), metadata=BOB),
        wire.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(name=name), metadata=BOB),
        wire.jobs.GetJob(jobs_pb2.GetJobRequest(name="jobs/none"), metadata=ANN),
        wire.jobs.GetJob(jobs_pb2.GetJobRequest(name="../x"), metadata=ANN),
    ):
        code, found = await refused(call)
        assert (code, found.reason) == (StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    listed = await wire.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=BOB)
    assert not listed.jobs
    await watch(wire, name)


async def test_a_request_makes_one_job(wire: Wire) -> None:
    first = await create(wire, b"once", request_id="r1")
    assert (await create(wire, b"once", request_id="r1")).name == first.name
    code, found = await refused(create(wire, b"twice", request_id="r1"))
    assert (code, found.reason) == (StatusCode.ALREADY_EXISTS, "REQUEST_ID")
    other = await create(wire, b"once", BOB, request_id="r1")
    assert other.name != first.name


@pytest.mark.parametrize("size", [201, 5_000_000])
async def test_an_endless_request_id_is_refused(wire: Wire, size: int) -> None:
    request = jobs_pb2.CreateJobRequest(job=job_of(b"plate"), request_id="x" * size)
    code, found = await refused(wire.jobs.CreateJob(request, metadata=ANN))
    assert (code, found.fields) == (StatusCode.INVALID_ARGUMENT, ["request_id"])


async def test_validation_alone_queues_nothing_and_needs_no_blobs(wire: Wire) -> None:
    before = await wire.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=ANN)
    request = jobs_pb2.CreateJobRequest(job=job_of(b"never uploaded"), validate_only=True)
    job = await wire.jobs.CreateJob(request, metadata=ANN)
    assert (job.name, job.recipe.preset) == ("", "draft")
    assert len(job.recipe_digest) == 64
    request.job.recipe.preset = "draught"
    code, found = await refused(wire.jobs.CreateJob(request, metadata=ANN))
    assert (code, found.reason, found.fields) == (StatusCode.INVALID_ARGUMENT, "UNKNOWN_NAME", ["recipe.preset"])
    assert "draft" in found.metadata["hint"]
    after = await wire.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=ANN)
    assert len(after.jobs) == len(before.jobs)


async def test_jobs_are_listed_by_page(wire: Wire) -> None:
    names = [(await create(wire, f"no movie {number}".encode())).name for number in range(5)]
    for name in names:
        await watch(wire, name)
    found: list[str] = []
    request = jobs_pb2.ListJobsRequest(page_size=2, states=[jobs_pb2.Job.FAILED])
    while len(found) < 5:
        page: Any = await wire.jobs.ListJobs(request, metadata=ANN)
        assert 1 <= len(page.jobs) <= 2
        found += [job.name for job in page.jobs]
        request.page_token = page.next_page_token
    assert found[:5] == names[::-1]
    request.states.append(jobs_pb2.Job.QUEUED)
    request.states.pop()
    beyond = [base64.urlsafe_b64encode(f"{number}/[4]".encode()).decode() for number in (-5, 0, 10**24)]
    for token in ("junk", "anVuaw==", *beyond, f"{request.page_token}x"):
        code, why = await refused(wire.jobs.ListJobs(_page(token, request.states), metadata=ANN))
        assert (code, why.reason) == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN")
    for token in (request.page_token, "junk", "anVuaw=="):
        code, why = await refused(wire.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_token=token), metadata=ANN))
        assert (code, why.reason) == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN")


def _page(token: str, states: Any) -> jobs_pb2.ListJobsRequest:
    return jobs_pb2.ListJobsRequest(page_token=token, states=states)


async def test_retry_and_delete(wire: Wire) -> None:
    name = (await create(wire, b"no movie to retry")).name
    events = await watch(wire, name)
    retried = await wire.jobs.RetryJob(jobs_pb2.RetryJobRequest(name=name), metadata=ANN)
    assert retried.state in (jobs_pb2.Job.QUEUED, jobs_pb2.Job.RUNNING, jobs_pb2.Job.FAILED)
    again = await watch(wire, name, after=len(events))
    assert again[0].state.state == jobs_pb2.Job.QUEUED
    assert again[-1].state.state == jobs_pb2.Job.FAILED
    await wire.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(name=name), metadata=ANN)
    code, _ = await refused(wire.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(name=name), metadata=ANN))
    assert code is StatusCode.NOT_FOUND
    assert await missing(wire, b"no movie to retry"), "what only the job had is free"


async def test_the_catalogue_is_enough_to_draw_a_panel(wire: Wire) -> None:
    presets = await wire.catalog.ListPresets(catalog_pb2.ListPresetsRequest(), metadata=ANN)
    draft = next(preset for preset in presets.presets if preset.name == "draft")
    assert draft.summary and not draft.unavailable
    assert set(draft.backdrops) == {"still", "clip", "colour"}
    assert draft.roles["matte"]["plugin"]
    plugins = await wire.catalog.ListPlugins(catalog_pb2.ListPluginsRequest(role="matte"), metadata=ANN)
    assert {plugin.role for plugin in plugins.plugins} == {"matte"}
    settings = [setting for plugin in plugins.plugins for setting in plugin.settings]
    assert all(setting.kind and setting.help and setting.HasField("default_value") for setting in settings)
    await wire.catalog.ListModels(catalog_pb2.ListModelsRequest(), metadata=ANN)
    found = await wire.catalog.GetDaemon(catalog_pb2.GetDaemonRequest(), metadata=ANN)
    assert found.version and found.free_disk_bytes > 0 and len(found.workers) == 1


async def test_the_daemon_loads_no_plugin_and_no_image_library() -> None:
    """In a process of its own, since other tests load them into this one."""
    heavy = ["cv2", "torch", "h5py", "OpenImageIO", "av", "anyportal_core.pipeline", "anyportal_core.media.clip"]
    code = f"import sys, anyportal_daemon.bootstrap; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


async def test_every_refusal_has_a_status_of_its_own() -> None:
    kinds = Refusal.__subclasses__()
    assert kinds and not [kind.__name__ for kind in kinds if kind not in STATUS]
    assert not [kind.__name__ for kind in kinds if STATUS[kind] is StatusCode.INTERNAL]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DiskFullError("full"), StatusCode.RESOURCE_EXHAUSTED),
        (StorageError("broken"), StatusCode.INTERNAL),
        (FrameRangeError("backwards", where="shot.frames"), StatusCode.INVALID_ARGUMENT),
        (UnsupportedBackdropError("no text", where="recipe.backdrop"), StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_an_error_has_the_status_of_its_family(error: AnyPortalError, code: StatusCode) -> None:
    status = to_status(error)
    assert status.code == code.value[0]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info) and info.reason == error.code
