"""A daemon whose store is too small for all that is sent to it: what nobody needs goes, whatever is needed stays."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from anyportal.v1 import media_pb2
from anyportal.v1.jobs_pb2 import Job
from tests.integration.kill_house import KillHouse

FRAMES, SIZE = 6, (64, 96)
BUDGET = 2_000_000
"""Bytes: many times what a job takes, and less than what is sent."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[KillHouse]:
    house = KillHouse(tmp_path / "state", FRAMES, SIZE, budget=BUDGET)
    yield house
    house.close()


def taken(house: KillHouse) -> int:
    """Bytes on disk of everything that counts."""
    kinds = ("blobs", "uploads", "stages")
    return sum(path.stat().st_size for kind in kinds for path in (house.state / kind).rglob("*") if path.is_file())


def age(house: KillHouse) -> None:
    """Nothing was used for an hour: what was used just now stays in any case."""
    for kind in ("blobs", "uploads", "stages"):
        for path in (house.state / kind).rglob("*"):
            if path.is_file():
                stat = path.stat()
                os.utime(path, (stat.st_atime, stat.st_mtime - 3600))


def test_jobs_go_on_under_pressure_and_what_is_needed_stays(house: KillHouse, fresh_seed: int) -> None:
    """Four times the budget is sent beside jobs: one whose result nobody has fetched, and others that were fetched."""
    rng = random.Random(fresh_seed)
    fetched, waiting = house.submit(1), house.submit(2, relight_strength=0.5)
    expected = house.digests(house.finish(fetched))
    made = {file.blob.sha256: file.blob for file in house.finish(waiting).results}
    assert not made.keys() & set(expected.values())
    sent: list[media_pb2.Blob] = []
    for number in range(20):
        age(house)
        sent.append(house.send(rng.randbytes(400_000)))
        if number % 5 == 4:  # its footage may be gone, and is then sent again
            job = house.finish(house.submit(100 + number))
            assert job.state == Job.SUCCEEDED, job.error
            assert house.digests(job) == expected
    deadline = time.monotonic() + 60
    while taken(house) > BUDGET:  # what jobs make is seen at the next count
        assert time.monotonic() < deadline
        age(house)
        house.send(rng.randbytes(1000))
    assert house.missing(sent[:10]) == sent[:10], "the oldest is gone"
    assert house.missing(list(made.values())) == []
    assert set(house.digests(house.job(waiting)).values()) == made.keys()


def test_a_store_full_of_what_is_needed_refuses_more_and_loses_nothing(house: KillHouse, fresh_seed: int) -> None:
    rng = random.Random(fresh_seed)
    kept = [house.send(rng.randbytes(400_000)) for _ in range(4)]
    with pytest.raises(grpc.RpcError) as caught:
        house.send(rng.randbytes(600_000))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "store is full" in (caught.value.details() or ""), "all of it was used just now"
    house.kill_daemon()
    assert house.missing(kept) == [] and taken(house) <= BUDGET
    for blob in kept:
        path = house.state / "blobs" / blob.sha256[:2] / blob.sha256[2:]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == blob.sha256
    age(house)
    job = house.finish(house.submit(1))
    assert job.state == Job.SUCCEEDED, job.error
    house.send(rng.randbytes(1_000_000))
    assert taken(house) <= BUDGET and house.missing(kept) != []
