"""Workers, daemons and machines that die in the middle of jobs: every job ends with the bytes of an undisturbed one.

`benchmarks/kills.py` does the same many times.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from anyportal.v1.jobs_pb2 import Job, LogLine, StageExplanation
from tests.integration.kill_house import STAGES, Digests, KillHouse, half_written, stage_at
from tests.integration.store_house import flip

FRAMES, SIZE = 40, (64, 96)


@dataclass
class Undisturbed:
    """What a job is like that nobody disturbs."""

    house: KillHouse
    digests: Digests
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    house = KillHouse(tmp_path_factory.mktemp("undisturbed") / "state", FRAMES, SIZE)
    job = house.finish(house.submit(0))
    assert job.state == Job.SUCCEEDED, job.error
    digests = house.digests(job)
    assert len(digests) == FRAMES
    yield Undisturbed(house, digests, sum(job.stage_seconds.values()))
    house.close()


@pytest.fixture
def chance() -> random.Random:
    return random.Random(4)


def disturbed(house: KillHouse, seed: int, kill: Callable[[], None], stage: str, delay: float) -> Job:
    """A job that is disturbed some time after it was begun, and again as a stage begins; as it ends."""
    name = house.submit(seed)
    seen = 0
    for event in house.watch(name):
        seen = event.sequence
        if event.state.state == Job.RUNNING:
            break
    threading.Event().wait(delay)  # the moment, not a wait for something
    kill()
    for event in house.watch(name, seen):
        seen = event.sequence
        if stage_at(event) == stage and house.job(name).attempts > 1:
            kill()
            break
    job = house.finish(name)
    numbers = [event.sequence for event in house.watch(name)]
    assert numbers == list(range(1, len(numbers) + 1)), "no event is lost or doubled"
    return job


@pytest.mark.parametrize(("number", "stage"), list(enumerate(["motion", "harmonise", "refine", "finish"], start=1)))
def test_whenever_its_worker_is_killed_a_job_ends_with_the_same_bytes(
    undisturbed: Undisturbed, chance: random.Random, number: int, stage: str
) -> None:
    house, delay = undisturbed.house, chance.uniform(0, undisturbed.seconds)
    job = disturbed(house, number, house.kill_worker, stage, delay)
    assert job.state == Job.SUCCEEDED, job.error
    assert house.digests(job) == undisturbed.digests
    assert not half_written(house.state)


def test_whenever_the_daemon_is_killed_its_job_ends_with_the_same_bytes(
    undisturbed: Undisturbed, chance: random.Random, tmp_path: Path
) -> None:
    house = KillHouse(tmp_path / "state", FRAMES, SIZE)
    try:
        for seed, stage in enumerate(("background", "refine", "finish"), start=1):
            job = disturbed(house, seed, house.kill_daemon, stage, chance.uniform(0, undisturbed.seconds))
            assert job.state == Job.SUCCEEDED, job.error
            assert house.digests(job) == undisturbed.digests
            assert not half_written(house.state)
    finally:
        house.close()


@pytest.mark.parametrize("stage", ["harmonise", "finish"])
def test_after_a_power_cut_a_job_ends_with_the_same_bytes(undisturbed: Undisturbed, tmp_path: Path, stage: str) -> None:
    """The state as a disk would have it: copied in the middle of a write, with whatever was half written."""
    house, copy = undisturbed.house, tmp_path / "state"
    name = house.submit(100 + STAGES.index(stage))
    assert any(stage_at(event) == stage for event in house.watch(name))
    house.cut_power(copy)
    house.finish(name)
    after = KillHouse(copy, FRAMES, SIZE)
    try:
        job = after.finish(name)
        assert job.state == Job.SUCCEEDED and job.attempts >= 1, job.error
        assert after.digests(job) == undisturbed.digests
        assert not half_written(copy)
    finally:
        after.close()


def test_a_damaged_result_is_not_served_told_in_its_job_and_made_again(
    undisturbed: Undisturbed, chance: random.Random
) -> None:
    house, name = undisturbed.house, undisturbed.house.submit(300)
    job = house.finish(name)
    file = chance.choice(job.results)
    flip(house.state / "blobs" / file.blob.sha256[:2] / file.blob.sha256[2:], chance)
    with pytest.raises(grpc.RpcError) as caught:
        house.digests(job)
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    *_, told = house.watch(name)
    assert told.log.severity == LogLine.WARNING and f"the result {file.filename} was damaged" in told.log.text
    house.retry(name)
    assert house.digests(house.finish(name)) == undisturbed.digests
    assert house.explain(name)["finish"].reason == StageExplanation.DAMAGED


def test_a_job_that_kills_its_workers_is_failed_and_the_others_go_on(undisturbed: Undisturbed) -> None:
    house = undisturbed.house
    deadly, other = house.submit(200), house.submit(201)
    for event in house.watch(deadly):
        if event.state.state == Job.RUNNING:
            house.kill_worker()
    job = house.job(deadly)
    assert (job.state, job.error.code, job.attempts, job.workers_lost) == (Job.FAILED, "WORKER_LOST", 3, 3)
    assert "3 attempts" in job.error.message and "SIGKILL" in job.error.message
    assert house.finish(other).state == Job.SUCCEEDED
