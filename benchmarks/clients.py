"""Many clients at once, each submitting and watching a few small jobs: errors, lost or doubled events, server memory.

    python -m benchmarks.clients [--clients 200] [--jobs 5] [--frames 2]

Starts a daemon as users do. Every client has a connection of its own, submits its jobs and watches all of them to
their end at the same time. Checked: every job succeeds; every log is numbered from 1 without a gap and holds each
number once; asked for again from a random number it goes on exactly there. The server's resident memory is read as each
client ends: it is to be flat from a quarter of the clients to all of them. Prints and keeps one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import psutil
from grpc import aio

from anyportal.v1 import blobs_pb2, blobs_pb2_grpc, catalog_pb2, catalog_pb2_grpc, jobs_pb2, jobs_pb2_grpc, media_pb2
from anyportal.v1.jobs_pb2 import Job

RESULTS = Path(__file__).parent / "results"
GROWTH_LIMIT = 1.10
WIDTH, HEIGHT = 96, 64


@dataclass
class Tally:
    """What happened."""

    succeeded: int = 0
    events: int = 0
    troubles: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    """The server's resident bytes as each client ended."""


class Daemon:
    """A daemon process with a state directory of its own."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--state", str(state)]
        self._process = subprocess.Popen(
            [*command, "--json", "--stop-with-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.address = json.loads(self._process.stdout.readline())["address"]
        token = json.loads((state / "daemon.json").read_text("utf-8"))["token"]
        self.metadata = (("authorization", f"Bearer {token}"),)
        self._seen = psutil.Process(self._process.pid)

    @property
    def memory(self) -> int:
        return int(self._seen.memory_info().rss)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


class Client:
    """One connection, as a client has it."""

    def __init__(self, daemon: Daemon) -> None:
        self._metadata = daemon.metadata
        options = [("grpc.use_local_subchannel_pool", 1)]  # else all of this process share one connection
        self._channel = aio.insecure_channel(daemon.address, options)
        self._blobs: Any = blobs_pb2_grpc.BlobServiceStub(self._channel)
        self._jobs: Any = jobs_pb2_grpc.JobServiceStub(self._channel)
        self._catalog: Any = catalog_pb2_grpc.CatalogServiceStub(self._channel)

    async def ready(self) -> None:
        while True:
            try:
                await self._catalog.GetDaemon(catalog_pb2.GetDaemonRequest(), metadata=self._metadata)
                return
            except aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.1)

    async def upload(self, data: bytes) -> media_pb2.Blob:
        blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))

        async def messages() -> Any:
            yield blobs_pb2.WriteBlobRequest(blob=blob, data=data)

        await self._blobs.WriteBlob(messages(), metadata=self._metadata)
        return blob

    async def work(self, jobs: list[Job], tally: Tally) -> None:
        """Submit jobs and watch them all to their end."""
        created = [await self._create(job) for job in jobs]
        await asyncio.gather(*(self._follow(job.name, tally) for job in created))
        await self.close()

    async def close(self) -> None:
        await self._channel.close()

    async def _create(self, job: Job) -> Job:
        request = jobs_pb2.CreateJobRequest(job=job, request_id=f"{random.getrandbits(128):x}")
        created: Job = await self._jobs.CreateJob(request, metadata=self._metadata)
        return created

    async def _follow(self, name: str, tally: Tally) -> None:
        seen = [event async for event in self._watch(name, 0)]
        numbers = [event.sequence for event in seen]
        if numbers != list(range(1, len(numbers) + 1)):
            tally.troubles.append(f"{name}: events {numbers}")
        if not seen or seen[-1].state.state != Job.SUCCEEDED:
            tally.troubles.append(f"{name}: {seen[-1] if seen else 'no event'}")
            return
        cut = random.randrange(len(seen))
        again = [event.sequence async for event in self._watch(name, cut)]
        if again != numbers[cut:]:
            tally.troubles.append(f"{name}: from {cut} the events {again}")
        tally.succeeded += 1
        tally.events += len(seen)

    async def _watch(self, name: str, after: int) -> Any:
        """A job's events, without the messages in between that only tell its outlook."""
        request = jobs_pb2.WatchJobRequest(name=name, after_sequence=after)
        async for event in self._jobs.WatchJob(request, metadata=self._metadata):
            if event.WhichOneof("event"):
                yield event


def pictures() -> tuple[bytes, bytes]:
    """A frame and its matte as PNG."""
    image = np.random.default_rng(3).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    matte = np.zeros_like(image)
    matte[16:48, 32:64] = 255
    plate, alpha = (cv2.imencode(".png", each)[1].tobytes() for each in (image, matte))
    return plate, alpha


def small_job(plate: media_pb2.Blob, matte: media_pb2.Blob, frames: int, seed: int) -> Job:
    def clip(name: str, blob: media_pb2.Blob) -> media_pb2.ClipManifest:
        listed = [media_pb2.SequenceFrame(number=number, blob=blob) for number in range(frames)]
        return media_pb2.ClipManifest(sequence=media_pb2.FrameSequence(pattern=f"{name}.%04d.png", frames=listed))

    shot = jobs_pb2.Shot(plate=clip("plate", plate), matte=clip("matte", matte))
    recipe = jobs_pb2.Recipe(backdrop=jobs_pb2.Backdrop(colour=f"#{seed:06x}"), seed=seed)
    return Job(shot=shot, recipe=recipe)


async def crowd(daemon: Daemon, clients: int, jobs: int, frames: int) -> Tally:
    """All clients at once."""
    tally = Tally()
    first = Client(daemon)
    await first.ready()
    plate, matte = [await first.upload(data) for data in pictures()]
    await first.close()

    async def one(number: int) -> None:
        own = [small_job(plate, matte, frames, number * jobs + index) for index in range(jobs)]
        try:
            await Client(daemon).work(own, tally)
        except aio.AioRpcError as error:
            tally.troubles.append(f"client {number}: {error.code()} {error.details()}")
        tally.memory.append(daemon.memory)

    await asyncio.gather(*map(one, range(clients)))
    return tally


def measure(clients: int, jobs: int, frames: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder))
        try:
            begun = time.monotonic()
            tally = asyncio.run(crowd(daemon, clients, jobs, frames))
            seconds = time.monotonic() - begun
        finally:
            daemon.stop()
    early, late = tally.memory[clients // 4 - 1], tally.memory[-1]
    return {
        "clients": clients,
        "jobs_of_each": jobs,
        "frames": frames,
        "seconds": round(seconds, 1),
        "succeeded": tally.succeeded,
        "events": tally.events,
        "troubles": tally.troubles,
        "server_mib": {"quarter": round(early / 2**20, 1), "all": round(late / 2**20, 1)},
        "growth": round(late / early, 3),
        "goals": {"troubles": 0, "growth": GROWTH_LIMIT},
        "machine": {"python": platform.python_version(), "cpus": os.cpu_count(), "system": platform.platform()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--frames", type=int, default=2)
    asked = parser.parse_args()
    found = measure(asked.clients, asked.jobs, asked.frames)
    text = json.dumps(found, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"clients_{asked.clients}.json").write_text(text + "\n", "utf-8")
    print(text)
    sys.exit(1 if found["troubles"] or found["growth"] > GROWTH_LIMIT else 0)


if __name__ == "__main__":
    main()
