"""What the daemon's disk may do to its store, many times over: a flipped bit, and no room at any write.

    python -m benchmarks.store_faults --out benchmarks/results/store_faults.json

Each fault meets a job of the draft preset. It counts as survived when nothing that is not damaged was lost, the damage
was found, and the job (run again where it failed for that reason) has the undisturbed run's bytes. The full disk is a
small tmpfs, which needs root; without it that part is left out.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from anyportal.v1.jobs_pb2 import Job
from anyportal_daemon.jobs.journal import ENDED
from tests.integration.store_house import Digests, StoreHouse, fill, flip, small_disk

ROOM = 256 * 1024


def rendered(house: StoreHouse, seed: int) -> tuple[Job, Digests]:
    job = house.ended(house.render(seed))
    return job, house.digests(job) if job.state == Job.SUCCEEDED else {}


def flipped(house: StoreHouse, undisturbed: Digests, rng: random.Random) -> tuple[str, bool]:
    """One flipped bit: what it hit and who found it, and whether all is well afterwards."""
    house.idle()
    path = rng.choice(house.things())
    hit = "stage" if path.suffix == ".h5" else "blob"
    hit = "result" if path.parent.name + path.name in undisturbed.values() else hit
    flip(path, rng)
    verified = rng.random() < 0.5
    found = house.verify() if verified else []
    good = not verified or (len(found) == 1 and not path.exists())
    job, digests = rendered(house, 0)
    if job.state == Job.FAILED:
        good &= job.error.code == "BLOB_CORRUPT"
        job, digests = rendered(house, 0)
    return (
        f"{hit}, found by {'verify' if verified else 'a job'}",
        good and digests == undisturbed and not house.verify(),
    )


def filled(house: StoreHouse, undisturbed: Digests, seed: int, rng: random.Random) -> tuple[str, bool]:
    """One disk that fills up while a job runs: how the job ended first, and whether all is well afterwards."""
    moment, job_id = 0.7 * rng.random(), house.render(seed)

    def reached() -> bool:
        status = house.journal.status(job_id)
        return status.progress.fraction >= moment or status.state in ENDED

    try:
        house.until(reached)
        fill(house.root, rng.randrange(ROOM))
        job = house.ended(job_id)
        house.idle()
        good = not house.verify()
        house.check_databases()
    finally:
        (house.root / "filler").unlink(missing_ok=True)
    first = "succeeded"
    if job.state == Job.FAILED:
        good &= job.error.code == "DISK_FULL"
        first = f"{job.error.code} in {job.progress.stage or 'the beginning'}"
    if job.state == Job.FAILED:
        house.book.retry("ann", job_id)
        job = house.ended(job_id)
    good &= job.state == Job.SUCCEEDED and house.digests(job) == undisturbed
    house.book.delete("ann", job_id)
    house.keeper.prune()
    return first, good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="faults of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rng, begun = random.Random(given.seed), time.monotonic()
    results: dict[str, object] = {"count": given.count, "seed": given.seed}
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        state.mkdir()
        house = StoreHouse(state)
        _, undisturbed = rendered(house, 0)
        ends = [flipped(house, undisturbed, rng) for _ in range(given.count)]
        house.close()
        results["flipped bits"] = _table(ends)
        bad += sum(not good for _, good in ends)
        with small_disk(Path(folder) / "disk", "16m") as mounted:
            if mounted:
                house = StoreHouse(Path(folder) / "disk")
                _, undisturbed = rendered(house, 0)
                ends = [filled(house, undisturbed, 1 + number, rng) for number in range(given.count)]
                house.close()
                results["full disks"] = _table(ends)
                bad += sum(not good for _, good in ends)
    results["not survived"], results["seconds"] = bad, round(time.monotonic() - begun, 1)
    text = json.dumps(results, indent=2)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")
    return 1 if bad else 0


def _table(ends: list[tuple[str, bool]]) -> dict[str, dict[str, int]]:
    counted = Counter(what for what, _ in ends)
    survived = Counter(what for what, good in ends if good)
    return {what: {"faults": counted[what], "survived": survived[what]} for what in sorted(counted)}


if __name__ == "__main__":
    sys.exit(main())
