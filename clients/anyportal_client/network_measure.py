"""How good the way to a daemon is: time for a question, bytes a second there and back, and the two clocks."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

import grpc.aio

from anyportal.v1 import blobs_pb2, catalog_pb2, media_pb2
from anyportal_client import rpc_errors
from anyportal_client.channel import Connection

CHUNK = 256 << 10
MOST = 16 << 20
"""Bytes that are sent at most to measure."""

SECONDS = 1.0
"""That sending them is to last."""

_QUESTIONS = 5


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
    """
    first = await _send(connection, CHUNK)
    up = await _send(connection, _enough(first))
    return Speed(up, await _receive(connection, _enough(await _receive(connection, CHUNK))))


def _enough(speed: float) -> int:
    return int(min(MOST, max(CHUNK, speed * SECONDS)))


async def _receive(connection: Connection, size: int) -> float:
    """Bytes a second of being sent so many."""
    begun, count = time.perf_counter(), 0
    try:
        async for message in connection.stream(connection.catalog.Measure, catalog_pb2.MeasureRequest(size_bytes=size)):
            count += len(message.data)
    except grpc.aio.AioRpcError as error:
        raise rpc_errors.translate(error, connection.endpoint.address) from error
    return count / (time.perf_counter() - begun)


async def clock_ahead(connection: Connection) -> float | None:
    """Seconds by which the daemon's clock is ahead of this one's, as its workers' last signs of life show; None where
    there is none. Such a sign may be some seconds old, so that a clock that is right looks a little slow."""
    said = await connection.call(connection.catalog.GetDaemon, catalog_pb2.GetDaemonRequest())
    beats = [
        each.heartbeat_time.ToDatetime(UTC).timestamp() for each in said.workers if each.HasField("heartbeat_time")
    ]
    return max(beats) - datetime.now(UTC).timestamp() if beats else None


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
