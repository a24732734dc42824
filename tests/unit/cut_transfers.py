"""Transfers over a connection that is cut at random bytes, measured: what is sent again, and what was under way."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyportal.v1 import blobs_pb2, media_pb2
from anyportal_client.channel import Connection
from anyportal_client.discovery import Endpoint
from anyportal_client.retry import Backoff
from anyportal_client.transfers import CHUNK, aside_of, download, upload
from tests.unit.client_fakes import CuttingProxy

HASTY = Backoff(first=0.01, most=0.2)


@dataclass
class Cuts:
    """What was counted.

    Args:
        made: cuts.
        again: each time a transfer went on, bytes that were sent a second time.
        under_way: each time, bytes that had been sent, and were not kept by the other side at the cut before.
        wire_bytes: that went over the connection, both ways, headers and all.
    """

    made: int = 0
    again: list[int] = field(default_factory=list)
    under_way: list[int] = field(default_factory=list)
    wire_bytes: int = 0

    @property
    def within_bounds(self) -> bool:
        """Whether never more was sent again than one chunk and what was under way."""
        return all(again <= way + CHUNK for again, way in zip(self.again, self.under_way, strict=True))


class Counted(Connection):
    """A connection that writes down where each transfer begins and how far it gets, and what was kept at each cut."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint, HASTY)
        self.found = Cuts()
        self.kept: list[int] = []
        self._reached: int | None = None

    async def send(self, method: Any, requests: Any) -> Any:
        async def counted() -> Any:
            async for request in requests:
                if request.HasField("blob"):
                    self._begin(request.offset)
                yield request
                self._reach(len(request.data))  # only now has gRPC taken it

        return await super().send(method, counted())

    async def stream(self, method: Any, request: Any) -> Any:
        if isinstance(request, blobs_pb2.ReadBlobRequest):
            self._begin(request.offset)
        async for message in super().stream(method, request):
            if isinstance(message, blobs_pb2.ReadBlobResponse):
                self._reach(len(message.data))
            yield message

    def _begin(self, offset: int) -> None:
        if self._reached is not None:
            self.found.again.append(self._reached - offset)
            kept = [self.kept.pop(0) for _ in range(len(self.kept))]
            self.found.under_way.append(self._reached - max(kept, default=offset))
        self._reached = offset

    def _reach(self, count: int) -> None:
        assert self._reached is not None
        self._reached += count


async def cut_upload(endpoint: Endpoint, state: Path, folder: Path, size: int, seed: int, cuts: int, most: int) -> Cuts:
    """Upload random bytes to the daemon of a state directory, with so many cuts, at most ``most`` bytes apart.

    What the daemon has kept at a cut is asked of its disk.
    """
    data = random.Random(seed).randbytes(size)
    source = folder / f"source{seed}"
    source.write_bytes(data)
    blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=size)
    kept: list[int] = []

    def at_cut() -> None:
        parts = list(state.glob(f"uploads/*/{blob.sha256}.*"))
        kept.append(parts[0].stat().st_size if parts else 0)

    proxy = CuttingProxy(port_of(endpoint), seed, cuts, most, at_cut)
    connection = Counted(Endpoint(proxy.address, endpoint.token))
    connection.kept = kept
    await upload(connection, source, blob)
    await connection.close()
    proxy.stop()
    connection.found.made, connection.found.wire_bytes = proxy.made, proxy.passed
    return connection.found


async def cut_download(
    endpoint: Endpoint, sha256: str, size: int, folder: Path, seed: int, cuts: int, most: int
) -> Cuts:
    """Fetch a blob with so many cuts, at most ``most`` bytes apart. What has arrived is kept."""
    target = folder / f"target{seed}"
    proxy = CuttingProxy(port_of(endpoint), seed, cuts, most)
    connection = Counted(Endpoint(proxy.address, endpoint.token))
    await download(connection, media_pb2.Blob(sha256=sha256, size_bytes=size), target)
    await connection.close()
    proxy.stop()
    assert hashlib.sha256(target.read_bytes()).hexdigest() == sha256 and not aside_of(target, sha256).exists()
    connection.found.made, connection.found.wire_bytes = proxy.made, proxy.passed
    return connection.found


def port_of(endpoint: Endpoint) -> int:
    return int(endpoint.address.rpartition(":")[2])
