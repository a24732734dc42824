"""Bytes on their way from the store to readers: checked before they are sent, and few of them in memory at once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from anyportal_daemon.server.threads import in_thread
from anyportal_daemon.storage.blobs import CHUNK, BlobId
from anyportal_daemon.storage.checkpoints import checkpoint

READ_AHEAD = 4 * CHUNK
"""Bytes read at once: a step into a thread costs about as much as reading one chunk."""

LEAST = CHUNK // 8
"""Bytes of a step however many read at once."""

MEMORY = 32 * 1024 * 1024
"""Bytes that all readers together have in memory before each of them gets by with the least."""

_COPIES = 3
"""Of a message that is being sent: as an object, in its wire form, and in gRPC's buffer."""

_KNOWN = 2**19
"""Chunks whose digests are remembered: those of 128 GiB."""

_DIGEST = 16
"""Bytes of a chunk's digest: against damage, not against people."""


Run = Callable[..., Awaitable[bytes]]


class DamagedError(Exception):
    """What was read is not what was stored."""


class Source(Protocol):
    """Bytes of a blob."""

    def read(self, at: int, size: int) -> bytes:
        """Some of them; in order, and each once. Runs in a thread.

        Raises:
            DamagedError: they are others than they were.
        """
        ...


class WholeBlob:
    """A blob read from its beginning to its end, hashed on the way."""

    def __init__(self, file: BinaryIO, blob: BlobId) -> None:
        self._file, self._blob, self._hasher = file, blob, hashlib.sha256()

    def read(self, at: int, size: int) -> bytes:
        data = self._file.read(size)
        self._hasher.update(data)
        if at + size == self._blob.size and self._hasher.hexdigest() != self._blob.sha256:
            raise DamagedError
        return data


class PartOfBlob:
    """A blob of which any part may be read: each chunk that it touches is compared with what it has to be."""

    def __init__(self, file: BinaryIO, chunks: bytes) -> None:
        self._file, self._chunks = file, chunks

    def read(self, at: int, size: int) -> bytes:
        first, stop = at // CHUNK, -(-(at + size) // CHUNK)
        self._file.seek(first * CHUNK)
        chunks = [self._chunk(number) for number in range(first, stop)]
        skipped = at - first * CHUNK
        return (chunks[0] if len(chunks) == 1 else b"".join(chunks))[skipped : skipped + size]

    def _chunk(self, number: int) -> bytes:
        data = self._file.read(CHUNK)
        if _digest(data) != self._chunks[number * _DIGEST : (number + 1) * _DIGEST]:
            raise DamagedError
        return data


class Chunks:
    """Digests of the chunks of blobs that were found whole. They follow from a blob's name, so they are never old."""

    def __init__(self, most: int = _KNOWN) -> None:
        self._room, self._known = most * _DIGEST, dict[str, bytes]()

    async def of(self, file: BinaryIO, blob: BlobId, run: Run = in_thread) -> bytes:
        """Those of a blob; it is read as a whole where they are not known.

        Args:
            run: has a thread do it.

        Raises:
            DamagedError: it is not what it is called.
        """
        found = self._known.pop(blob.sha256, None)
        if found is None:
            found = await run(_chunks, file, blob)
            self._room -= len(found)
        self._forget(self._known.pop(blob.sha256, b""))  # of another call, which was at it as well
        self._known[blob.sha256] = found
        while self._room < 0 and len(self._known) > 1:
            self._forget(self._known.pop(next(iter(self._known))))
        return found

    def _forget(self, found: bytes) -> None:
        self._room += len(found)


def _chunks(file: BinaryIO, blob: BlobId) -> bytes:
    whole, found = hashlib.sha256(), bytearray()
    while data := file.read(CHUNK):
        checkpoint()
        whole.update(data)
        found += _digest(data)
    if whole.hexdigest() != blob.sha256:
        raise DamagedError
    return bytes(found)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:_DIGEST]


@dataclass
class _Block:
    """Bytes that are read, or are being."""

    size: int
    reading: asyncio.Task[bytes]

    @property
    def memory(self) -> int:
        return self.size + _COPIES * min(self.size, CHUNK)


class Readers:
    """All who read at once. The more of their bytes lie in memory, the smaller the steps they go on in.

    So nobody waits for another, whether or not that one ever takes what it was sent.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory, self.held = memory, 0

    async def messages(self, source: Source, at: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes from ``at`` to ``stop`` in pieces to be sent; where there is room, read ahead.

        Raises:
            DamagedError: as ``source`` does.
        """
        blocks = [self._begin(source, at, stop, CHUNK)] if at < stop else []
        try:
            while blocks:
                data = await asyncio.shield(blocks[0].reading)
                at += blocks[0].size
                step = min(2 * blocks[0].size, self._share())
                if at < stop and step >= CHUNK:
                    blocks.append(self._begin(source, at, stop, step))
                for begin in range(0, len(data), CHUNK):
                    yield data[begin : begin + CHUNK]
                del data
                self._end(blocks.pop(0))
                if at < stop and not blocks:
                    blocks.append(self._begin(source, at, stop, self._share()))
        finally:
            for block in blocks:
                self._end(block)
                await asyncio.gather(block.reading, return_exceptions=True)  # the file is not to be closed under it

    def _share(self) -> int:
        """Bytes of the next step of whoever asks."""
        return max(LEAST, min(READ_AHEAD, (self._memory - self.held) // 16))

    def _begin(self, source: Source, at: int, stop: int, size: int) -> _Block:
        end = min(stop, at + size)
        if size > CHUNK and end < stop:
            end -= end % CHUNK  # a chunk in two steps would be read twice
        block = _Block(end - at, asyncio.create_task(in_thread(source.read, at, end - at)))
        self.held += block.memory
        return block

    def _end(self, block: _Block) -> None:
        self.held -= block.memory
