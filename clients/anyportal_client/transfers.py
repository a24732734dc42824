"""Bytes to the daemon and back: only what is missing, onwards from where a cut happened, checked at the end."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import grpc
import grpc.aio

from anyportal.v1 import blobs_pb2, media_pb2
from anyportal_client import rpc_errors
from anyportal_client.channel import Connection
from anyportal_client.errors import MediaError, StorageError
from anyportal_client.hashing import hash_file
from anyportal_client.retry import Attempts, hides_its_reason
from anyportal_client.storage import local_disk

CHUNK = 256 << 10
_BLOCK = 16 * CHUNK
"""What one visit to a thread reads or writes: files are not touched in the event loop."""
_ASK_AT_ONCE = 10_000

_MOST_STRIKES = 3
"""Refusals without any progress that are taken for an accident."""

OnBytes = Callable[[int], None]


async def find_missing(connection: Connection, blobs: Sequence[media_pb2.Blob]) -> list[media_pb2.Blob]:
    """Those blobs that the daemon does not have from us."""
    missing: list[media_pb2.Blob] = []
    for start in range(0, len(blobs), _ASK_AT_ONCE):
        request = blobs_pb2.FindMissingBlobsRequest(blobs=blobs[start : start + _ASK_AT_ONCE])
        missing.extend((await connection.call(connection.blobs.FindMissingBlobs, request)).missing)
    return missing


async def upload(
    connection: Connection, path: Path, blob: media_pb2.Blob, on_bytes: OnBytes = lambda count: None
) -> None:
    """Send a file. `on_bytes` is told how many of its bytes the daemon surely has or was just sent.

    Raises:
        MediaError: the file changed while it was sent.
        ClientError: the daemon refused, or stayed away.
    """
    attempts = connection.attempts()
    committed, strikes, probe = 0, 0, False
    while True:
        try:
            chunks = _requests(path, blob, committed, CHUNK if probe else blob.size_bytes, on_bytes)
            state: blobs_pb2.Upload = await connection.send(connection.blobs.WriteBlob, chunks)
            probe = False
        except grpc.aio.AioRpcError as error:
            probe = hides_its_reason(error)  # a single message is answered with the reason
            await _after_failure(error, attempts, path, blob, strikes)
            state = await connection.call(connection.blobs.GetUpload, blobs_pb2.GetUploadRequest(blob=blob))
        if state.complete:
            return
        if state.committed_bytes > committed:
            attempts.progressed()
        else:
            strikes += 1
        committed = state.committed_bytes


async def _after_failure(
    error: grpc.aio.AioRpcError, attempts: Attempts, path: Path, blob: media_pb2.Blob, strikes: int
) -> None:
    """Return when it makes sense to ask for the committed size and go on from there."""
    reason = rpc_errors.reason(error)
    if reason == "DIGEST" and await asyncio.to_thread(hash_file, path) != blob.sha256:
        raise _changed(path)
    if reason not in ("DIGEST", "OFFSET") or strikes > _MOST_STRIKES:
        await attempts.failed(error)


async def _requests(
    path: Path, blob: media_pb2.Blob, offset: int, most: int, on_bytes: OnBytes
) -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
    """The file from an offset on, at most so many bytes."""
    first = blobs_pb2.WriteBlobRequest(blob=blob, offset=offset)
    sent, stop = offset, min(blob.size_bytes, offset + most)
    if sent == stop:  # every byte is there, and only the end was cut off: the daemon waits for it to be said again
        yield first
    with await asyncio.to_thread(path.open, "rb") as stream:
        stream.seek(offset)
        while sent < stop:
            block = await asyncio.to_thread(stream.read, min(_BLOCK, stop - sent))
            if not block:
                raise _changed(path)
            for start in range(0, len(block), CHUNK):
                request = first if sent == offset else blobs_pb2.WriteBlobRequest()
                request.data = block[start : start + CHUNK]
                yield request
                sent += len(request.data)
                on_bytes(sent)


def _changed(path: Path) -> MediaError:
    return MediaError(
        "the file changed while it was sent",
        code="MEDIA_UNREADABLE",
        where=str(path),
        hint="wait until it is written, then submit again",
    )


def aside_of(target: Path, sha256: str) -> Path:
    """Where a file grows until it is whole."""
    return target.with_name(f"{target.name}.{sha256[:8]}.part")


async def download(connection: Connection, blob: media_pb2.Blob, target: Path, *, job: str = "") -> None:
    """Fetch a blob into a file: beside it first, checked, then renamed.

    What an earlier call left beside the target is not fetched again. `job` is the one that made it, for errors.

    Raises:
        StorageError: the disk refused, or the bytes are damaged.
        ClientError: the daemon refused, or stayed away.
    """
    aside = aside_of(target, blob.sha256)
    for _ in range(2):  # a second time when what was left behind by an earlier call was no good
        with local_disk(aside), aside.open("a+b") as stream:
            digest = await _fill(connection, blob, stream, job)
        with local_disk(target):
            if digest == blob.sha256:
                aside.replace(target)
                return
            aside.unlink()
    raise StorageError(
        "the bytes that arrived are not those that were asked for",
        code="DIGEST",
        where=str(target),
        hint="fetch again; when it stays so, run the job again",
    )


async def _fill(connection: Connection, blob: media_pb2.Blob, stream: BinaryIO, job: str) -> str:
    """Receive what a file still lacks; gives the digest of all of it."""
    digest = hashlib.sha256()
    received = await asyncio.to_thread(_hash_existing, stream, digest.update, blob.size_bytes)
    attempts = connection.attempts(job)
    while received < blob.size_bytes:
        before, pending = received, list[bytes]()
        writing = asyncio.create_task(asyncio.to_thread(_append, stream, digest.update, []))
        try:
            request = blobs_pb2.ReadBlobRequest(blob=blob, offset=received)
            async for message in connection.stream(connection.blobs.ReadBlob, request):
                pending.append(message.data)
                received += len(message.data)
                attempts.progressed()
                if len(pending) >= _BLOCK // CHUNK:  # written while the next arrive
                    await asyncio.shield(writing)
                    writing = asyncio.create_task(asyncio.to_thread(_append, stream, digest.update, pending))
                    pending = []
            if received == before:  # the blob ends before its size: the digest will not match
                break
        except grpc.aio.AioRpcError as error:
            await attempts.failed(error)
        finally:
            await writing
            await asyncio.to_thread(_append, stream, digest.update, pending)
    return digest.hexdigest()


def _hash_existing(stream: BinaryIO, update: Callable[[bytes], None], size: int) -> int:
    received = stream.seek(0, os.SEEK_END)
    if received > size:
        stream.truncate(0)
        return 0
    stream.seek(0)
    while chunk := stream.read(_BLOCK):
        update(chunk)
    return received


def _append(stream: BinaryIO, update: Callable[[bytes], None], chunks: list[bytes]) -> None:
    for chunk in chunks:
        stream.write(chunk)
        update(chunk)
