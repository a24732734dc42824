"""The store over the wire: a daemon with a budget, its owner, and the command that shows, verifies and prunes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import pytest
import pytest_asyncio
from grpc import StatusCode, aio

from anyportal.v1 import blobs_pb2, blobs_pb2_grpc, jobs_pb2, jobs_pb2_grpc, media_pb2
from anyportal_client import AsyncClient
from anyportal_client.cli.app import run
from anyportal_client.errors import DaemonError
from anyportal_daemon import bootstrap
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from anyportal_daemon.security.users import Principal, let_in
from anyportal_daemon.server.blobs import BlobService
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.memory import MemoryBlobStore
from tests.integration.store_house import flip

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHEMA = json.loads((Path(__file__).parents[2] / "clients/anyportal_client/cli/events.schema.json").read_text("utf-8"))
BUDGET = 1_000_000


class Served:
    """A daemon's address, and its state directory."""

    def __init__(self, address: str, token: str, state: Path) -> None:
        self.address, self.token, self.state = address, token, state

    async def send(self, data: bytes) -> None:
        wire = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        parts = [blobs_pb2.WriteBlobRequest(blob=wire)]
        parts += [blobs_pb2.WriteBlobRequest(data=data[at : at + 2**18]) for at in range(0, len(data), 2**18)]
        async with aio.insecure_channel(self.address) as channel:
            stub: Any = blobs_pb2_grpc.BlobServiceStub(channel)
            await stub.WriteBlob(iter(parts), metadata=(("authorization", f"Bearer {self.token}"),))

    async def command(self, *arguments: str) -> tuple[int, str]:
        """The command's exit code and what it prints."""
        return await asyncio.to_thread(self._command, arguments)

    def _command(self, arguments: tuple[str, ...]) -> tuple[int, str]:
        out = io.StringIO()
        with (
            mock.patch.dict(os.environ, {"ANYPORTAL_STATE": str(self.state)}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            return run(["store", *arguments]), out.getvalue()

    async def events(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        code, out = await self.command(*arguments, "--json")
        found = [json.loads(line) for line in out.splitlines()]
        for event in found:
            jsonschema.Draft202012Validator(SCHEMA).validate(event)
        return code, found

    def file(self, data: bytes) -> Path:
        name = hashlib.sha256(data).hexdigest()
        return self.state / "blobs" / name[:2] / name[2:]


@pytest_asyncio.fixture(loop_scope="module")
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with daemon(Config(Address("127.0.0.1", 0), tmp_path, budget=BUDGET)) as found:
        yield Served(found.address, found.token, tmp_path)


def aged(path: Path, seconds: float) -> None:
    """Last used so long ago."""
    stat = path.stat()
    os.utime(path, (stat.st_atime, stat.st_mtime - seconds))


async def test_the_command_shows_verifies_and_prunes(served: Served, fresh_seed: int) -> None:
    whole, bad, gone = b"whole" * 1000, b"damaged" * 1000, b"gone" * 1000
    for data in (whole, bad, gone):
        await served.send(data)
    code, [shown] = await served.events("show")
    assert code == 0 and shown["budget_bytes"] == BUDGET
    held = {"count": 3, "size_bytes": 16_000}
    assert shown["own"]["blobs"] == shown["whole"]["blobs"] == held
    assert set(shown["whole"]) == {"blobs", "uploads", "stages"} and shown["prunable_bytes"] == 0

    flip(served.file(bad), random.Random(fresh_seed))
    served.file(gone).unlink()
    code, events = await served.events("verify")
    assert code == 7
    damage = {event["name"]: event for event in events if event["event"] == "damage"}
    assert set(damage) == {hashlib.sha256(data).hexdigest() for data in (bad, gone)}
    assert {event["gone"] for event in damage.values()} == {False, True}
    assert {event["recovery"] for event in damage.values()} == {"sent"}
    assert events[-1] == {"schema": 1, "event": "verified", "checked": 2, "damaged": 2, "total_bytes": 12_000}
    code, out = await served.command("verify")
    assert (code, out) == (0, "1 files, 4.9 KiB: none damaged\n")

    assert (await served.events("prune"))[1][0]["freed_bytes"] == 0, "it was used just now"
    assert (await served.events("prune", "--recent", "--keep", "1MiB"))[1][0]["freed_bytes"] == 0
    code, [pruned] = await served.events("prune", "--recent")
    assert (code, pruned["count"], pruned["freed_bytes"], pruned["used_bytes"]) == (0, 1, 5000, 0)
    assert not served.file(whole).exists()


async def test_a_person_reads_what_there_is(served: Served) -> None:
    await served.send(b"x" * 2048)
    code, out = await served.command("show")
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["yours", "blobs", "1", "2.0", "KiB"]
    assert any(line.startswith("2.0 KiB of 976.6 KiB; 0 B of it nobody needs") for line in lines)
    served.file(b"x" * 2048).unlink()
    code, out = await served.command("verify")
    assert code == 7 and "gone: blobs " in out and "asked to send it again" in out
    code, out = await served.command("prune", "--keep", "a lot")
    assert code == 2 and "is no size" in out


async def test_what_a_crash_left_half_evicted_is_in_no_sum(served: Served) -> None:
    """The bytes go first, and only then is it written down that nobody has them."""
    for data in (b"a" * 1000, b"b" * 1000):
        await served.send(data)
    served.file(b"a" * 1000).unlink()
    _, [shown] = await served.events("show")
    assert shown["own"]["blobs"] == shown["whole"]["blobs"] == {"count": 1, "size_bytes": 1000}


async def test_an_upload_over_the_budget_evicts_what_is_old_or_is_refused(served: Served) -> None:
    old, new = bytes(600_000), b"n" * 600_000
    await served.send(old)
    with pytest.raises(aio.AioRpcError) as caught:
        await served.send(new)
    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED, "all of it was used just now"
    assert "store is full" in (caught.value.details() or "")
    aged(served.file(old), 3600)
    await served.send(new)
    assert served.file(new).exists() and not served.file(old).exists()


async def until(reached: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not (await found if isinstance(found := reached(), Awaitable) else found):
            await asyncio.sleep(0.02)


def plain_job(data: bytes) -> jobs_pb2.CreateJobRequest:
    wire = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    plate = media_pb2.ClipManifest(file=media_pb2.MediaFile(blob=wire, filename="plate.mp4"))
    backdrop = jobs_pb2.Recipe(backdrop=jobs_pb2.Backdrop(colour="#336699"))
    return jobs_pb2.CreateJobRequest(job=jobs_pb2.Job(shot=jobs_pb2.Shot(plate=plate), recipe=backdrop))


async def test_a_job_over_the_budget_is_refused_and_taken_when_there_is_room(served: Served) -> None:
    await served.send(b"no movie")
    (served.state / "stages").mkdir(exist_ok=True)
    (served.state / "stages" / "large.h5").write_bytes(bytes(BUDGET))
    async with aio.insecure_channel(served.address) as channel:
        jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)

        async def created() -> str:
            try:
                await jobs.CreateJob(plain_job(b"no movie"), metadata=(("authorization", f"Bearer {served.token}"),))
            except aio.AioRpcError as error:
                return error.details() or ""
            return "created"

        async def refused() -> bool:
            return "store is full" in await created()

        async def taken() -> bool:
            return await created() == "created"

        await until(refused)  # once the worker has said what it can do
        (served.state / "stages" / "large.h5").unlink()
        await until(taken)


async def test_the_daemon_keeps_its_budget_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "TENDING", 0.05)
    (tmp_path / "stages").mkdir()
    large = tmp_path / "stages" / "large.h5"
    large.write_bytes(bytes(BUDGET + 1))
    aged(large, 3600)
    async with daemon(Config(Address("127.0.0.1", 0), tmp_path, budget=BUDGET)):
        await until(lambda: not large.exists())


@pytest.mark.parametrize(
    ("offset", "limit", "fetched"), [(0, 0, True), (3, 0, True), (0, 6, True), (0, 3, False), (3, 2, False)]
)
async def test_a_result_is_fetched_when_its_last_byte_is_read(offset: int, limit: int, fetched: bool) -> None:
    store, data = MemoryBlobStore(), b"result"
    blob = BlobId(hashlib.sha256(data).hexdigest(), len(data))
    upload = store.receive("worker", blob, 0)
    upload.write(data)
    assert upload.finish()
    store.grant("ann", [blob])
    let_in(Principal("ann"))
    wire = media_pb2.Blob(sha256=blob.sha256, size_bytes=blob.size)
    request = blobs_pb2.ReadBlobRequest(blob=wire, offset=offset, limit_bytes=limit)
    parts = [part.data async for part in BlobService(store).ReadBlob(request, None)]  # type: ignore[arg-type]
    assert b"".join(parts) == data[offset : offset + limit if limit else None]
    assert store.unfetched(blob.sha256) == (set() if fetched else {"ann"})


async def test_a_wrong_token_is_no_owner(served: Served) -> None:
    with pytest.raises(DaemonError) as caught:
        await AsyncClient.connect(served.address, "wrong")
    assert caught.value.code == "TOKEN"
