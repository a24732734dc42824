"""Every rpc beside everybody who may call it: strangers, other users, those with more scopes, and the right one."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf import message_factory
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from anyportal.v1 import blobs_pb2, catalog_pb2, jobs_pb2, jobs_pb2_grpc, media_pb2, store_pb2
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from anyportal_daemon.security.accounts import Accounts
from anyportal_daemon.security.scopes import NEEDS, Scope
from anyportal_daemon.security.users import Principal, let_in
from anyportal_daemon.server.blobs import BlobService
from anyportal_daemon.server.server import SERVICES
from anyportal_daemon.server.visit import is_here
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.memory import MemoryBlobStore
from tests.integration.security_house import MANY, Metadata, add, bearer, until_ready

pytestmark = pytest.mark.asyncio(loop_scope="module")

OK, NOT_FOUND, DENIED = StatusCode.OK, StatusCode.NOT_FOUND, StatusCode.PERMISSION_DENIED
MISSING, UNKNOWN = StatusCode.FAILED_PRECONDITION, StatusCode.UNAUTHENTICATED
STRANGERS = ("nobody", "wrong", "expired", "revoked", "no_bearer")
PLATE = b"Ann's plate, which is no movie: a job with it fails at once"
DIGEST = media_pb2.Blob(sha256=hashlib.sha256(PLATE).hexdigest(), size_bytes=len(PLATE))

# Ann is right: the job and the blob are hers. Bob is another user; Carl may see everything, Dora is an admin, neither
# may submit; Gus may do nothing; the owner holds the token of daemon.json.
CALLERS = ("ann", "bob", "carl", "dora", "gus", "owner")
EVERYBODY = (OK,) * 6
SENDERS = (OK, OK, DENIED, DENIED, DENIED, OK)
SEERS = (OK, NOT_FOUND, OK, OK, NOT_FOUND, OK)
CHANGERS = (OK, NOT_FOUND, DENIED, OK, DENIED, OK)
KEEPERS = (DENIED, DENIED, DENIED, OK, DENIED, OK)


@dataclass
class World:
    """A daemon with a job of Ann's."""

    channel: aio.Channel
    state: Path
    tokens: dict[str, Metadata]
    job: str = ""
    spare: list[str] = field(default_factory=list)

    async def call(self, method: Any, request: Any, metadata: Metadata) -> tuple[StatusCode, list[Any]]:
        """How an rpc ends, and what it has answered."""
        pool = method.containing_service.file.pool
        answer = message_factory.GetMessageClass(pool.FindMessageTypeByName(method.output_type.full_name))
        path = f"/{method.containing_service.full_name}/{method.name}"

        async def requests() -> AsyncIterator[bytes]:
            yield request.SerializeToString()

        found: list[Any] = []
        try:
            async for data in self.channel.stream_stream(path)(requests(), metadata=metadata, timeout=20):
                found.append(answer.FromString(data))
                if method.containing_service.full_name.startswith("grpc.") or method.name == "WatchJob":
                    break
        except aio.AioRpcError as error:
            return error.code(), found
        return OK, found

    async def new_job(self) -> str:
        """A job of Ann's that has ended."""
        stub: Any = jobs_pb2_grpc.JobServiceStub(self.channel)
        job = await stub.CreateJob(jobs_pb2.CreateJobRequest(job=job_of()), metadata=self.tokens["ann"])
        watch = jobs_pb2.WatchJobRequest(name=job.name)
        async for _ in stub.WatchJob(watch, metadata=self.tokens["ann"]):
            pass
        return str(job.name)


def job_of() -> jobs_pb2.Job:
    plate = media_pb2.ClipManifest(file=media_pb2.MediaFile(blob=DIGEST, filename="plate.mp4"))
    recipe = jobs_pb2.Recipe(backdrop=jobs_pb2.Backdrop(colour="#203040"))
    return jobs_pb2.Job(shot=jobs_pb2.Shot(plate=plate, matte=plate), recipe=recipe)


@dataclass(frozen=True)
class Row:
    """An rpc of the matrix.

    Args:
        request: made of the name of a job of Ann's.
        codes: how it ends for each of ``CALLERS``.
        ends: the job is another one afterwards.
        told: of an answer, whether it tells anything of what is Ann's alone.
    """

    request: Callable[[str], Any]
    codes: tuple[StatusCode, ...]
    ends: bool = False
    told: Callable[[Any, str], bool] = lambda answer, job: False


def _blob(kind: Any) -> Callable[[str], Any]:
    return lambda job: kind(blob=DIGEST)


MATRIX: dict[str, Row] = {
    "BlobService.FindMissingBlobs": Row(
        lambda job: blobs_pb2.FindMissingBlobsRequest(blobs=[DIGEST]), SENDERS, told=lambda a, job: not a.missing
    ),
    "BlobService.GetUpload": Row(
        _blob(blobs_pb2.GetUploadRequest), SENDERS, told=lambda a, job: a.complete or a.committed_bytes > 0
    ),
    "BlobService.WriteBlob": Row(
        _blob(blobs_pb2.WriteBlobRequest), (MISSING, OK, DENIED, DENIED, DENIED, OK), told=lambda a, job: a.complete
    ),
    "BlobService.ReadBlob": Row(
        _blob(blobs_pb2.ReadBlobRequest), (OK, *(NOT_FOUND,) * 5), told=lambda a, job: bool(a.data)
    ),
    "JobService.CreateJob": Row(
        lambda job: jobs_pb2.CreateJobRequest(job=job_of()), (OK, MISSING, DENIED, DENIED, DENIED, MISSING)
    ),
    "JobService.GetJob": Row(lambda job: jobs_pb2.GetJobRequest(name=job), SEERS),
    "JobService.ListJobs": Row(
        lambda job: jobs_pb2.ListJobsRequest(page_size=1000),
        EVERYBODY,
        told=lambda a, job: job in [each.name for each in a.jobs],
    ),
    "JobService.WatchJob": Row(lambda job: jobs_pb2.WatchJobRequest(name=job), SEERS),
    "JobService.ExplainJob": Row(lambda job: jobs_pb2.ExplainJobRequest(name=job), SEERS),
    "JobService.CancelJob": Row(lambda job: jobs_pb2.CancelJobRequest(name=job), CHANGERS),
    "JobService.RetryJob": Row(lambda job: jobs_pb2.RetryJobRequest(name=job), CHANGERS, ends=True),
    "JobService.DeleteJob": Row(lambda job: jobs_pb2.DeleteJobRequest(name=job), CHANGERS, ends=True),
    "CatalogService.GetDaemon": Row(
        lambda job: catalog_pb2.GetDaemonRequest(), EVERYBODY, told=lambda a, job: job in [w.job for w in a.workers]
    ),
    "CatalogService.ListPresets": Row(lambda job: catalog_pb2.ListPresetsRequest(), EVERYBODY),
    "CatalogService.ListPlugins": Row(lambda job: catalog_pb2.ListPluginsRequest(), EVERYBODY),
    "CatalogService.ListModels": Row(lambda job: catalog_pb2.ListModelsRequest(), EVERYBODY),
    "CatalogService.Measure": Row(lambda job: catalog_pb2.MeasureRequest(size_bytes=1), EVERYBODY),
    "StoreService.GetStore": Row(lambda job: store_pb2.GetStoreRequest(), EVERYBODY),
    "StoreService.VerifyStore": Row(lambda job: store_pb2.VerifyStoreRequest(), KEEPERS),
    "StoreService.PruneStore": Row(lambda job: store_pb2.PruneStoreRequest(), KEEPERS),
    "Health.Check": Row(lambda job: health_pb2.HealthCheckRequest(), EVERYBODY),
    "Health.Watch": Row(lambda job: health_pb2.HealthCheckRequest(), EVERYBODY),
    "ServerReflection.ServerReflectionInfo": Row(
        lambda job: reflection_pb2.ServerReflectionRequest(list_services=""), EVERYBODY
    ),
}


def every_rpc() -> Iterator[Any]:
    for module in (blobs_pb2, jobs_pb2, catalog_pb2, store_pb2, health_pb2, reflection_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield pytest.param(method, id=f"{service.name}.{method.name}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    state = tmp_path_factory.mktemp("matrix")
    scopes = {"ann": {Scope.SUBMIT}, "bob": {Scope.SUBMIT}, "carl": {Scope.READ_ALL}, "dora": {Scope.ADMIN}}
    with closing(Accounts(state)) as accounts:
        tokens = {name: accounts.add(name, frozenset(scopes.get(name, ())), None) for name in CALLERS[:-1]}
        tokens |= {
            "expired": accounts.add("eve", frozenset(Scope), 0),
            "revoked": accounts.add("fay", frozenset(Scope), 1),
        }
        accounts.revoke("fay")
    config = Config(Address("127.0.0.1", 0), state, limits=MANY)
    async with daemon(config) as found, aio.insecure_channel(found.address) as channel:
        known = {name: bearer(token) for name, token in {**tokens, "owner": found.token, "wrong": "apt_wrong"}.items()}
        world = World(channel, state, {**known, "nobody": (), "no_bearer": (("authorization", tokens["ann"]),)})
        await until_ready(channel, known["ann"])
        sending = blobs_pb2.WriteBlobRequest(blob=DIGEST, data=PLATE)
        method = blobs_pb2.DESCRIPTOR.services_by_name["BlobService"].methods_by_name["WriteBlob"]
        assert (await world.call(method, sending, known["ann"]))[0] is OK
        world.job = await world.new_job()
        yield world


async def test_the_matrix_has_every_rpc_that_is_served() -> None:
    names = {param.id for param in every_rpc()}
    assert names == MATRIX.keys()
    served = {method.values[0].containing_service.full_name for method in every_rpc()}
    assert {*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} == served
    for param in every_rpc():
        method = param.values[0]
        assert f"/{method.containing_service.full_name}/{method.name}" in NEEDS, "an rpc that nobody may call"
    assert len(NEEDS) == len(names)


@pytest.mark.parametrize("method", list(every_rpc()))
async def test_strangers_are_refused(world: World, method: Any) -> None:
    row = MATRIX[f"{method.containing_service.name}.{method.name}"]
    for stranger in STRANGERS:
        assert await world.call(method, row.request(world.job), world.tokens[stranger]) == (UNKNOWN, []), stranger


@pytest.mark.parametrize("method", list(every_rpc()))
async def test_everybody_does_what_they_may(world: World, method: Any) -> None:
    row = MATRIX[f"{method.containing_service.name}.{method.name}"]
    found = {}
    for caller in reversed(CALLERS):  # the right one last: what the others try must not have spoilt it
        code, answers = await world.call(method, row.request(world.job), world.tokens[caller])
        found[caller] = code
        if caller in ("bob", "gus"):
            assert not any(row.told(answer, world.job) for answer in answers), f"{caller} learns what is Ann's"
        if row.ends and code is OK:
            world.job = await world.new_job()
    assert found == dict(zip(CALLERS, row.codes, strict=True))


def rpc(module: Any, service: str, name: str) -> Any:
    return module.DESCRIPTOR.services_by_name[service].methods_by_name[name]


async def test_everybodys_jobs_are_listed_to_those_who_may_see_them(world: World) -> None:
    method = rpc(jobs_pb2, "JobService", "ListJobs")
    for caller, code in zip(CALLERS, (DENIED, DENIED, OK, OK, DENIED, OK), strict=True):
        request = jobs_pb2.ListJobsRequest(all_users=True, page_size=1000)
        found, answers = await world.call(method, request, world.tokens[caller])
        assert found is code
        if code is OK:
            assert {job.user for job in answers[0].jobs} == {"ann"}


async def test_a_job_that_is_not_there_and_somebody_elses_look_alike(world: World) -> None:
    stub: Any = jobs_pb2_grpc.JobServiceStub(world.channel)

    async def said(name: str) -> tuple[Any, ...]:
        with pytest.raises(aio.AioRpcError) as caught:
            await stub.GetJob(jobs_pb2.GetJobRequest(name=name), metadata=world.tokens["bob"])
        details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
        return caught.value.code(), caught.value.details(), bytes(details).replace(name.encode(), b"")

    assert await said(world.job) == await said("jobs/0123456789abcdef")


async def test_a_token_shown_in_an_odd_way_opens_nothing(world: World) -> None:
    method, token = rpc(jobs_pb2, "JobService", "ListJobs"), world.tokens["ann"][0][1].removeprefix("Bearer ")
    for value in (
        f"bearer {token}",
        f"Bearer {token} ",
        f"Bearer  {token}",
        f"Bearer {token[:-1]}",
        "Bearer apt_",
        "Bearer ",
    ):
        code, _ = await world.call(method, jobs_pb2.ListJobsRequest(), (("authorization", value),))
        assert code is UNKNOWN, value
    twice = (*world.tokens["ann"], *world.tokens["wrong"])
    assert (await world.call(method, jobs_pb2.ListJobsRequest(), twice))[0] is UNKNOWN


async def test_the_owners_token_is_good_on_this_machine_alone() -> None:
    for peer in (
        "ipv4:127.0.0.1:5",
        "ipv6:[::1]:5",
        "ipv6:%5B::1%5D:5",
        "unix:/run/x",
        "ipv6:%5B::ffff:127.0.0.1%5D:5",
    ):
        assert is_here(peer), peer
    for peer in ("ipv4:10.0.0.5:5", "ipv6:[fe80::1]:5", "ipv6:%5Bfe80::1%25eth0%5D:5", "127.0.0.1.example:5", "", "x"):
        assert not is_here(peer), peer


@pytest.mark.parametrize("scope", list(Scope))
async def test_results_are_read_by_those_who_see_all_and_footage_by_nobody_else(scope: Scope) -> None:
    store = MemoryBlobStore()

    def put(data: bytes) -> BlobId:
        blob = BlobId(hashlib.sha256(data).hexdigest(), len(data))
        upload = store.receive("ann", blob, 0)
        upload.write(data)
        assert upload.finish()
        return blob

    async def read(blob: BlobId) -> bytes | None:
        wire = media_pb2.Blob(sha256=blob.sha256, size_bytes=blob.size)
        request = blobs_pb2.ReadBlobRequest(blob=wire)
        try:
            return b"".join([part.data async for part in BlobService(store).ReadBlob(request, None)])  # type: ignore[arg-type]
        except Exception:
            return None

    footage, result = put(b"footage"), put(b"result")
    store.grant("ann", [result])
    let_in(Principal("carl", scopes=frozenset({scope})))
    assert await read(footage) is None
    assert await read(result) == (None if scope is Scope.SUBMIT else b"result")
    assert store.unfetched(result.sha256) == {"ann"}, "that somebody else has read it does not mean that its user has"


async def test_what_changes_holds_at_once_in_calls_that_run_too(world: World) -> None:
    method = rpc(jobs_pb2, "JobService", "ListJobs")
    metadata = bearer(add(world.state, "hal"))
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        data = b"half of it now, half of it later"
        blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        yield blobs_pb2.WriteBlobRequest(blob=blob, data=data[:10]).SerializeToString()
        await go_on.wait()
        yield blobs_pb2.WriteBlobRequest(data=data[10:]).SerializeToString()

    call = world.channel.stream_unary("/anyportal.v1.BlobService/WriteBlob")(slowly(), metadata=metadata)
    assert (await world.call(method, jobs_pb2.ListJobsRequest(), metadata))[0] is OK
    with closing(Accounts(world.state)) as accounts:
        accounts.allow("hal", frozenset())
        creating = rpc(jobs_pb2, "JobService", "CreateJob")
        request = jobs_pb2.CreateJobRequest(job=job_of(), validate_only=True)
        assert (await world.call(creating, request, metadata))[0] is DENIED
        accounts.revoke("hal")
    assert (await world.call(method, jobs_pb2.ListJobsRequest(), metadata))[0] is UNKNOWN
    await asyncio.sleep(1.1)
    go_on.set()
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is UNKNOWN
    with closing(Accounts(world.state)) as accounts:
        again = bearer(accounts.add("hal", frozenset(), None))
    assert (await world.call(method, jobs_pb2.ListJobsRequest(), again))[0] is OK
    assert (await world.call(method, jobs_pb2.ListJobsRequest(), metadata))[0] is UNKNOWN


async def records(state: Path, count: int = 0, before: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """What stands in the audit log by now, in the order of time; with a count, once there are so many new ones."""
    for _ in range(100):
        paths = [state / name for name in ("audit.jsonl", "audit-refused.jsonl")]
        texts = [await asyncio.to_thread(path.read_text, "utf-8") for path in paths if path.exists()]
        found = [each for text in texts for line in text.splitlines() if (each := json.loads(line)) not in before]
        if len(found) >= count:
            break
        await asyncio.sleep(0.05)
    return sorted(found, key=lambda each: str(each["time"]))


async def test_what_was_changed_and_refused_is_written_down(world: World) -> None:
    before = await records(world.state)
    deleting, getting = rpc(jobs_pb2, "JobService", "DeleteJob"), rpc(jobs_pb2, "JobService", "GetJob")
    job = await world.new_job()
    await world.call(getting, jobs_pb2.GetJobRequest(name=job), world.tokens["ann"])
    await world.call(getting, jobs_pb2.GetJobRequest(name=job), world.tokens["bob"])
    await world.call(getting, jobs_pb2.GetJobRequest(name=job), world.tokens["wrong"])
    await world.call(deleting, jobs_pb2.DeleteJobRequest(name=job), world.tokens["carl"])
    await world.call(deleting, jobs_pb2.DeleteJobRequest(name=job), world.tokens["dora"])
    found = await records(world.state, 5, before)
    said = [(each["user"], each["rpc"].rpartition("/")[2], each["target"], each["result"]) for each in found]
    assert said == [
        ("ann", "CreateJob", job, "OK"),
        ("bob", "GetJob", job, "NOT_FOUND JOB_NOT_FOUND"),
        ("", "GetJob", "", "UNAUTHENTICATED TOKEN"),
        ("carl", "DeleteJob", "", "PERMISSION_DENIED SCOPE"),
        ("dora", "DeleteJob", job, "OK"),
    ]
    assert all(each["peer"].startswith("ipv4:127.0.0.1:") and each["time"].endswith("Z") for each in found)
    text = "".join(path.read_text("utf-8") for path in world.state.glob("audit*.jsonl"))
    assert not any(value.removeprefix("Bearer ") in text for shown in world.tokens.values() for _, value in shown)
