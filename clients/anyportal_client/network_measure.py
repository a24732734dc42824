"""How good the way to a daemon is: time for a question, bytes a second there and back, the two clocks, the rights."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

import grpc.aio

from anyportal.v1 import blobs_pb2, catalog_pb2, jobs_pb2, media_pb2, store_pb2
from anyportal_client import rpc_errors
from anyportal_client.channel import Connection
from anyportal_client.errors import ClientError

CHUNK = 256 << 10
MOST = 16 << 20
"""Bytes that are sent at most to measure."""

SECONDS = 1.0
"""That sending them is to last."""

_QUESTIONS, _ANSWERS = 5, 48
_REFUSED = ("SCOPE", "NOT_OWNER")


@dataclass(frozen=True)
class Speed:
    """Bytes a second, as far as was measured."""

    up: float
    down: float


async def round_trip(connection: Connection) -> float:
    """Seconds for a small question and its answer, the median of some."""
    taken = []
    for _ in range(_QUESTIONS):
        begun = time.perf_counter()
        await connection.call(connection.catalog.GetDaemon, catalog_pb2.GetDaemonRequest())
        taken.append(time.perf_counter() - begun)
    return median(taken)


async def speed(connection: Connection) -> Speed:
    """Measure with random bytes. They are announced under a digest that is not theirs: when the last has come the
    daemon throws them away, and nothing stays behind.

    The way back is measured with many answers at once, each small: on a fast network it is better than it looks.
    """
    first = await _send(connection, CHUNK)
    up = await _send(connection, int(min(MOST, max(CHUNK, first * SECONDS))))
    begun = time.perf_counter()
    ask = catalog_pb2.ListPluginsRequest()
    answers = await asyncio.gather(
        *(connection.call(connection.catalog.ListPlugins, ask) for _ in range(_ANSWERS)), return_exceptions=True
    )
    taken = time.perf_counter() - begun
    if failed := [each for each in answers if isinstance(each, BaseException)]:
        raise failed[0]
    return Speed(up, sum(each.ByteSize() for each in answers if not isinstance(each, BaseException)) / taken)


async def clock_ahead(connection: Connection) -> float | None:
    """Seconds by which the daemon's clock is ahead of this one's, as its workers' last signs of life show; None where
    there is none. Such a sign may be some seconds old, so that a clock that is right looks a little slow."""
    said = await connection.call(connection.catalog.GetDaemon, catalog_pb2.GetDaemonRequest())
    beats = [
        each.heartbeat_time.ToDatetime(UTC).timestamp() for each in said.workers if each.HasField("heartbeat_time")
    ]
    return max(beats) - datetime.now(UTC).timestamp() if beats else None


async def scopes(connection: Connection) -> tuple[str, ...]:
    """What the token is good for, found out by asking for what each scope opens and nothing changes."""
    questions = {
        "submit": connection.call(connection.blobs.FindMissingBlobs, blobs_pb2.FindMissingBlobsRequest()),
        "read-all": connection.call(connection.jobs.ListJobs, jobs_pb2.ListJobsRequest(page_size=1, all_users=True)),
    }
    found = [name for name, question in questions.items() if await _may(question)]
    store = await connection.call(connection.store.GetStore, store_pb2.GetStoreRequest())
    return (*found, "admin") if store.whole else tuple(found)


async def _may(question: object) -> bool:
    try:
        await question  # type: ignore[misc]
    except ClientError as error:
        if error.code in _REFUSED:
            return False
        raise
    return True


async def _send(connection: Connection, size: int) -> float:
    """Bytes a second of sending so many."""
    blob, piece = _no_blob(size), os.urandom(min(size, 1 << 20))

    async def requests() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        for at in range(0, size, CHUNK):
            data = piece[at % len(piece) :][: min(CHUNK, size - at)]
            yield blobs_pb2.WriteBlobRequest(blob=None if at else blob, data=data)

    begun = time.perf_counter()
    try:
        await connection.send(connection.blobs.WriteBlob, requests())
    except grpc.aio.AioRpcError as error:
        if rpc_errors.reason(error) != "DIGEST":
            raise rpc_errors.translate(error, connection.endpoint.address) from error
    return size / (time.perf_counter() - begun)


def _no_blob(size: int) -> media_pb2.Blob:
    """A blob that nobody has."""
    return media_pb2.Blob(sha256=hashlib.sha256(os.urandom(32)).hexdigest(), size_bytes=size)
