"""A disk that fills up at any moment of a job: nothing that exists is harmed, and work goes on when space returns."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyportal.v1.jobs_pb2 import Job
from anyportal_core.errors import DiskFullError
from anyportal_daemon.jobs.journal import ENDED
from tests.integration.store_house import StoreHouse, fill, small_disk

ROOM = 256 * 1024
"""Bytes that a disk which fills up has left at most: some jobs get through, others end at any write of theirs."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreHouse]:
    with small_disk(tmp_path_factory.mktemp("mounted") / "disk", "16m") as mounted:
        if not mounted:
            pytest.skip("no small file system can be mounted here")
        house = StoreHouse(Path(tmp_path_factory.getbasetemp(), "mounted0", "disk"))
        yield house
        house.close()


@pytest.mark.parametrize("number", range(10))
def test_whatever_write_finds_the_disk_full_nothing_is_harmed(house: StoreHouse, number: int, fresh_seed: int) -> None:
    rng = random.Random(fresh_seed + number)
    before = house.ended(house.render(0))
    assert before.state == Job.SUCCEEDED
    undisturbed = house.digests(before)
    filler, moment = house.root / "filler", 0.7 * rng.random()
    try:
        job_id = house.render(1 + number)
        if rng.random() < 0.8:
            status = house.journal.status
            house.until(lambda: status(job_id).progress.fraction >= moment or status(job_id).state in ENDED)
        fill(house.root, rng.randrange(ROOM))
        job = house.ended(job_id)
        house.idle()
        assert house.verify() == [], "what there is, is whole"
        house.check_databases()
        assert house.digests(before) == undisturbed
        assert not list((house.root / "stages").glob("*.part")) and not list((house.root / "blobs").glob("*.part"))
        if job.state == Job.FAILED:
            assert job.error.code == "DISK_FULL", job.error
    finally:
        filler.unlink(missing_ok=True)
    if job.state == Job.FAILED:
        house.book.retry("ann", job_id)
        job = house.ended(job_id)
    assert job.state == Job.SUCCEEDED, job.error
    assert house.digests(job) == undisturbed
    house.book.delete("ann", job_id)
    house.keeper.prune()


@pytest.mark.parametrize("number", range(10))
def test_an_upload_that_finds_the_disk_full_goes_on_where_it_was(
    house: StoreHouse, number: int, fresh_seed: int
) -> None:
    rng = random.Random(fresh_seed + number)
    data, room = rng.randbytes(600_000), rng.randrange(600_000)
    fill(house.root, room)
    try:
        with pytest.raises(DiskFullError):
            house.send(data)
            house.send(rng.randbytes(600_000))
        assert house.verify() == []
    finally:
        (house.root / "filler").unlink()
    blob = house.send(data)
    with house.store.open("ann", blob) as file:
        assert file.read() == data
    house.check_databases()
    house.keeper.prune()


def test_what_nobody_needs_makes_room_on_a_disk_without_a_byte_left(house: StoreHouse, fresh_seed: int) -> None:
    idle = house.send(random.Random(fresh_seed).randbytes(1_500_000))
    fill(house.root, 0)
    try:
        with pytest.raises(DiskFullError):
            house.send(random.Random(fresh_seed + 1).randbytes(300_000))
        house.keeper.trim()
        assert house.store.missing("ann", [idle]) == [idle]
        house.send(random.Random(fresh_seed + 1).randbytes(300_000))
        assert house.verify() == []
    finally:
        (house.root / "filler").unlink()
    house.check_databases()
    house.keeper.prune()
