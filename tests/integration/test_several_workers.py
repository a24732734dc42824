"""Several workers at once: who gets what, what becomes of it, and what the death of one leaves alone."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from grpc import aio

from anyportal.v1 import catalog_pb2, catalog_pb2_grpc
from anyportal.v1.jobs_pb2 import Job
from anyportal_client.messages import DaemonInfo
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from anyportal_daemon.jobs.journal import ENDED
from anyportal_daemon.jobs.scheduler import Rules
from anyportal_daemon.worker.lifetime import divide_processors
from anyportal_daemon.worker.limits import Limits
from anyportal_daemon.worker.memory import resident_budget
from tests.unit.daemon_children import DiesAfter, HeldAt, finds_two
from tests.unit.daemon_house import House

COUNT = 6


def results(house: House, job_id: str) -> dict[str, str]:
    """The job's files and their digests; the bytes are in the store."""
    found = {file.filename: file.blob.sha256 for file in house.journal.job("ann", job_id).results}
    for digest in found.values():
        assert hashlib.sha256(house.store.files.path(digest).read_bytes()).hexdigest() == digest
    return found


def running(house: House) -> Sequence[str]:
    return [status.job.removeprefix("jobs/") for status in house.workers.statuses if status.job]


def attempts(house: House, job_id: str) -> int:
    return house.journal.job("ann", job_id).attempts


def work_dry(house: House, jobs: Sequence[str]) -> None:
    house.until(lambda: all(house.state(job) in ENDED for job in jobs), 120)
    assert [house.state(job) for job in jobs] == [Job.SUCCEEDED] * len(jobs)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Sequence[dict[str, str]]:
    """What one worker makes of jobs of so many frames."""
    house = House(tmp_path_factory.mktemp("alone"))
    try:
        jobs = [house.submit_with_motion(8 + number) for number in range(COUNT)]
        work_dry(house, jobs)
        return [results(house, job) for job in jobs]
    finally:
        house.close()


def test_two_workers_make_the_bytes_of_one_though_one_is_killed(
    tmp_path: Path, alone: Sequence[dict[str, str]]
) -> None:
    house = House(tmp_path, DiesAfter(1_000_000, pause=0.05), devices=("cpu", "cpu"))
    try:
        house.until(lambda: [status.state for status in house.workers.statuses] == ["ready"] * 2)
        first, second = house.workers.statuses
        jobs = [house.submit_with_motion(8 + number) for number in range(COUNT)]
        house.until(lambda: len(running(house)) == 2)
        assert len(set(running(house))) == 2, "each has a job of its own"
        (victim,) = [status for status in house.workers.statuses if status.name == "worker-1"]
        psutil.Process(victim.pid).kill()
        work_dry(house, jobs)
        assert [results(house, job) for job in jobs] == alone
        assert house.workers.statuses[0].pid != first.pid
        assert house.workers.statuses[1].pid == second.pid, "the other went on"
        lost = [job for job in jobs if house.journal.job("ann", job).workers_lost]
        assert lost == [victim.job.removeprefix("jobs/")]
        assert sum(attempts(house, job) for job in jobs) == COUNT + 1, "no job was begun twice but the lost one"
        assert not [*tmp_path.glob("stages/*.part"), *tmp_path.glob("blobs/*.part"), *tmp_path.glob("scratch/*")]
    finally:
        house.close()


def test_two_jobs_that_want_the_same_stages_at_once_get_the_same(tmp_path: Path) -> None:
    house = House(tmp_path, devices=("cpu", "cpu"))
    try:
        house.until(lambda: [status.state for status in house.workers.statuses] == ["ready"] * 2)
        jobs = [house.submit_with_motion(12) for _ in range(2)]
        house.until(lambda: len(running(house)) == 2 or all(house.state(job) in ENDED for job in jobs))
        work_dry(house, jobs)
        one, other = (results(house, job) for job in jobs)
        assert one == other
    finally:
        house.close()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[House]:
    """Two workers, each of which stays with its job until that is cancelled; a user may have one."""
    house = House(tmp_path, HeldAt("matte", "patient"), devices=("cpu", "cpu"), rules=Rules(running=1))
    house.until(lambda: [status.state for status in house.workers.statuses] == ["ready"] * 2)
    yield house
    house.close()


def submit_for_bob(house: House) -> str:
    house.user = "bob"
    return house.submit(2)


def test_a_users_limit_counts_over_all_workers(held: House) -> None:
    first, second = held.submit(2), held.submit(2)
    held.until(lambda: running(held) == [first])
    other = submit_for_bob(held)
    held.until(lambda: set(running(held)) == {first, other})
    assert held.state(second) == Job.QUEUED
    held.book.cancel("ann", first)
    held.until(lambda: set(running(held)) == {second, other})
    assert held.state(first) == Job.CANCELLED, "the others were let be"


def test_all_workers_are_drained_at_once(held: House) -> None:
    first, other = held.submit(2), submit_for_bob(held)
    held.until(lambda: set(running(held)) == {first, other})
    pids = [status.pid for status in held.workers.statuses]
    held.workers.stop()
    assert not any(map(psutil.pid_exists, pids))
    assert [held.state(job) for job in (first, other)] == [Job.QUEUED] * 2


def test_the_first_child_finds_the_devices_and_the_others_follow(tmp_path: Path) -> None:
    house = House(tmp_path, finds_two, devices=())
    try:
        assert [status.device for status in house.workers.statuses] == [""]
        house.until(lambda: [status.state for status in house.workers.statuses] == ["ready"] * 2)
        assert [(status.name, status.device) for status in house.workers.statuses] == [
            ("worker-1", "cuda:0"),
            ("worker-2", "cuda:1"),
        ]
        psutil.Process(house.workers.statuses[0].pid).kill()
        pid = house.workers.statuses[0].pid
        house.until(lambda: house.workers.statuses[0].pid not in (0, pid) and house.scheduler.workers() == 2)
        assert [status.device for status in house.workers.statuses] == ["cuda:0", "cuda:1"]
    finally:
        house.close()


def test_a_device_that_is_not_there_is_told_of_and_keeps_nobody_from_working(tmp_path: Path) -> None:
    house = House(tmp_path, devices=("cpu", "cuda:99"))
    try:
        house.until(lambda: "there is no cuda:99" in house.workers.statuses[1].trouble)
        job = house.submit(2)
        work_dry(house, [job])
        assert house.scheduler.workers() == 1
        assert house.workers.statuses[1].state in ("dead", "starting")
        events, _ = house.journal.events("ann", job, 0, 1000)
        assert not [event for event in events if "cannot start" in event.log.text]
    finally:
        house.close()


def test_everybody_is_told_of_every_worker(tmp_path: Path) -> None:
    async def ask() -> DaemonInfo:
        config = Config(Address("127.0.0.1", 0), tmp_path, worker=Limits(devices=("cpu", "cpu")))
        async with daemon(config) as found, aio.insecure_channel(found.address) as channel:
            catalog: Any = catalog_pb2_grpc.CatalogServiceStub(channel)  # type: ignore[no-untyped-call]
            token = (("authorization", f"Bearer {found.token}"),)
            while True:
                try:
                    info = DaemonInfo.of(await catalog.GetDaemon(catalog_pb2.GetDaemonRequest(), metadata=token))
                    if [each.state for each in info.workers] == ["ready"] * 2:
                        return info
                except aio.AioRpcError:
                    pass  # none is ready yet
                await asyncio.sleep(0.05)

    workers = asyncio.run(asyncio.wait_for(ask(), 60)).workers
    assert [(each.name, each.device) for each in workers] == [("worker-1", "cpu"), ("worker-2", "cpu")]


def test_children_divide_processors_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyportal_daemon.worker.lifetime._processors", lambda: 12)
    names = ("OPENCV_FOR_THREADS_NUM", "OMP_NUM_THREADS")
    for name in names:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    divide_processors(1)
    assert not any(name in os.environ for name in names)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    divide_processors(4)
    assert [os.environ[name] for name in names] == ["3", "7"], "what the daemon's environment says goes first"
    whole, half = resident_budget(Limits(), "cpu"), resident_budget(Limits(), "cpu", 2)
    assert whole is not None and half == whole // 2
    assert resident_budget(Limits(resident_gigabytes=3), "cpu", 2) == 3_000_000_000
