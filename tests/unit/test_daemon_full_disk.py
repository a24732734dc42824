"""A state directory on a disk that fills up while a job runs: a real, small file system."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from anyportal.v1.jobs_pb2 import Job
from anyportal_core.errors import DiskFullError
from anyportal_daemon.storage.ballast import PORTION, SIZE, Ballast
from tests.unit.daemon_house import House

MIB = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Leave not a byte."""
    with path.open("ab", buffering=0) as file:
        try:
            while file.write(bytes(65536)):
                pass
        except OSError:
            pass


def test_a_job_ends_on_a_full_disk_and_work_goes_on_when_space_returns(small_disk: Path) -> None:
    house = House(small_disk)
    try:
        job, queued = house.submit(200), house.submit(4)
        house.until(lambda: house.journal.status(job).progress.fraction > 0)
        fill(small_disk / "filler")
        house.until(lambda: house.state(job) == Job.FAILED, seconds=10)
        assert house.journal.job("ann", job).error.code == "DISK_FULL"
        fill(small_disk / "filler")
        with pytest.raises(DiskFullError):
            house.submit(4)
        house.until(lambda: house.state(queued) == Job.FAILED)
        assert house.journal.job("ann", queued).error.code == "DISK_FULL"
        assert not list((small_disk / "scratch").glob("*"))
        (small_disk / "filler").unlink()
        house.book.retry("ann", queued)
        house.until(lambda: house.state(queued) == Job.SUCCEEDED)
    finally:
        house.close()


def test_ballast_is_held_dropped_and_held_again(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path)
    assert not ballast.drop()
    assert ballast.hold() and ballast.hold()
    assert (tmp_path / "ballast").stat().st_size == SIZE
    assert ballast.drop()
    assert (tmp_path / "ballast").stat().st_size == SIZE - PORTION
    assert ballast.hold()
    assert (tmp_path / "ballast").stat().st_size == SIZE
    assert sum(iter(ballast.drop, False)) == SIZE // PORTION
    assert not list(tmp_path.iterdir())


def test_ballast_leaves_a_small_disk_room(small_disk: Path) -> None:
    assert Ballast(small_disk).hold()
    assert (small_disk / "ballast").stat().st_size == MIB // 2
    assert all(iter(Ballast(small_disk).drop, False))
    fill(small_disk / "filler")
    assert not Ballast(small_disk).hold(), "what space there is, is not the ballast's"


def test_a_worker_that_dies_on_a_full_disk_is_not_called_lost(small_disk: Path) -> None:
    house = House(small_disk)
    try:
        job = house.submit(200)
        house.until(lambda: house.journal.status(job).progress.fraction > 0)
        worker = psutil.Process(house.supervisor.status.pid)
        worker.suspend()
        fill(small_disk / "filler")
        worker.kill()
        house.until(lambda: house.state(job) == Job.FAILED)
        assert house.journal.job("ann", job).error.code == "DISK_FULL"
    finally:
        house.close()
