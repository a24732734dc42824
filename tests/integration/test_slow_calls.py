"""Calls that take long: whoever makes many of them, and leaves them, holds up neither others nor the daemon's end."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from grpc import aio

from anyportal.v1 import catalog_pb2, catalog_pb2_grpc, jobs_pb2, jobs_pb2_grpc, media_pb2
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from tests.integration.security_house import add, bearer, until_ready

HUGE = 16 * 2**30
"""Bytes of a file that nobody has to write, and that takes many seconds to read."""


async def test_calls_that_hash_and_are_left_hold_up_nobody(tmp_path: Path) -> None:
    state, footage = tmp_path / "state", tmp_path / "footage"
    state.mkdir(mode=0o700)
    footage.mkdir()
    (footage / "huge.mov").touch()
    os.truncate(footage / "huge.mov", HUGE)
    ann, bob = bearer(add(state, "ann")), bearer(add(state, "bob"))
    clip = media_pb2.ClipManifest(shared=media_pb2.SharedMedia(mapping="footage", path="huge.mov"))
    recipe = jobs_pb2.Recipe(backdrop=jobs_pb2.Backdrop(media=clip))
    asked = jobs_pb2.CreateJobRequest(
        job=jobs_pb2.Job(shot=jobs_pb2.Shot(plate=clip), recipe=recipe), validate_only=True
    )
    config = Config(Address("127.0.0.1", 0), state, mappings={"footage": footage})
    async with daemon(config) as served, aio.insecure_channel(served.address) as channel:
        jobs: jobs_pb2_grpc.JobServiceAsyncStub = jobs_pb2_grpc.JobServiceStub(channel)
        catalog: catalog_pb2_grpc.CatalogServiceAsyncStub = catalog_pb2_grpc.CatalogServiceStub(channel)
        await until_ready(channel, ann)
        for _ in range(40):
            call = jobs.CreateJob(asked, metadata=ann)
            await asyncio.sleep(0.1)
            assert not call.done(), "it hashes"
            call.cancel()
        await catalog.GetDaemon(catalog_pb2.GetDaemonRequest(), metadata=bob, timeout=10)
        left = [jobs.CreateJob(asked, metadata=ann) for _ in range(4)]
        await asyncio.sleep(0.2)
        ending = time.monotonic()
    assert time.monotonic() - ending < 15
    assert all([await call.code() is not None for call in left])
