"""What transfers are measured against: servers and clients that do the least there is to do. See transfer.py.

    python -m benchmarks.plain_stream FOLDER    serves until standard input ends; prints the port

One rpc sends chunks to it, one gets them. In the folder, ``hash`` says whether to hash and write (or read) files, or
to throw the bytes away (or make them up): the bare stream.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from anyportal.v1 import blobs_pb2, media_pb2

CHUNK = 256 << 10
UPLOAD, DOWNLOAD = "/plain/Upload", "/plain/Download"
OPTIONS = (("grpc.max_receive_message_length", 64 << 20),)


class Handlers(grpc.GenericRpcHandler):
    """The two rpcs, with the messages of BlobService."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def service(self, details: Any) -> Any:
        if details.method == UPLOAD:
            return grpc.stream_unary_rpc_method_handler(
                self._take, blobs_pb2.WriteBlobRequest.FromString, blobs_pb2.Upload.SerializeToString
            )
        return grpc.unary_stream_rpc_method_handler(
            self._give, blobs_pb2.ReadBlobRequest.FromString, blobs_pb2.ReadBlobResponse.SerializeToString
        )

    async def _take(self, requests: AsyncIterator[Any], context: Any) -> blobs_pb2.Upload:
        first = await anext(requests)
        if first.blob.sha256 == "bare":
            async for _ in requests:
                pass
            return blobs_pb2.Upload()
        hasher = hashlib.sha256()
        with (self._folder / "taken").open("wb") as file:
            async for request in requests:
                hasher.update(request.data)
                file.write(request.data)
        return blobs_pb2.Upload(blob=media_pb2.Blob(sha256=hasher.hexdigest()))

    async def _give(self, request: Any, context: Any) -> AsyncIterator[blobs_pb2.ReadBlobResponse]:
        if request.blob.sha256 == "bare":
            data = bytes(CHUNK)
            for _ in range(0, request.blob.size_bytes, CHUNK):
                yield blobs_pb2.ReadBlobResponse(data=data)
            return
        with (self._folder / "given").open("rb") as file:
            while data := file.read(CHUNK):
                yield blobs_pb2.ReadBlobResponse(data=data)


class PlainClient:
    """Calls to it: one loop each, nothing checked, nothing resumed."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)
        self._upload = self._channel.stream_unary(
            UPLOAD, blobs_pb2.WriteBlobRequest.SerializeToString, blobs_pb2.Upload.FromString
        )
        self._download = self._channel.unary_stream(
            DOWNLOAD, blobs_pb2.ReadBlobRequest.SerializeToString, blobs_pb2.ReadBlobResponse.FromString
        )

    async def close(self) -> None:
        await self._channel.close()

    async def upload(self, path: Path) -> None:
        """Read a file and send it; the server hashes and writes."""

        async def chunks() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
            yield blobs_pb2.WriteBlobRequest()
            with path.open("rb") as file:
                while data := file.read(CHUNK):
                    yield blobs_pb2.WriteBlobRequest(data=data)

        await self._upload(chunks())

    async def send_bare(self, size: int) -> None:
        """Send as many bytes that nobody looks at."""

        async def chunks() -> AsyncIterator[blobs_pb2.WriteBlobRequest]:
            yield blobs_pb2.WriteBlobRequest(blob=media_pb2.Blob(sha256="bare"))
            data = bytes(CHUNK)
            for _ in range(0, size, CHUNK):
                yield blobs_pb2.WriteBlobRequest(data=data)

        await self._upload(chunks())

    async def download(self, path: Path) -> str:
        """Receive a file, hash and write it."""
        hasher = hashlib.sha256()
        with path.open("wb") as file:
            async for message in self._download(blobs_pb2.ReadBlobRequest()):
                hasher.update(message.data)
                file.write(message.data)
        return hasher.hexdigest()

    async def receive_bare(self, size: int) -> None:
        """Receive as many bytes that nobody looks at."""
        request = blobs_pb2.ReadBlobRequest(blob=media_pb2.Blob(sha256="bare", size_bytes=size))
        async for _ in self._download(request):
            pass


async def serve(folder: Path) -> None:
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((Handlers(folder),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
