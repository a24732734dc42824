"""A worker that hangs, is frozen, takes too much or too long, or is cancelled: the device is free again soon."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from anyportal.v1.jobs_pb2 import Job
from anyportal_core.plugins import loaded
from anyportal_daemon.bootstrap import PATIENCE
from anyportal_daemon.jobs.journal import ENDED
from anyportal_daemon.worker import child, memory
from anyportal_daemon.worker.child import Worker
from anyportal_daemon.worker.heart import memory_bytes
from anyportal_daemon.worker.limits import GIGABYTE, Limits
from anyportal_daemon.worker.messages import Failed, Outcome, RunJob, Said, Succeeded, WorkerSetup
from anyportal_daemon.worker.process import ChildLostError, ChildMain, ChildProcess
from tests.unit.daemon_children import HeldAt, reads_nothing
from tests.unit.daemon_house import HASTY, House

STAGES = ("matte", "motion", "background", "harmonise", "refine", "finish")
"""Of the draft preset in front of a still."""

Build = Callable[..., House]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Makes the house of a test, with a child and limits of its own."""
    houses: list[House] = []

    def make(main: ChildMain = child.main, cancel: float = HASTY.cancel, **limits: float) -> House:
        (tmp_path / "footage").mkdir(exist_ok=True)
        houses.append(House(tmp_path, main, Limits(**limits), replace(HASTY, cancel=cancel)))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


def at(house: House, job: str, stage: str) -> Callable[[], bool]:
    return lambda: house.journal.status(job).progress.stage == stage


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", ["patient", "deaf"])
def test_cancel_frees_the_device_at_every_stage(build: Build, stage: str, how: str) -> None:
    """``patient`` lets go by itself at the stage's next checkpoint; ``deaf`` is killed."""
    cancel = PATIENCE.cancel if how == "patient" else HASTY.cancel
    house = build(HeldAt(stage, how), cancel)  # type: ignore[arg-type]
    job = house.submit_with_motion(12)
    house.until(at(house, job, stage))
    busy = house.supervisor.status
    assert busy.state == "busy"
    asked = time.monotonic()
    house.book.cancel("ann", job)
    house.until(lambda: house.state(job) in ENDED)
    house.until(lambda: house.supervisor.status.state != "busy" or house.supervisor.status.pid != busy.pid)
    assert time.monotonic() - asked < 5
    assert house.state(job) == Job.CANCELLED
    assert psutil.pid_exists(busy.pid) == (how == "patient"), "a child that lets go is kept, with its models"


def test_a_daemon_gives_a_cancelled_job_less_than_five_seconds() -> None:
    """The test above is in a hurry; this is what real daemons have, and a moment to notice and to kill."""
    assert PATIENCE.cancel + 2 * PATIENCE.tick < 4.5


def test_cancel_frees_the_device_of_a_child_that_takes_no_message(build: Build) -> None:
    """It froze with nothing to do, and the job is longer than what its pipe holds."""
    house = build(cancel=PATIENCE.cancel)
    house.until(lambda: house.supervisor.status.state == "ready" and house.supervisor.status.beat_at > 0)
    frozen = house.supervisor.status.pid
    os.kill(frozen, signal.SIGSTOP)
    job = house.submit(5000)
    house.until(lambda: house.supervisor.status.state == "busy")
    asked = time.monotonic()
    house.book.cancel("ann", job)
    house.until(lambda: house.state(job) in ENDED and not psutil.pid_exists(frozen))
    assert time.monotonic() - asked < 5
    assert house.state(job) == Job.CANCELLED


def test_a_frozen_child_is_killed_and_its_job_goes_on(build: Build) -> None:
    house = build(HeldAt("matte", "patient", once=True), heartbeat_seconds=3)
    job = house.submit(6)
    house.until(at(house, job, "matte"))
    frozen = house.supervisor.status.pid
    os.kill(frozen, signal.SIGSTOP)
    house.until(lambda: house.state(job) in ENDED)
    assert house.state(job) == Job.SUCCEEDED, house.journal.job("ann", job).error
    assert not psutil.pid_exists(frozen)
    assert "no sign of life for 3 s" in log_of(house, job)


def test_a_child_that_freezes_with_nothing_to_do_is_replaced(build: Build) -> None:
    house = build(heartbeat_seconds=3)
    house.until(lambda: house.supervisor.status.state == "ready" and house.supervisor.status.beat_at > 0)
    frozen = house.supervisor.status.pid
    os.kill(frozen, signal.SIGSTOP)
    house.until(lambda: house.supervisor.status.pid not in (0, frozen))
    assert not psutil.pid_exists(frozen)
    job = house.submit(3)
    house.until(lambda: house.state(job) == Job.SUCCEEDED)


def test_a_stage_that_hangs_in_a_living_child_is_killed(build: Build) -> None:
    """Its heart goes on beating, so only its silence tells."""
    house = build(HeldAt("matte", "deaf", once=True), silence_seconds=2.5, heartbeat_seconds=60)
    job = house.submit(6)
    house.until(at(house, job, "matte"))
    hung, began = house.supervisor.status.pid, time.time()
    house.until(lambda: house.supervisor.status.beat_at > began)
    house.until(lambda: house.state(job) in ENDED)
    assert house.state(job) == Job.SUCCEEDED, house.journal.job("ann", job).error
    assert not psutil.pid_exists(hung)
    assert "it reported nothing for" in log_of(house, job)


def test_a_job_that_takes_too_much_memory_fails_alone(build: Build) -> None:
    house = build(HeldAt("matte", "greedy", once=True), memory_gigabytes=500)
    greedy, following = house.submit(6), house.submit(3)
    house.until(lambda: house.state(greedy) in ENDED)
    error = house.journal.job("ann", greedy).error
    assert error.code == "MEMORY_LIMIT"
    assert "1000.0 GB" in error.message and "500 GB" in error.message
    house.until(lambda: house.state(following) == Job.SUCCEEDED)


@pytest.mark.parametrize("how", ["patient", "deaf"])
def test_a_job_that_takes_too_long_fails_alone(build: Build, how: str) -> None:
    house = build(HeldAt("matte", how, once=True), job_seconds=5)  # type: ignore[arg-type]
    slow, following = house.submit(6), house.submit(3)
    house.until(lambda: house.state(slow) in ENDED)
    error = house.journal.job("ann", slow).error
    assert (error.code, error.message) == ("TIME_LIMIT", "it ran longer than the 5 s that are allowed")
    house.until(lambda: house.state(following) == Job.SUCCEEDED)


def test_a_worker_drains_when_the_daemon_stops(build: Build) -> None:
    house = build(HeldAt("matte", "deaf"))
    job = house.submit(6)
    house.until(at(house, job, "matte"))
    stopping = threading.Thread(target=house.supervisor.stop)
    stopping.start()
    house.until(lambda: house.supervisor.status.state == "draining")
    stopping.join()


def test_the_child_says_what_it_takes(build: Build) -> None:
    house = build()
    house.until(lambda: house.supervisor.status.memory_bytes > 0)
    status = house.supervisor.status
    assert abs(status.memory_bytes - psutil.Process(status.pid).memory_info().rss) < 0.5 * status.memory_bytes
    assert abs(memory_bytes() - psutil.Process().memory_info().rss) < 0.1 * memory_bytes()
    house.until(lambda: house.supervisor.status.beat_at > status.beat_at)


def log_of(house: House, job_id: str) -> str:
    events, _ = house.journal.events("ann", job_id, 0, 10_000)
    return "\n".join(event.log.text for event in events if event.HasField("log"))


# A full GPU. What knows of GPUs needs torch, so here something else stands for it.


class FullError(Exception):
    """What torch would raise."""


class Gpu:
    """Stands for ``anyportal_core.plugins.device``."""

    def __init__(self) -> None:
        self.given_back = 0

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, FullError)

    def out_of_memory(self, error: BaseException, device: str) -> Exception:
        from anyportal_core.errors import OutOfGpuMemoryError

        return OutOfGpuMemoryError(f"{error}; of 24.0 GB 0.1 GB are free", where=device, hint="lower harmonise.batch")

    def give_back(self, device: str) -> None:
        self.given_back += 1


class Bench:
    """A worker in this process, without its threads, that renders as it is told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, fails: list[Exception | None]) -> None:
        self.gpu, self.said, self.runs = Gpu(), list[object](), 0
        monkeypatch.setitem(memory.sys.modules, "anyportal_core.plugins.device", self.gpu)  # type: ignore[arg-type]
        self._fails = fails
        setup = WorkerSetup(folder / "blobs", folder / "stages", folder / "scratch", os.getpid())
        pipe: Connection = SimpleNamespace(send=self.said.append)  # type: ignore[assignment]
        self._worker = Worker(pipe, setup)
        monkeypatch.setattr(self._worker, "_render", self._render)

    def _render(self, job: RunJob, folder: Path) -> None:
        self.runs += 1
        error = self._fails.pop(0)
        if error is not None:
            raise error

    def run(self) -> Outcome:
        return self._worker._run(replace(JOB))


JOB = RunJob(
    job="j", name="x", plate=None, frames="", handles=0, matte=None, mask=None, mask_frame=None, backdrop=None,  # type: ignore[arg-type]
    recipe="", layers=(), format="",
)  # fmt: skip


def test_a_full_gpu_is_tried_once_more_with_all_of_it_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch, [FullError("2 GiB were wanted"), None])
    assert bench.run() == Succeeded()
    assert (bench.runs, bench.gpu.given_back) == (2, 1)
    (warning,) = bench.said
    assert isinstance(warning, Said) and warning.warning and "2 GiB were wanted; of 24.0 GB" in warning.text


def test_a_gpu_that_is_full_again_is_reported_with_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch, [FullError("2 GiB were wanted"), FullError("3 GiB were wanted"), None])
    outcome = bench.run()
    assert isinstance(outcome, Failed) and bench.runs == 2
    assert outcome.code == "OUT_OF_GPU_MEMORY"
    assert outcome.message == "3 GiB were wanted; of 24.0 GB 0.1 GB are free"
    assert outcome.hint == "lower harmonise.batch"


def test_other_errors_are_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch, [ZeroDivisionError(), None])
    outcome = bench.run()
    assert isinstance(outcome, Failed) and outcome.code == "INTERNAL" and bench.runs == 1


def test_after_a_job_no_more_than_the_budget_stays_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch, [None])
    monkeypatch.setattr(loaded, "_budget", 10)
    loaded.keep(("large",), lambda: "large", lambda: 11)
    bench.run()
    assert not loaded.keeps(("large",))


def test_how_much_stays_loaded() -> None:
    assert memory.resident_budget(Limits(resident_gigabytes=1.5), "cpu") == int(1.5 * GIGABYTE)
    assert memory.resident_budget(Limits(resident_gigabytes=1.5), "cuda:0") == int(1.5 * GIGABYTE)
    assert memory.resident_budget(Limits(), "cuda:0") is None
    whole = psutil.virtual_memory().total
    assert Limits().most_memory() == pytest.approx(0.9 * whole, rel=0.01)
    assert Limits().most_memory(share=2) == pytest.approx(0.45 * whole, rel=0.01)
    assert Limits(memory_gigabytes=1.5).most_memory(share=2) == int(1.5 * GIGABYTE)
    assert memory.resident_budget(Limits(), "cpu") == pytest.approx(psutil.virtual_memory().total / 2, rel=0.01)


def test_a_child_that_takes_no_message_is_killed(tmp_path: Path) -> None:
    """A job of many frames is longer than what a pipe holds: to hand it over must not wait for ever."""
    folders = (tmp_path / name for name in ("blobs", "stages", "scratch"))
    child = ChildProcess(reads_nothing, WorkerSetup(*folders, os.getpid(), limits=Limits(heartbeat_seconds=0.5)))
    begun = time.monotonic()
    with pytest.raises(ChildLostError, match="took no message"):
        child.send(cast(Any, bytes(8 << 20)))
    assert time.monotonic() - begun < 30 and not child.alive


@pytest.mark.parametrize(
    ("limits", "says"), [({"frames": 5}, "6 frames from the first"), ({"picture_megapixels": 0.001}, "pixels: 0.001")]
)
def test_a_shot_that_is_too_long_or_too_large_is_refused_before_anything_is_made(
    build: Build, limits: dict[str, float], says: str
) -> None:
    house = build(**limits)
    job = house.submit(6)
    house.until(lambda: house.state(job) in ENDED)
    status = house.journal.status(job)
    assert (status.state, status.error.code) == (Job.FAILED, "SHOT")
    assert says in status.error.message and "raise worker." in status.error.hint
    assert not house.journal.job("ann", job).results
