"""BlobService: bytes in and out of the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import BinaryIO, NoReturn, Protocol, Self, TypeVar

from anyportal.v1 import blobs_pb2, blobs_pb2_grpc, media_pb2
from anyportal_daemon.errors import BlobCorruptError, BlobError, BlobNotFoundError, ReadOffsetError
from anyportal_daemon.security.users import Principal, caller, calling
from anyportal_daemon.server.guard import Context
from anyportal_daemon.server.reading import Chunks, DamagedError, PartOfBlob, Readers, Source, WholeBlob
from anyportal_daemon.server.threads import SlowWork, in_thread
from anyportal_daemon.storage.blobs import AGAIN, CHUNK, BlobId, BlobStore, Upload
from anyportal_daemon.storage.rooms import Room, RoomedUpload

MAX_BLOBS = 10_000
MAX_DATA = 1024 * 1024
WAITING = 4 * CHUNK
"""Bytes of an upload that wait while others are written: a step into a thread costs about as much as a chunk."""


class BlobService(blobs_pb2_grpc.BlobServiceServicer):
    """See blobs.proto. All file work happens in threads.

    Args:
        reserve: called before so many bytes of a user's are taken in, for the room; raises where the store has none.
        spoilt: called with the digest of a blob that was damaged and is gone.
        slow: does what has to read whole files.
    """

    def __init__(
        self,
        store: BlobStore,
        reserve: Callable[[int, str], Room] = lambda size, user: Room(size),
        spoilt: Callable[[str], None] = lambda sha256: None,
        slow: SlowWork | None = None,
    ) -> None:
        self._store, self._reserve, self._spoilt = store, reserve, spoilt
        self._readers, self._chunks, self._slow = Readers(), Chunks(), slow or SlowWork()

    async def FindMissingBlobs(
        self, request: blobs_pb2.FindMissingBlobsRequest, context: Context
    ) -> blobs_pb2.FindMissingBlobsResponse:
        if len(request.blobs) > MAX_BLOBS:
            hint = f"ask for at most {MAX_BLOBS} at once"
            raise BlobError(f"{len(request.blobs)} blobs at once", where="blobs", hint=hint)
        blobs = [_id(blob, f"blobs[{index}]") for index, blob in enumerate(request.blobs)]
        missing = await in_thread(self._store.missing, caller(), blobs)
        return blobs_pb2.FindMissingBlobsResponse(missing=[_message(blob) for blob in missing])

    async def GetUpload(self, request: blobs_pb2.GetUploadRequest, context: Context) -> blobs_pb2.Upload:
        return await in_thread(self._upload, caller(), _id(request.blob, "blob"))

    async def WriteBlob(
        self, request_iterator: AsyncIterator[blobs_pb2.WriteBlobRequest], context: Context
    ) -> blobs_pb2.Upload:
        first = await anext(request_iterator, None)
        if first is None:
            raise BlobError("the first message names no blob", where="blob")
        user, blob = caller(), _id(first.blob, "blob")
        # What has come of it before is hashed again.
        opening = partial(self._receive, user, blob, first.offset)
        async with _opened(partial(self._slow.run, user), opening) as upload:
            async with _Writing(upload.write) as writing:
                await writing.take(_data(first))
                async for message in request_iterator:
                    await writing.take(_data(message))
            await in_thread(upload.finish)
        return await in_thread(self._upload, user, blob)

    async def ReadBlob(
        self, request: blobs_pb2.ReadBlobRequest, context: Context
    ) -> AsyncIterator[blobs_pb2.ReadBlobResponse]:
        blob = _id(request.blob, "blob")
        if not 0 <= request.offset <= blob.size or request.limit_bytes < 0:
            raise ReadOffsetError(f"{request.offset} is outside of {blob.size} bytes", where="offset")
        stop = min(blob.size, request.offset + request.limit_bytes) if request.limit_bytes else blob.size
        try:
            async with _opened(in_thread, partial(self._open, calling(), blob)) as file:
                source = await self._source(file, blob, (request.offset, stop))
                async with aclosing(self._readers.messages(source, request.offset, stop)) as messages:
                    async for data in messages:
                        yield blobs_pb2.ReadBlobResponse(data=data)
        except DamagedError:
            await self._damaged(blob)
        if stop == blob.size and request.offset < max(stop, 1):  # to ask for nothing is not to have it
            await in_thread(self._store.fetched, caller(), blob)

    def _open(self, principal: Principal, blob: BlobId) -> BinaryIO:
        """The caller's blob, or a result of somebody's job where the caller sees everybody's. Footage is its user's."""
        try:
            return self._store.open(principal.user, blob)
        except BlobNotFoundError:
            maker = self._store.maker(blob.sha256) if principal.sees_all else None
            if maker is None:
                raise
            return self._store.open(maker, blob)

    def _receive(self, user: str, blob: BlobId, offset: int) -> Upload:
        room = self._reserve(max(blob.size - offset, 0), user)
        try:
            return RoomedUpload(self._store.receive(user, blob, offset), room)
        except BaseException:
            room.close()
            raise

    async def _source(self, file: BinaryIO, blob: BlobId, part: tuple[int, int]) -> Source:
        if part == (0, blob.size):
            return WholeBlob(file, blob)
        return PartOfBlob(file, await self._chunks.of(file, blob, partial(self._slow.run, caller())))

    async def _damaged(self, blob: BlobId) -> NoReturn:
        await in_thread(self._store.damaged, blob)
        await in_thread(self._spoilt, blob.sha256)
        raise BlobCorruptError("the stored bytes are damaged", where=blob.sha256, hint=AGAIN)

    def _upload(self, user: str, blob: BlobId) -> blobs_pb2.Upload:
        complete = not self._store.missing(user, [blob])
        committed = self._store.committed(user, blob)
        return blobs_pb2.Upload(blob=_message(blob), committed_bytes=committed, complete=complete)


class _Writing:
    """Writes messages in a thread while more of them arrive. When the block ends, however, what arrived is written."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._waiting: list[bytes] = []
        self._running: asyncio.Task[None] | None = None

    async def take(self, data: bytes) -> None:
        """Returns at once while little waits; raises what went wrong with earlier ones."""
        self._waiting.append(data)
        if self._running and (self._running.done() or sum(map(len, self._waiting)) >= WAITING):
            await self._settle()
        if self._waiting and not self._running:
            self._running = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        while self._waiting:
            messages, self._waiting = self._waiting, []
            await in_thread(self._write_all, messages)

    def _write_all(self, messages: list[bytes]) -> None:
        for data in messages:
            self._write(data)

    async def _settle(self) -> None:
        """Wait for what is being written. After an error nothing more is: it would leave a hole."""
        if self._running:
            try:
                await asyncio.shield(self._running)
            except Exception:
                self._running, self._waiting = None, []
                raise
            self._running = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._settle()
        await self._drain()


class _Closable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closable)


@asynccontextmanager
async def _opened(
    run: Callable[[Callable[[], None]], Awaitable[None]], open: Callable[[], Opened]
) -> AsyncIterator[Opened]:
    """What a thread opens; closed again even when the rpc is cancelled while the thread is at it.

    Args:
        run: has a thread do something, and is not over before that is.
    """
    opened: list[Opened] = []
    try:
        await run(lambda: opened.append(open()))
        yield opened[0]
    finally:
        for each in opened:  # a task of its own: of one that is cancelled threads never do what they have not begun
            await asyncio.shield(asyncio.create_task(in_thread(each.close)))


def _data(message: blobs_pb2.WriteBlobRequest) -> bytes:
    if len(message.data) > MAX_DATA:
        hint = f"send at most {MAX_DATA} at once; {CHUNK} is a good size"
        raise BlobError(f"a message of {len(message.data)} bytes", where="data", hint=hint)
    return message.data


def _id(blob: media_pb2.Blob, field: str) -> BlobId:
    try:
        return BlobId(blob.sha256, blob.size_bytes)
    except BlobError as error:
        raise BlobError(error.message, where=field, hint=error.hint) from None


def _message(blob: BlobId) -> media_pb2.Blob:
    return media_pb2.Blob(sha256=blob.sha256, size_bytes=blob.size)
