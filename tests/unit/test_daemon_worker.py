"""What the daemon does when its worker hangs, cannot start, or finds the disk full."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.errors import Cancelled, DiskFullError, StorageError
from anyportal_core.media.writers import Written
from anyportal_daemon.errors import JobNotFoundError, StartingError
from anyportal_daemon.jobs.journal import ENDED
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.files import BlobFiles
from anyportal_daemon.worker.messages import FilesMade, Progressed, Report, WorkerSetup
from anyportal_daemon.worker.names import PlainNames
from anyportal_daemon.worker.observer import PipeObserver
from tests.unit.daemon_children import SwapsDuring, SwapsFolders
from tests.unit.daemon_house import House, frame


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "footage").mkdir()
    house = House(tmp_path)
    yield house
    house.close()


def test_a_worker_that_does_not_let_go_is_killed(house: House) -> None:
    stuck, following = house.submit(200), house.submit(4)
    house.until(lambda: house.journal.status(stuck).progress.fraction > 0)
    frozen = psutil.Process(house.supervisor.status.pid)
    frozen.suspend()
    house.book.cancel("ann", stuck)
    house.until(lambda: house.state(stuck) == Job.CANCELLED, seconds=5)
    house.until(lambda: not frozen.is_running())
    house.until(lambda: house.state(following) == Job.SUCCEEDED)
    assert house.supervisor.status.pid != frozen.pid


def test_stopping_waits_for_no_worker_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "footage").mkdir()
    house = House(tmp_path)
    stuck = house.submit(200)
    house.until(lambda: house.journal.status(stuck).progress.fraction > 0)
    frozen = psutil.Process(house.supervisor.status.pid)
    frozen.suspend()
    begun = time.monotonic()
    house.supervisor.stop()
    assert time.monotonic() - begun < 5
    assert not frozen.is_running()
    job = house.journal.job("ann", stuck)
    assert (job.state, job.workers_lost) == (Job.QUEUED, 0), "the next start has it go on"
    assert "was stopped" in warnings(house, stuck)[-1]
    house.close()


def test_a_silent_worker_is_told_of_and_lives(house: House) -> None:
    job = house.submit(200)
    house.until(lambda: house.journal.status(job).progress.fraction > 0)
    before = len(warnings(house, job))
    frozen = psutil.Process(house.supervisor.status.pid)
    frozen.suspend()
    try:
        house.until(lambda: len(warnings(house, job)) > before, seconds=5)
        assert "no progress" in warnings(house, job)[-1]
    finally:
        frozen.resume()
    house.until(lambda: house.state(job) == Job.SUCCEEDED)
    assert house.supervisor.status.pid == frozen.pid


def warnings(house: House, job_id: str) -> list[str]:
    events, _ = house.journal.events("ann", job_id, 0, 10_000)
    return [event.log.text for event in events if event.log.severity == jobs_pb2.LogLine.WARNING]


def test_errors_name_files_as_the_user_does(house: House) -> None:
    """The matte has another size than the plate."""
    large = cv2.imencode(".png", np.full((128, 96, 3), 255, np.uint8))[1].tobytes()
    (house.footage / "plate.png").write_bytes(large)
    job = house.submit(1, shared=media_pb2.SharedMedia(mapping="footage", path="plate.png"))
    house.until(lambda: house.state(job) == Job.FAILED)
    error = house.journal.job("ann", job).error
    assert error.code == "SIZE_MISMATCH"
    assert error.where.startswith("matte/matte.")
    assert "scratch" not in str(error) and job not in str(error)


def test_names_for_people(tmp_path: Path) -> None:
    setup = WorkerSetup(tmp_path / "blobs", tmp_path / "stages", tmp_path / "scratch", 1)
    plain = PlainNames(setup, "8a43").plain
    job = setup.scratch / "8a43"
    assert plain(f"{job / 'matte' / 'small matte.mp4'}: too small") == "matte/small matte.mp4: too small"
    assert plain(f"{setup.blobs / 'ab' / 'cd12'} is gone.") == "the daemon's files is gone."
    assert plain(f"'{setup.stages / 'ab.h5.12.part'}'") == "'the daemon's stage results'"
    assert plain(str(tmp_path / "journal.db")) == "the daemon's state directory"
    assert plain("/mnt/footage/plate.mov") == "/mnt/footage/plate.mov"


def test_an_idle_worker_that_dies_is_replaced(house: House) -> None:
    house.until(lambda: house.supervisor.status.state == "ready")
    dead = house.supervisor.status.pid
    psutil.Process(dead).kill()
    house.until(lambda: house.supervisor.status.pid != dead and house.supervisor.status.state == "ready")
    job = house.submit(4)
    house.until(lambda: house.state(job) == Job.SUCCEEDED)


def test_a_worker_that_died_idle_takes_no_job_with_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It dies while the supervisor chooses the next job, which is the moment nobody looks at it."""
    house.until(lambda: house.supervisor.status.state == "ready")
    pid, found = house.supervisor.status.pid, house.scheduler.next
    waiting = threading.Event()

    def found_when_it_is_dead(patience: float, begin: Callable[[str], bool]) -> str | None:
        def begin_when_it_is_dead(job: str) -> bool:
            if house.supervisor.status.pid == pid:
                os.kill(pid, signal.SIGKILL)
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            return begin(job)

        waiting.set()
        return found(patience, begin_when_it_is_dead)

    monkeypatch.setattr(house.scheduler, "next", found_when_it_is_dead)
    assert waiting.wait(10)
    job = house.submit(4)
    house.until(lambda: house.state(job) in ENDED)
    assert house.state(job) == Job.SUCCEEDED, house.journal.job("ann", job).error
    assert house.supervisor.status.pid != pid


def test_jobs_that_wait_for_a_worker_that_cannot_start_say_why(tmp_path: Path) -> None:
    house = House(tmp_path, main=json.loads)  # type: ignore[arg-type]  # fails at once
    try:
        job = house.submit(2)
        house.until(lambda: bool(warnings(house, job)))
        assert house.state(job) == Job.QUEUED
        house.until(lambda: "exit code 1" in house.supervisor.status.trouble)
        assert "exit code 1" in warnings(house, job)[0]
    finally:
        house.close()


def test_a_job_does_not_lose_what_it_finds_to_a_job_that_is_deleted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both make the same bytes; the first is deleted between the worker's look at the store and its report."""
    first = house.submit(6)
    house.until(lambda: house.state(first) == Job.SUCCEEDED)
    made = house.book.made

    def late(job_id: str, files: Sequence[jobs_pb2.ResultFile]) -> None:
        with suppress(JobNotFoundError):
            house.book.delete("ann", first)
        made(job_id, files)

    monkeypatch.setattr(house.book, "made", late)
    second = house.submit(6)
    house.until(lambda: house.state(second) in ENDED)
    job = house.journal.job("ann", second)
    assert job.state == Job.SUCCEEDED, job.error
    assert not house.store.missing("ann", [BlobId(file.blob.sha256, file.blob.size_bytes) for file in job.results])


@pytest.mark.parametrize("pattern", ["a#b.%04d.png", "a@b.%04d.png", "p#.%d.png"])
def test_a_sequence_may_have_any_name(house: House, pattern: str) -> None:
    job = house.submit(3, sequence=house.sequence(pattern, "plate", 3))
    house.until(lambda: house.state(job) in ENDED)
    assert house.state(job) == Job.SUCCEEDED, house.journal.job("ann", job).error


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    house = House(tmp_path, main=json.loads)  # type: ignore[arg-type]  # fails at once
    try:
        with pytest.raises(StartingError, match="starting"):
            house.supervisor.catalogue  # noqa: B018

        def explained() -> bool:
            try:
                return bool(house.supervisor.catalogue)
            except StartingError as error:
                return "exit code 1" in error.message

        house.until(explained)
    finally:
        house.close()


def test_shared_media_that_went_away_fail_the_job_alone(house: House) -> None:
    (house.footage / "plate.png").write_bytes(frame("plate"))
    gone = house.submit(1, shared=media_pb2.SharedMedia(mapping="footage", path="plate.png"))
    house.until(lambda: house.state(gone) == Job.SUCCEEDED)
    blocker = house.submit(30)
    gone = house.submit(1, shared=media_pb2.SharedMedia(mapping="footage", path="plate.png"))
    (house.footage / "plate.png").unlink()
    house.until(lambda: house.state(gone) == Job.FAILED)
    assert house.journal.job("ann", gone).error.code == "MEDIA_NOT_FOUND"
    assert house.state(blocker) == Job.SUCCEEDED


@pytest.mark.parametrize("many", [False, True])
def test_a_backdrop_that_was_another_when_it_was_submitted_is_not_used(house: House, many: bool) -> None:
    """Its manifest says nothing of what it holds, but the recipe does, and its digest is on the results."""
    for number in (1, 2):
        (house.footage / f"still.{number}.png").write_bytes(frame("plate"))
    path = "still.%d.png" if many else "still.1.png"
    media = media_pb2.ClipManifest(shared=media_pb2.SharedMedia(mapping="footage", path=path))

    def submit() -> str:
        matte, plate = (
            media_pb2.ClipManifest(sequence=house.sequence(f"{w}.%04d.png", w, 2)) for w in ("matte", "plate")
        )
        return house.queue(jobs_pb2.Shot(plate=plate, matte=matte), jobs_pb2.Backdrop(media=media))

    good = submit()
    house.until(lambda: house.state(good) in ENDED)
    assert house.state(good) == Job.SUCCEEDED, house.journal.job("ann", good).error
    blocker, late = house.submit(30), submit()
    (house.footage / "other").write_bytes(frame("matte"))
    (house.footage / "other").replace(house.footage / "still.1.png")
    house.until(lambda: house.state(late) in ENDED)
    error = house.journal.job("ann", late).error
    assert (error.code, error.where) == ("MEDIA_CHANGED", "backdrop")
    assert house.state(blocker) == Job.SUCCEEDED


@pytest.mark.parametrize("stage", ["matte", "finish"])
@pytest.mark.parametrize("named", [True, False])
def test_nothing_is_kept_of_a_plate_that_was_another_for_a_while(tmp_path: Path, stage: str, named: bool) -> None:
    """Neither a stage's result nor a frame: run again, the job has the pixels that the same plate has as sent bytes."""
    plate, other = (tmp_path / "footage" / name for name in ("plate.png", "other"))
    plate.parent.mkdir()
    plate.write_bytes(frame("plate"))
    other.write_bytes(frame("matte"))
    house = House(tmp_path, SwapsDuring(stage, plate))
    try:
        shared = media_pb2.SharedMedia(mapping="footage", path="plate.png")
        blob = house.sequence("plate.%04d.png", "plate", 1).frames[0].blob
        if named:
            shared.blob.CopyFrom(blob)
        job_id = house.submit(1, shared=shared)
        house.until(lambda: house.state(job_id) in ENDED)
        job = house.journal.job("ann", job_id)
        assert (job.state, job.error.code, job.error.where) == (Job.FAILED, "MEDIA_CHANGED", "plate/plate.png")
        assert not job.results and not other.exists()
        assert any((tmp_path / "stages").iterdir()) == (stage == "finish"), "what was made before is good"
        house.book.retry("ann", job_id)
        sent = house.submit(1, file=media_pb2.MediaFile(blob=blob, filename="plate.png"))
        house.until(lambda: house.state(sent) in ENDED)
        results = [house.journal.job("ann", each).results for each in (job_id, sent)]
        assert results[0] == results[1] and results[0]
    finally:
        house.close()


@pytest.mark.skipif(sys.platform != "linux", reason="folders are held open on Linux alone")
@pytest.mark.parametrize("named", [True, False])
def test_folders_that_change_places_bring_nobody_what_is_outside(tmp_path: Path, named: bool) -> None:
    """In the other a link out has the file's name. The job has the pixels that the same plate has as sent bytes."""
    shot, evil = (tmp_path / "footage" / name for name in ("shot", "evil"))
    shot.mkdir(parents=True)
    evil.mkdir()
    (shot / "plate.png").write_bytes(frame("plate"))
    (tmp_path / "secret.png").write_bytes(frame("matte"))
    (evil / "plate.png").symlink_to(tmp_path / "secret.png")
    house = House(tmp_path, SwapsFolders(shot, evil, "plate.png"))
    try:
        shared = media_pb2.SharedMedia(mapping="footage", path="shot/plate.png")
        blob = house.sequence("plate.%04d.png", "plate", 1).frames[0].blob
        if named:
            shared.blob.CopyFrom(blob)
        job_id = house.submit(1, shared=shared)
        house.until(lambda: house.state(job_id) in ENDED)
        job = house.journal.job("ann", job_id)
        assert job.state == Job.SUCCEEDED, job.error
        events, _ = house.journal.events("ann", job_id, 0, 10_000)
        assert not [event for event in events if "/proc" in str(event)]
        assert (evil / "plate.png").is_symlink(), "they are back"
        sent = house.submit(1, file=media_pb2.MediaFile(blob=blob, filename="plate.png"))
        house.until(lambda: house.state(sent) in ENDED)
        assert job.results and job.results == house.journal.job("ann", sent).results
    finally:
        house.close()


def test_work_goes_on_when_space_returns(house: House) -> None:
    """The journal's own disk is full: SQLite is told that its file may not grow."""
    job, following = house.submit(40), house.submit(4)
    house.until(lambda: house.journal.status(job).progress.fraction > 0)
    writer: sqlite3.Connection = house.journal._database._writer
    limit(house, 1)
    pid = house.supervisor.status.pid
    house.until(lambda: not psutil.pid_exists(pid))
    house.until(lambda: told_why(house, job))
    assert house.state(following) == Job.QUEUED, "no new work on a full disk"
    limit(house, 2**30)
    house.until(lambda: house.state(following) == Job.SUCCEEDED)
    assert house.journal.job("ann", job).error.code == "DISK_FULL"
    house.book.check_written(job)
    assert writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def told_why(house: House, job_id: str) -> bool:
    """Whoever watches the job learns that its end cannot be written down."""
    try:
        house.book.check_written(job_id)
    except DiskFullError as error:
        assert error.where == "the daemon's state directory"
        return True
    return False


def limit(house: House, pages: int) -> None:
    """SQLite never sets it below what the file has."""
    with house.journal._database._write_lock:
        house.journal._database._writer.execute(f"PRAGMA max_page_count = {pages}")


def test_progress_is_told_a_few_times_a_second(tmp_path: Path) -> None:
    said: list[Report] = []
    with PipeObserver(said.append, BlobFiles(tmp_path), threading.Event()) as observer:
        for stage in ("matte", "finish"):
            for step in range(10_001):
                observer.progress(stage, step / 10_000, step / 10_000)
            observer.progress(stage, 1, 1)
    assert all(isinstance(report, Progressed) for report in said)
    assert len(said) == len(set(said)), "nothing is told twice"
    assert len(said) < 20, "a shot of many frames must not swell the journal"
    ends = [(report.stage, report.stage_fraction) for report in said if isinstance(report, Progressed)]
    assert ("matte", 0.0) in ends and ("finish", 0.0) in ends, "a new stage is told at once"
    assert ("matte", 1.0) in ends and ends[-1] == ("finish", 1.0), "so is its end"


def test_files_are_told_of_in_order_once_they_are_in_the_store(tmp_path: Path) -> None:
    said: list[Report] = []
    blobs = BlobFiles(tmp_path / "blobs")
    with PipeObserver(said.append, blobs, threading.Event()) as observer:
        for number in range(30):
            path = tmp_path / f"x.{number}.png"
            path.write_bytes(bytes([number]) * 1000)
            observer.files([Written(("comp",), path, number)])
        observer.files([])
    files = [file for report in said if isinstance(report, FilesMade) for file in report.files]
    assert [file.frame for file in files] == list(range(30))
    assert all(blobs.holds(BlobId(file.sha256, file.size)) for file in files)


def test_a_file_that_cannot_be_kept_ends_the_job(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError),
        PipeObserver([].append, BlobFiles(tmp_path), threading.Event()) as observer,
    ):
        observer.files([Written(("comp",), tmp_path / "never written.png", 1)])


def test_a_checkpoint_ends_a_cancelled_job(tmp_path: Path) -> None:
    cancel = threading.Event()
    with PipeObserver([].append, BlobFiles(tmp_path), cancel) as observer:
        observer.checkpoint()
        cancel.set()
        with pytest.raises(Cancelled):
            observer.checkpoint()
