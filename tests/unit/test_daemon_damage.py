"""A job that goes on: what its last worker left behind may be damaged, and what that one took counts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anyportal.v1 import jobs_pb2
from anyportal.v1.jobs_pb2 import Job, StageExplanation
from anyportal_daemon.jobs.explain import explain
from anyportal_daemon.jobs.journal import ENDED
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.worker.process import ChildMain
from tests.unit.daemon_children import DiesAfter
from tests.unit.daemon_house import House

COUNT = 6


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[[ChildMain], House]]:
    houses: list[House] = []

    def make(main: ChildMain) -> House:
        (tmp_path / "footage").mkdir()
        houses.append(House(tmp_path, main))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


def rendered(house: House) -> Job:
    job_id = house.submit(COUNT)
    house.until(lambda: house.state(job_id) in ENDED, seconds=60)
    job = house.journal.job("ann", job_id)
    assert (job.state, job.workers_lost, len(job.results)) == (Job.SUCCEEDED, 1, COUNT), job.error
    return job


def finish_of(house: House, job: Job) -> StageExplanation:
    return explain(house.journal, "ann", job.name.removeprefix("jobs/")).stages[-1]


def test_a_damaged_file_of_the_result_is_made_again_and_the_job_says_so(build: Callable[[ChildMain], House]) -> None:
    house = build(DiesAfter(3, damage=True))
    job = rendered(house)
    for file in job.results:
        with house.store.open("ann", BlobId(file.blob.sha256, file.blob.size_bytes)) as data:
            assert hashlib.sha256(data.read()).hexdigest() == file.blob.sha256
    events, _ = house.journal.events("ann", job.name.removeprefix("jobs/"), 0, 1000)
    warnings = [event.log.text for event in events if event.log.severity == jobs_pb2.LogLine.WARNING]
    assert any(text.startswith("the result ") and text.endswith("was damaged: made again") for text in warnings)
    assert finish_of(house, job).reason == StageExplanation.DAMAGED


def test_the_files_that_an_earlier_run_has_made_count_in_what_the_finish_took(
    build: Callable[[ChildMain], House],
) -> None:
    pause = 0.25
    house = build(DiesAfter(4, pause))
    job = rendered(house)
    assert job.stage_seconds["finish"] >= COUNT * pause
    explained = finish_of(house, job)
    assert (explained.reason, explained.seconds) == (StageExplanation.ALWAYS, job.stage_seconds["finish"])
