"""What readers get is what was stored, whichever part they ask for, and those that stop take next to no memory."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyportal.v1 import blobs_pb2, media_pb2
from anyportal_daemon.errors import BlobCorruptError
from anyportal_daemon.security.users import Principal, let_in
from anyportal_daemon.server.blobs import BlobService
from anyportal_daemon.server.reading import LEAST, MEMORY, Chunks, DamagedError, PartOfBlob, Readers, Source, WholeBlob
from anyportal_daemon.storage.blobs import CHUNK, BlobId
from anyportal_daemon.storage.disk import DiskBlobStore

DATA = random.Random(7).randbytes(9 * CHUNK + 1234)
BLOB = BlobId(hashlib.sha256(DATA).hexdigest(), len(DATA))


async def part(readers: Readers, at: int, stop: int) -> bytes:
    file = io.BytesIO(DATA)
    source = PartOfBlob(file, await Chunks().of(file, BLOB))
    return b"".join([message async for message in readers.messages(source, at, stop)])


PLACES = st.integers(0, len(DATA)) | st.sampled_from([0, CHUNK - 1, CHUNK, CHUNK + 1, 8 * CHUNK, len(DATA) - 1])


@settings(max_examples=30, deadline=None)
@given(at=PLACES, stop=PLACES, memory=st.sampled_from([0, 20 * CHUNK, MEMORY]))
def test_any_part_is_that_part_in_steps_of_any_size(at: int, stop: int, memory: int) -> None:
    at, stop = sorted((at, stop))
    readers = Readers(memory)
    assert asyncio.run(part(readers, at, stop)) == DATA[at:stop]
    assert readers.held == 0


@pytest.mark.parametrize("size", [0, 1, CHUNK, len(DATA)])
async def test_a_whole_blob_is_read_once(size: int) -> None:
    data = DATA[:size]
    source = WholeBlob(io.BytesIO(data), BlobId(hashlib.sha256(data).hexdigest(), size))
    assert b"".join([message async for message in Readers().messages(source, 0, size)]) == data


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[BlobService]:
    store = DiskBlobStore(tmp_path)
    upload = store.receive("ann", BLOB, 0)
    upload.write(DATA)
    assert upload.finish()
    upload.close()
    let_in(Principal("ann"))
    yield BlobService(store)
    store.close()


async def read(service: BlobService, at: int, size: int) -> bytes:
    wire = media_pb2.Blob(sha256=BLOB.sha256, size_bytes=BLOB.size)
    request = blobs_pb2.ReadBlobRequest(blob=wire, offset=at, limit_bytes=size)
    return b"".join([part.data async for part in service.ReadBlob(request, None)])  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [0, 3 * CHUNK + 5, len(DATA) - 1])
async def test_a_bit_that_flips_after_a_part_was_read_is_never_served(
    service: BlobService, tmp_path: Path, place: int
) -> None:
    """Not even a moment later; parts that it does not lie in are good."""
    assert await read(service, place, 1) == DATA[place : place + 1]
    [path] = tmp_path.glob("blobs/??/*")
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([DATA[place] ^ 4]))
    assert await read(service, 6 * CHUNK, 100) == DATA[6 * CHUNK : 6 * CHUNK + 100]
    with pytest.raises(BlobCorruptError):
        await read(service, max(place - 10, 0), 20)
    assert not path.exists(), "it is missing from now on"


async def test_digests_of_chunks_are_forgotten_when_they_are_many() -> None:
    chunks = Chunks(most=3)
    blobs = [bytes([number]) * (CHUNK + 1) for number in range(3)]
    ids = [BlobId(hashlib.sha256(data).hexdigest(), len(data)) for data in blobs]
    for data, blob in zip(blobs, ids, strict=True):
        await chunks.of(io.BytesIO(data), blob)
    await chunks.of(io.BytesIO(b"not read"), ids[2])
    with pytest.raises(DamagedError):
        await chunks.of(io.BytesIO(b"read again"), ids[0])


class Endless:
    def read(self, at: int, size: int) -> bytes:
        return bytes(size)


async def test_readers_that_stop_take_little_and_hold_up_nobody() -> None:
    readers, source, end = Readers(), Endless(), 1 << 40
    stalled = []
    for _ in range(400):
        messages = readers.messages(source, 0, end)
        for _ in range(12):
            await anext(messages)
        stalled.append(messages)
    assert readers.held <= MEMORY + 400 * 4 * LEAST
    one: Source = WholeBlob(io.BytesIO(DATA), BLOB)
    assert b"".join([message async for message in readers.messages(one, 0, len(DATA))]) == DATA
    for messages in stalled:
        await messages.aclose()
    assert readers.held == 0
