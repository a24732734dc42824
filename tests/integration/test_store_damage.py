"""Damage on the daemon's disk: found, reported, mended where it can be, and never given to anybody."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import pytest

from anyportal.v1.jobs_pb2 import Job, StageExplanation
from anyportal_daemon.errors import BlobNotFoundError
from anyportal_daemon.jobs.explain import explain
from tests.integration.store_house import Digests, StoreHouse, flip, footage


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreHouse]:
    house = StoreHouse(tmp_path_factory.mktemp("state"))
    yield house
    house.close()


@pytest.fixture(scope="module")
def undisturbed(house: StoreHouse) -> Digests:
    job = house.ended(house.render(0))
    assert job.state == Job.SUCCEEDED, job.error
    digests = house.digests(job)
    assert len(digests) == len(set(digests.values())) == 6
    return digests


def mended(house: StoreHouse, seed: int) -> Digests:
    """What a client gets that asks again where it is told to."""
    job = house.ended(house.render(seed))
    if job.state == Job.FAILED:
        assert job.error.code == "BLOB_CORRUPT" and job.error.where.split("/")[0] in ("plate", "matte")
        job = house.ended(house.render(seed))
    assert job.state == Job.SUCCEEDED, job.error
    return house.digests(job)


@pytest.mark.parametrize("number", range(10))
def test_a_flipped_bit_anywhere_is_reported_and_the_job_has_the_same_pixels(
    house: StoreHouse, undisturbed: Digests, number: int, fresh_seed: int
) -> None:
    """Verified, or found by the job that meets it."""
    rng = random.Random(fresh_seed + number)
    house.idle()
    path = rng.choice(house.things())
    flip(path, rng)
    if rng.random() < 0.5:
        [damage] = house.verify()
        name = path.name if damage.kind == "stage" else path.parent.name + path.name
        assert (damage.name, damage.gone) == (name, False) and not path.exists()
        of_blob = "run" if name in undisturbed.values() else "sent"
        assert damage.recovery == ("computed" if damage.kind == "stage" else of_blob)
    assert mended(house, 0) == undisturbed
    assert house.verify() == []


@pytest.mark.parametrize("kind", ["input", "stage", "result"])
def test_each_kind_of_damage_is_met_by_a_job_that_mends_it(
    house: StoreHouse, undisturbed: Digests, kind: str, fresh_seed: int
) -> None:
    rng = random.Random(fresh_seed)
    house.idle()
    names = set(undisturbed.values())
    kinds = {
        "stage": lambda path: path.suffix == ".h5",
        "result": lambda path: path.parent.name + path.name in names,
        "input": lambda path: path.suffix != ".h5" and path.parent.name + path.name not in names,
    }
    for path in filter(kinds[kind], house.things()):
        flip(path, rng)
        if kind == "input":
            break
    assert mended(house, 0) == undisturbed
    assert house.verify() == []


def test_damage_of_a_stage_result_is_told_in_the_job_that_meets_it(
    house: StoreHouse, undisturbed: Digests, fresh_seed: int
) -> None:
    before = house.render(0)
    house.ended(before)
    house.idle()
    [matte] = [row.key for row in house.journal.ledger.stages(before) if row.stage == "matte"]
    flip(house.root / "stages" / f"{matte}.h5", random.Random(fresh_seed))
    job_id = house.render(0)
    assert house.digests(house.ended(job_id)) == undisturbed
    assert house.warnings(job_id) == ["the stored result of matte was damaged: computed again"]
    reasons = {stage.stage: stage.reason for stage in explain(house.journal, "ann", job_id).stages}
    assert reasons.pop("matte") == StageExplanation.DAMAGED and reasons.pop("finish") == StageExplanation.ALWAYS
    assert set(reasons.values()) == {StageExplanation.SAME}


def test_one_job_finds_all_footage_that_is_damaged(house: StoreHouse, undisturbed: Digests, fresh_seed: int) -> None:
    """So that it has to be sent again only once."""
    rng, sources = random.Random(fresh_seed), [data for clip in footage().values() for data in clip[:2]]
    house.idle()
    job_id = house.render(0)
    house.ended(job_id)
    house.idle()
    names = [hashlib.sha256(data).hexdigest() for data in sources]
    for name in names:
        flip(house.store.files.path(name), rng)
    job = house.ended(house.render(0))
    assert (job.state, job.error.code) == (Job.FAILED, "BLOB_CORRUPT")
    assert not [name for name in names if house.store.files.path(name).exists()], "damaged bytes are not kept"
    assert mended(house, 0) == undisturbed


def test_a_job_whose_results_are_damaged_makes_them_again(
    house: StoreHouse, undisturbed: Digests, fresh_seed: int
) -> None:
    rng = random.Random(fresh_seed)
    job_id = house.render(0)
    job = house.ended(job_id)
    house.idle()
    for file in job.results:
        flip(house.store.files.path(file.blob.sha256), rng)
    damage = house.verify()
    assert {each.recovery for each in damage} == {"run"} and all(job_id in each.jobs for each in damage)
    with pytest.raises(BlobNotFoundError):
        house.digests(job)
    house.book.retry("ann", job_id)
    assert house.digests(house.ended(job_id)) == undisturbed
