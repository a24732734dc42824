"""What strangers may do to a port: say nothing, say nonsense, never stop. The daemon goes on serving those it knows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psutil
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from anyportal.v1 import blobs_pb2, blobs_pb2_grpc, jobs_pb2, jobs_pb2_grpc, media_pb2
from anyportal_client.channel import Connection
from anyportal_client.discovery import Endpoint
from anyportal_daemon.security.limits import CallLimits
from anyportal_daemon.server import server
from tests.integration.http2 import (
    CONTINUATION,
    END_HEADERS,
    HEADERS,
    PING,
    PREFACE,
    RESET,
    SETTINGS,
    SHAKEN,
    frame,
)
from tests.integration.security_house import House, bearer, house

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONNECTIONS, IDLE = 40, 3
# :method POST, :scheme http, :path /x, te trailers: enough for a call of no known rpc.
CALL = bytes([0x83, 0x86, 0x44, 2]) + b"/x" + bytes([0x40, 2]) + b"te" + bytes([8]) + b"trailers"


def nonsense() -> Iterator[bytes]:
    """Kinds of it, each as much as the server takes."""
    dice = random.Random(5)
    yield dice.randbytes(100_000)
    yield b"GET / HTTP/1.1\r\nHost: anyportal\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(500)
    yield PREFACE + dice.randbytes(100_000)
    yield SHAKEN + b"\xff\xff\xff\0\0\0\0\0\1" + bytes(100_000)
    yield SHAKEN + b"".join(frame(PING, 0, 0, bytes(8)) for _ in range(20_000))
    yield SHAKEN + b"".join(frame(SETTINGS, 0, 0) for _ in range(20_000))
    yield SHAKEN + frame(HEADERS, 0, 1, CALL) + b"".join(frame(CONTINUATION, 0, 1, bytes(16_000)) for _ in range(2000))
    streams = range(1, 40_000, 2)
    yield SHAKEN + b"".join(frame(HEADERS, END_HEADERS, n, CALL) + frame(RESET, 0, n, bytes(4)) for n in streams)
    yield SHAKEN + frame(HEADERS, END_HEADERS, 1, dice.randbytes(10_000))
    yield SHAKEN + frame(HEADERS, END_HEADERS, 1, bytes([0x83, 0x86]) + b"\0\x7f\x81\x7d" + b"x" * 16_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    limits = CallLimits(
        connections=CONNECTIONS, idle_seconds=IDLE, streams_per_connection=5, wrong_tokens_per_minute=20
    )
    with pytest.MonkeyPatch.context() as patch:
        hasty = {**dict(server.OPTIONS), "grpc.server_handshake_timeout_ms": 1500}
        patch.setattr(server, "OPTIONS", tuple(hasty.items()))
        async with house(tmp_path_factory.mktemp("floods") / "state", limits) as found:
            yield found


async def serves(served: House) -> None:
    """A user who comes new is served, on both ports."""
    async with served.channel() as secure, aio.insecure_channel(served.local) as local:
        for channel in (secure, local):
            jobs: jobs_pb2_grpc.JobServiceAsyncStub = jobs_pb2_grpc.JobServiceStub(channel)
            await jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=bearer(served.tokens["ann"]), timeout=20)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def ended(line: socket.socket, seconds: float) -> bool:
    """Whether the other side closes it; it may say something first."""
    line.settimeout(seconds)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if not line.recv(65536):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def port_of(served: House, name: str) -> int:
    return served.port if name == "tls" else int(served.local.rpartition(":")[2])


@pytest.mark.parametrize("port", ["tls", "plain"])
@pytest.mark.parametrize(
    "said", [b"", b"\x16\x03\x01", PREFACE[:10]], ids=["nothing", "half a hello", "half a preface"]
)
async def test_who_never_begins_is_let_go(served: House, port: str, said: bytes) -> None:
    def speak() -> bool:
        with connected(port_of(served, port)) as line:
            line.sendall(said)
            return ended(line, 15)

    assert await asyncio.to_thread(speak)
    await serves(served)


@pytest.mark.parametrize("port", ["tls", "plain"])
async def test_nonsense_leaves_the_daemon_serving(served: House, port: str) -> None:
    process = psutil.Process()
    before = process.memory_info().rss

    def speak(data: bytes) -> None:
        with connected(port_of(served, port)) as line, contextlib.suppress(OSError):
            line.settimeout(5)
            line.sendall(data)

    for data in nonsense():
        await asyncio.to_thread(speak, data)
        await serves(served)
    assert process.memory_info().rss - before < 200e6


async def slowly(served: House, data: bytes, pause: float) -> float:
    """Seconds for which the daemon listens to somebody who says a byte now and then."""
    began = time.monotonic()

    def speak() -> float:
        with connected(port_of(served, "plain")) as line:
            line.sendall(SHAKEN)
            for at in range(len(data)):
                try:
                    line.sendall(data[at : at + 1])
                except OSError:
                    break
                if ended(line, pause):
                    break
            return time.monotonic() - began

    return await asyncio.to_thread(speak)


async def test_who_speaks_a_byte_now_and_then_is_let_go(served: House) -> None:
    slow = asyncio.create_task(slowly(served, frame(HEADERS, 0, 1, CALL * 20), 0.2))
    await serves(served)
    assert await slow < 6 * IDLE


async def test_a_crowd_of_silent_connections_goes_by(served: House) -> None:
    async with served.channel() as old:
        jobs: Any = jobs_pb2_grpc.JobServiceStub(old)

        async def ask() -> None:
            await jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=bearer(served.tokens["ann"]), timeout=20)

        await ask()
        crowd = [await asyncio.to_thread(connected, served.port) for _ in range(3 * CONNECTIONS)]
        await ask()  # whoever is connected is served meanwhile
        gone = await asyncio.to_thread(lambda: sum(ended(line, 0.01) for line in crowd))
        assert gone >= CONNECTIONS, "more were taken in than may be"
        until = time.monotonic() + 30
        while True:
            try:
                await serves(served)
                break
            except aio.AioRpcError as error:
                assert error.code() in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED)
                assert time.monotonic() < until, "they never go"
        for line in crowd:
            line.close()


async def test_only_so_many_calls_run_on_one_connection(served: House) -> None:
    metadata = bearer(served.tokens["ann"])
    async with served.channel() as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest(), metadata=metadata) for _ in range(5)]
        for watch in watches:
            await watch.read()
        with pytest.raises(aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(), metadata=metadata, timeout=1)
        assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
        await serves(served)
        watches[0].cancel()
        await health.Check(health_pb2.HealthCheckRequest(), metadata=metadata, timeout=20)


async def refusal(call: Any) -> tuple[StatusCode, str, float]:
    """Code, reason and when to come again."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    raw = dict(caught.value.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status_pb2.Status.FromString(raw).details:  # type: ignore[arg-type]
        detail.Unpack(info)
        detail.Unpack(retry)
    return caught.value.code(), info.reason, retry.retry_delay.ToTimedelta().total_seconds()


async def test_an_upload_of_which_nothing_comes_is_ended(served: House) -> None:
    async def silent() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        yield blobs_pb2.WriteBlobRequest(blob=media_pb2.Blob(sha256="a" * 64, size_bytes=5), data=b"abc")
        await asyncio.sleep(60)

    async with served.channel() as channel:
        blobs: Any = blobs_pb2_grpc.BlobServiceStub(channel)
        metadata = bearer(served.tokens["ann"])
        assert (await refusal(blobs.WriteBlob(silent(), metadata=metadata)))[:2] == (StatusCode.UNAVAILABLE, "SILENT")
        asked = blobs_pb2.GetUploadRequest(blob=media_pb2.Blob(sha256="a" * 64, size_bytes=5))
        assert (await blobs.GetUpload(asked, metadata=metadata)).committed_bytes == 3


@pytest.mark.parametrize("metadata", [(("x", "y" * 20_000),), tuple((f"x{n}", "y" * 50) for n in range(400))])
async def test_a_flood_of_headers_is_refused(served: House, metadata: Any) -> None:
    async with served.channel() as channel:
        jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)
        call = jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=(*metadata, *bearer(served.tokens["ann"])))
        assert (await refusal(call))[0] is StatusCode.RESOURCE_EXHAUSTED
    await serves(served)


async def test_wrong_tokens_are_soon_refused_unheard_and_right_ones_never(served: House) -> None:
    async with aio.insecure_channel(served.local) as channel:
        jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)
        found = [
            await refusal(jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=bearer(f"wrong{n}"))) for n in range(60)
        ]
        await jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=bearer(served.tokens["ann"]))
    assert {each[:2] for each in found[:20]} == {(StatusCode.UNAUTHENTICATED, "TOKEN")}
    code, reason, wait = found[-1]
    assert (code, reason) == (StatusCode.RESOURCE_EXHAUSTED, "RATE") and 0 < wait <= 3
    lines = (served.state / "audit-refused.jsonl").read_text("utf-8").splitlines()
    written = [json.loads(line) for line in lines if "UNAUTHENTICATED" in line]
    assert 20 <= len(written) < 40, "a flood would push all other refusals out of the log"


async def test_who_calls_too_often_is_told_when_to_come_again_and_the_client_does(tmp_path_factory: Any) -> None:
    limits = CallLimits(calls_per_second=20, calls_at_once=10)
    async with house(tmp_path_factory.mktemp("often") / "state", limits) as served:
        metadata = bearer(served.tokens["ann"])
        async with aio.insecure_channel(served.local) as channel:
            jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)
            for _ in range(10):
                await jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=metadata)
            calls = [jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=metadata) for _ in range(10)]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            refused = [each for each in ends if isinstance(each, aio.AioRpcError)]
            assert refused and {each.code() for each in refused} == {StatusCode.RESOURCE_EXHAUSTED}
            for _ in range(60):  # the owner may
                await jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=bearer(served.owner))
        connection = Connection(Endpoint(served.local, served.tokens["ann"]))
        calls = [connection.call(connection.jobs.ListJobs, jobs_pb2.ListJobsRequest()) for _ in range(30)]
        assert len(await asyncio.gather(*calls)) == 30
        await connection.close()


async def test_open_files_do_not_grow(served: House) -> None:
    """After all of the above, what strangers have opened is closed again."""
    await asyncio.sleep(IDLE + 2)
    assert psutil.Process(os.getpid()).num_fds() < 150
