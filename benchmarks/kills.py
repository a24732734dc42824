"""Kills workers, daemons and machines in the middle of jobs, many times, and compares every byte with a quiet run.

    python -m benchmarks.kills [--moments 50] [--boundaries 3] [--frames 48] [--out FILE]

For each kind of fault, ``moments`` jobs are disturbed at a random moment of a random stage and ``boundaries`` more at
the beginning of each stage. They deliver EXR with all layers, PNG and MP4 by turns. Every job asks for the same, and is
deleted when it was compared, so that the next one runs every stage again. Printed: at which stage they were, and
whether each job ended with the bytes of a job that nobody disturbed. The exit code is 1 where one did not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count, cycle
from pathlib import Path

from anyportal.v1.jobs_pb2 import Delivery, Job
from tests.integration.kill_house import FINAL, STAGES, Digests, KillHouse, half_written, stage_at

SIZE = (72, 96)
LAYERS = ("comp", "foreground", "background", "matte", "gain")
DELIVERIES = {
    "exr": Delivery(format="exr", layers=LAYERS),
    "png": Delivery(format="png", layers=LAYERS),
    "mp4": Delivery(format="mp4", layers=["comp", "matte"]),
}
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Fault:
    """One disturbed job.

    Args:
        moment: ``random``, or the stage at whose beginning it was.
        stage: what the job was at, by its last event.
        resumed: the stages that ran after the fault.
        wrong: what is not as it should be; empty where all is.
    """

    kind: str
    moment: str
    format: str
    stage: str
    attempts: int
    seconds: float
    resumed: tuple[str, ...]
    wrong: str


class Study:
    """Faults of all kinds on one shot."""

    def __init__(self, folder: Path, frames: int, seed: int) -> None:
        self._folder, self._frames = folder, frames
        self._chance, self._jobs, self._formats = random.Random(seed), count(1), cycle(DELIVERIES)
        self._house = self._open(folder / "state")
        self.expected: dict[str, Digests] = {}
        self.seconds: dict[str, dict[str, float]] = {}
        """Of each stage, by format."""
        for form in ("exr", *DELIVERIES):  # what is read for the first time takes longer
            self.expected[form], self.seconds[form] = self._undisturbed(form)
        self.faults: list[Fault] = []

    def _open(self, state: Path) -> KillHouse:
        return KillHouse(state, self._frames, SIZE, find=True)

    def _submit(self, form: str) -> str:
        return self._house.submit(1, DELIVERIES[form], f"job {next(self._jobs)}")

    def _undisturbed(self, form: str) -> tuple[Digests, dict[str, float]]:
        job = self._house.finish(self._submit(form))
        digests = self._house.digests(job)
        self._delete(job.name)
        return digests, dict(job.stage_seconds)

    def _delete(self, name: str) -> str:
        """Delete a job; says what it leaves behind, which is nothing."""
        self._house.delete(name)
        return ", ".join(f"left behind: {path.name}" for path in (self._house.state / "stages").rglob("*.h5"))

    def close(self) -> None:
        self._house.close()

    def run(self, kind: str, moment: str) -> None:
        """Disturb one job: at a random moment, or as a stage begins."""
        house, form, begun = self._house, next(self._formats), time.monotonic()
        name = self._submit(form)
        self._wait(name, moment, form)
        before = house.job(name)
        with self._struck(kind, name) as struck:
            job = struck.finish(name)
            wrong = self._wrong(struck, job, form)
        last = stage_of(before)
        resumed = tuple(stage for stage in STAGES if job.stage_seconds[stage] != before.stage_seconds[stage])
        wrong = wrong or self._delete(name)
        seconds = round(time.monotonic() - begun, 2)
        self.faults.append(Fault(kind, moment, form, last, job.attempts, seconds, resumed, wrong))

    def _wait(self, name: str, moment: str, form: str) -> None:
        """Stages differ in length, so a random one is chosen first: else all would be struck in the longest."""
        stage = self._chance.choice(STAGES) if moment == "random" else moment
        any(stage_at(event) == stage for event in self._house.watch(name))
        if moment == "random":
            time.sleep(self._chance.uniform(0, self.seconds[form][stage]))

    @contextmanager
    def _struck(self, kind: str, name: str) -> Iterator[KillHouse]:
        """The daemon that the job goes on with."""
        if kind == "power":
            copy = self._folder / "copy"
            self._house.cut_power(copy)
            self._house.finish(name)
            after = self._open(copy)
            try:
                yield after
            finally:
                after.close()
                shutil.rmtree(copy)
            return
        strike: Callable[[], None] = self._house.kill_worker if kind == "worker" else self._house.kill_daemon
        strike()
        yield self._house

    def _wrong(self, house: KillHouse, job: Job, form: str) -> str:
        if job.state != Job.SUCCEEDED:
            return f"{Job.State.Name(job.state)} {job.error.code} {job.error.message}"
        numbers = [event.sequence for event in house.watch(job.name)]
        if numbers != list(range(1, len(numbers) + 1)):
            return "events were lost or doubled"
        if house.digests(job) != self.expected[form]:
            return "other bytes"
        return ", ".join(f"half written: {path.name}" for path in half_written(house.state))


def stage_of(job: Job) -> str:
    if job.state in FINAL:
        return "ended"
    return job.progress.stage or "queued"


def main() -> int:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="anyportal-kills-"))
    study = Study(folder, options.frames, options.seed)
    try:
        for kind in options.kinds.split(","):
            for moment in ["random"] * options.moments + list(STAGES) * options.boundaries:
                study.run(kind, moment)
                fault = study.faults[-1]
                print(
                    f"{kind:<7} {moment:<11} {fault.format} at {fault.stage:<11} {fault.wrong or 'the same bytes'}",
                    flush=True,
                )
    finally:
        study.close()
        shutil.rmtree(folder, ignore_errors=True)
    return _report(study, options)


def _report(study: Study, options: argparse.Namespace) -> int:
    wrong = [fault for fault in study.faults if fault.wrong]
    histograms = {}
    for kind in options.kinds.split(","):
        histograms[kind] = dict(Counter(fault.stage for fault in study.faults if fault.kind == kind))
        print(f"\n{kind}: at which stage it struck")
        for stage in ("queued", *STAGES, "ended"):
            times = histograms[kind].get(stage, 0)
            print(f"  {stage:<11}{times:>4} {'#' * times}")
    print(f"\n{len(study.faults) - len(wrong)} of {len(study.faults)} jobs ended with the bytes of an undisturbed one")
    found = {
        "frames": options.frames,
        "size": SIZE,
        "formats": dict(Counter(fault.format for fault in study.faults)),
        "files_compared": {form: len(digests) for form, digests in study.expected.items()},
        "undisturbed_stage_seconds": study.seconds,
        "cores": os.cpu_count(),
        "faults": len(study.faults),
        "same_bytes": len(study.faults) - len(wrong),
        "stage_at_the_fault": histograms,
        "each": [asdict(fault) for fault in study.faults],
    }
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50, help="jobs of each kind, disturbed at random")
    parser.add_argument("--boundaries", type=int, default=3, help="jobs of each kind, disturbed as each stage begins")
    parser.add_argument("--kinds", default="worker,daemon,power")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--out", type=Path, default=RESULTS / "kills.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
