"""Uploads and downloads between the client's functions and a daemon in a process of its own, when things go wrong."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyportal.v1 import blobs_pb2, media_pb2
from anyportal_client.channel import Connection
from anyportal_client.discovery import Endpoint, read_daemon_file
from anyportal_client.transfers import CHUNK, download, find_missing, upload
from tests.unit.cut_transfers import Counted, cut_download, cut_upload

MIB = 1 << 20


@dataclass
class Daemon:
    endpoint: Endpoint
    state: Path
    process: psutil.Process


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    state = tmp_path_factory.mktemp("daemon") / "state"
    command = [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--state", str(state)]
    log = state.with_name("log")
    with (
        log.open("wb") as stderr,
        subprocess.Popen([*command, "--stop-with-stdin"], stdin=subprocess.PIPE, stderr=stderr) as process,
    ):
        while (endpoint := read_daemon_file(state)) is None:
            assert process.poll() is None
            time.sleep(0.05)
        yield Daemon(endpoint, state, psutil.Process(process.pid))
        assert process.stdin is not None
        process.stdin.close()
    assert "Traceback" not in log.read_text(), "whoever hangs up is no error"


def blob_of(data: bytes) -> media_pb2.Blob:
    return media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


async def sent(connection: Connection, folder: Path, data: bytes) -> media_pb2.Blob:
    source, blob = folder / hashlib.sha256(data).hexdigest(), blob_of(data)
    source.write_bytes(data)
    await upload(connection, source, blob)
    return blob


async def fetched(connection: Connection, blob: media_pb2.Blob) -> bytes:
    request = blobs_pb2.ReadBlobRequest(blob=blob)
    return b"".join([each.data async for each in connection.stream(connection.blobs.ReadBlob, request)])


@pytest.mark.parametrize("seed", range(2))
async def test_cuts_cost_no_more_than_what_was_under_way(daemon: Daemon, tmp_path: Path, seed: int) -> None:
    """A small version of benchmarks/cuts.py, which makes a hundred cuts each way."""
    size, cuts = 8 * MIB, 8
    up = await cut_upload(daemon.endpoint, daemon.state, tmp_path, size, seed, cuts, most=size // 8)
    assert up.made == cuts and len(up.again) >= cuts // 2 and up.within_bounds
    digest = hashlib.sha256((tmp_path / f"source{seed}").read_bytes()).hexdigest()
    down = await cut_download(daemon.endpoint, digest, size, tmp_path, seed, cuts, most=size // 8)
    assert down.made == cuts and len(down.again) >= cuts // 2 and not any(down.again)
    assert up.wire_bytes < 2 * size and down.wire_bytes < 2 * size


async def test_clients_that_send_the_same_blobs_at_once_all_succeed(daemon: Daemon, tmp_path: Path) -> None:
    blobs = [random.Random(seed).randbytes(4 * MIB) for seed in (1, 2, 3)]
    paths = []
    for number, data in enumerate(blobs):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(data)
    connections = [Counted(daemon.endpoint) for _ in range(4)]
    orders = [blobs, blobs[::-1], blobs[1:] + blobs[:1], blobs]
    work = []
    for connection, order in zip(connections, orders, strict=True):
        work += [upload(connection, paths[blobs.index(data)], blob_of(data)) for data in order]
    await asyncio.gather(*work)
    for data in blobs:
        assert await find_missing(connections[0], [blob_of(data)]) == []
        assert await fetched(connections[0], blob_of(data)) == data
    for connection in connections:
        await connection.close()


async def test_who_takes_over_an_upload_goes_on_where_the_other_was(daemon: Daemon, tmp_path: Path) -> None:
    data = random.Random(11).randbytes(3 * MIB)
    first, second = Counted(daemon.endpoint), Counted(daemon.endpoint)
    call = first.blobs.WriteBlob(metadata=[("authorization", f"Bearer {daemon.endpoint.token}")])
    await call.write(blobs_pb2.WriteBlobRequest(blob=blob_of(data), data=data[:MIB]))
    asked = blobs_pb2.GetUploadRequest(blob=blob_of(data))
    while (await second.call(second.blobs.GetUpload, asked)).committed_bytes < MIB:
        await asyncio.sleep(0.01)
    other = asyncio.create_task(sent(second, tmp_path, data))  # the other holds it still
    while not second.found.again:
        await asyncio.sleep(0.01)
    call.cancel()
    await other
    assert await fetched(second, blob_of(data)) == data
    await first.close()
    await second.close()


class Splits:
    """One connection for all examples of a property."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.fresh = itertools.count()
        self.loop = asyncio.new_event_loop()
        self.connection = self.loop.run_until_complete(self._connect(endpoint))

    async def _connect(self, endpoint: Endpoint) -> Connection:
        return Connection(endpoint)

    def close(self) -> None:
        self.loop.run_until_complete(self.connection.close())
        self.loop.close()


@pytest.fixture(scope="module")
def splits(daemon: Daemon) -> Iterator[Splits]:
    found = Splits(daemon.endpoint)
    yield found
    found.close()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    pieces=st.lists(st.tuples(st.integers(0, 40_000), st.booleans()), min_size=1, max_size=8),
)
def test_any_split_of_an_upload_gives_the_same_blob(splits: Splits, seed: int, pieces: list[tuple[int, bool]]) -> None:
    """Pieces of any size, none at all among them, and a new call after any of them."""
    pieces = [(16, False), *pieces]
    data = random.Random(f"{seed} {next(splits.fresh)}").randbytes(sum(size for size, _ in pieces))
    blob, connection = blob_of(data), splits.connection

    async def run() -> None:
        at = 0
        calls: list[list[bytes]] = [[]]
        for size, ends in pieces:
            calls[-1].append(data[at : at + size])
            at += size
            if ends:
                calls.append([])
        begun = 0
        for parts in calls:
            requests = [blobs_pb2.WriteBlobRequest(data=part) for part in parts] or [blobs_pb2.WriteBlobRequest()]
            requests[0].blob.CopyFrom(blob)
            requests[0].offset = begun

            async def stream(requests: list[blobs_pb2.WriteBlobRequest] = requests):  # type: ignore[no-untyped-def]
                for request in requests:
                    yield request

            state = await connection.send(connection.blobs.WriteBlob, stream())
            begun += sum(map(len, parts))
            assert state.committed_bytes == begun and state.complete == (begun == len(data))
        assert await fetched(connection, blob) == data

    splits.loop.run_until_complete(run())


async def test_a_reader_that_stops_costs_the_daemon_nothing(daemon: Daemon, tmp_path: Path) -> None:
    """Forty readers take one message each of 32 MiB and then no more: the rest stays on the disk."""
    connection = Connection(daemon.endpoint)
    blob = await sent(connection, tmp_path, random.Random(5).randbytes(32 * MIB))
    metadata = [("authorization", f"Bearer {daemon.endpoint.token}")]
    await fetched(connection, blob)  # whatever memory one reader takes at most is taken now
    before = daemon.process.memory_info().rss
    apart = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(daemon.endpoint.address, apart) for _ in range(40)]
    read = "/anyportal.v1.BlobService/ReadBlob"
    calls = []
    for channel in channels:
        method = channel.unary_stream(
            read, blobs_pb2.ReadBlobRequest.SerializeToString, blobs_pb2.ReadBlobResponse.FromString
        )
        calls.append(method(blobs_pb2.ReadBlobRequest(blob=blob), metadata=metadata))
        assert len((await calls[-1].read()).data) == CHUNK
    taken = -1
    while taken != (taken := daemon.process.io_counters().read_chars):  # until it reads no more
        await asyncio.sleep(0.3)
    assert daemon.process.memory_info().rss - before < 60 * MIB, "all of it would be 40 * 32 MiB"
    for call in calls:
        call.cancel()
    for channel in channels:
        await channel.close()
    target = tmp_path / "fetched"
    await download(connection, blob, target)  # and it serves on
    assert hashlib.sha256(target.read_bytes()).hexdigest() == blob.sha256
    await connection.close()
