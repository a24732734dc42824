"""A daemon that several people fill: each has their part of it, in numbers that they are told."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode, aio

from anyportal.v1 import blobs_pb2, blobs_pb2_grpc, media_pb2
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from tests.integration.security_house import add, bearer

MIB = 2**20


async def send(blobs: Any, token: str, size: int, content: bytes, begun: bool = False) -> blobs_pb2.Upload:
    """One upload of so many MiB; of one that is only ``begun``, the first message."""
    data = content * (size * MIB // len(content))
    blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))

    async def messages() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
        for offset in range(0, len(data), MIB):
            part = data[offset : offset + MIB]
            yield blobs_pb2.WriteBlobRequest(blob=blob if offset == 0 else None, data=part)
            if begun:
                break

    found: blobs_pb2.Upload = await blobs.WriteBlob(messages(), metadata=bearer(token))
    return found


async def test_one_user_does_not_fill_the_store_for_all(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    ann, bob = add(state, "ann"), add(state, "bob")
    config = Config(Address("127.0.0.1", 0), state, budget=16 * MIB)
    async with daemon(config) as served, aio.insecure_channel(served.address) as channel:
        blobs: Any = blobs_pb2_grpc.BlobServiceStub(channel)
        assert (await send(blobs, ann, 6, b"a")).complete
        with pytest.raises(aio.AioRpcError) as caught:
            await send(blobs, ann, 3, b"b", begun=True)  # who goes on speaking may miss why he is refused
        assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED
        assert "0.01 GiB of at most 0.01 GiB (50% of 0.02 GiB)" in str(caught.value.details())
        metadata = dict(caught.value.trailing_metadata() or ())
        status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])  # type: ignore[arg-type]
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info) and len(status.details) == 1, "to try again would be no use"
        assert info.reason == "DISK_FULL" and "delete jobs" in info.metadata["hint"]

        assert (await send(blobs, bob, 7, b"c")).complete, "it is there for others"
        served.upkeep.reload(replace(config, user_share=0.6))
        assert (await send(blobs, ann, 3, b"b")).complete


async def test_the_owner_has_all_of_it(tmp_path: Path) -> None:
    config = Config(Address("127.0.0.1", 0), tmp_path / "state", budget=16 * MIB)
    async with daemon(config) as served, aio.insecure_channel(served.address) as channel:
        assert (await send(blobs_pb2_grpc.BlobServiceStub(channel), served.token, 12, b"o")).complete
