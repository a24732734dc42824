"""What jobs need of the store, what a deleted one frees, and what comes of what was evicted or damaged."""

from __future__ import annotations

import hashlib
import os
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.cache import DirectoryCache
from anyportal_core.errors import DiskFullError
from anyportal_core.record import StageRecord
from anyportal_daemon.errors import BlobsMissingError, JobStateError
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.claims import StoreNeeds
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.plan import Plan
from anyportal_daemon.storage import keeper, shares
from anyportal_daemon.storage.ballast import Ballast
from anyportal_daemon.storage.blobs import BlobId, BlobStore
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.keeper import Keeper
from anyportal_daemon.storage.memory import MemoryBlobStore
from anyportal_daemon.storage.shares import Shares
from anyportal_daemon.storage.shelves import StageShelf
from anyportal_daemon.storage.verification import Verifier

Disk = namedtuple("Disk", "total used free")


class Life:
    """A book, a journal, a store and its keeper, without workers."""

    def __init__(self, folder: Path, store: BlobStore, budget: int = 1 << 40, part: float = 1.0) -> None:
        self.store, self.journal = store, Journal(folder / "journal.db")
        self.stages = DirectoryCache(folder / "stages")
        shelves = (*store.shelves, StageShelf(folder / "stages"))
        needs = StoreNeeds(self.journal.claims, lambda: self.book.settled(), store)
        shares = Shares(store, part)
        gave_up = lambda names: self.book.gave_up(names)  # noqa: E731
        self.keeper = Keeper(folder, shelves, needs, budget, shares=shares, gave_up=gave_up)
        self.book = JobBook(self.journal, store, lambda job: None, lambda: None, Ballast(folder), keeper=self.keeper)

    def put(self, data: bytes, user: str = "ann") -> BlobId:
        blob = BlobId(hashlib.sha256(data).hexdigest(), len(data))
        upload = self.store.receive(user, blob, 0)
        upload.write(data)
        upload.finish()
        upload.close()
        return blob

    def create(self, *blobs: BlobId, user: str = "ann") -> str:
        """A job with a sequence of these frames."""
        wire = [media_pb2.Blob(sha256=blob.sha256, size_bytes=blob.size) for blob in blobs]
        frames = [media_pb2.SequenceFrame(number=number, blob=blob) for number, blob in enumerate(wire)]
        sequence = media_pb2.FrameSequence(frames=frames, pattern="plate.%04d.png")
        job = Job(shot=jobs_pb2.Shot(plate=media_pb2.ClipManifest(sequence=sequence)))
        named = tuple((f"shot.plate.sequence.frames[{index}].blob", blob) for index, blob in enumerate(blobs))
        return self.book.create(user, Plan(job, named), None).name.removeprefix("jobs/")

    def make(self, job_id: str, data: bytes, name: str = "comp.png") -> BlobId:
        """A result of a job."""
        blob = self.put(data, "worker")
        wire = media_pb2.Blob(sha256=blob.sha256, size_bytes=blob.size)
        try:
            self.book.made(job_id, [jobs_pb2.ResultFile(blob=wire, filename=name, layers=["comp"])])
        finally:
            self.store.release("worker", [blob])  # workers have nothing of their own
        return blob

    def stage(self, job_id: str, key: str, reused: bool = False) -> Path:
        """A stage result that a job has made or reused."""
        if not reused:
            with self.stages.writing(key) as path:
                path.write_bytes(b"result")
        found = self.stages.find(key)
        assert found is not None
        self.journal.ledger.note(job_id, StageRecord("matte", "{}", key, reused, 1.0, 6, 1))
        return found

    def part(self, key: str, number: int) -> Path:
        """A part of a stage result that is not whole."""
        with self.stages.writing(f"{key}-{number}") as path:
            path.write_bytes(b"part")
        found = self.stages.find(f"{key}-{number}")
        assert found is not None
        return found

    def ended(self, *blobs: BlobId, state: Job.State.ValueType = Job.SUCCEEDED) -> tuple[str, BlobId]:
        """A job that has ended, and its result."""
        job_id = self.create(*blobs)
        assert self.book.start(job_id)
        result = self.make(job_id, f"result of {job_id}".encode())
        if state == Job.SUCCEEDED:
            self.book.succeeded(job_id)
        elif state == Job.CANCELLED:
            self.book.cancelled(job_id)
        else:
            self.book.failed(job_id, jobs_pb2.JobError(code="WORKER_LOST"))
        return job_id, result

    def has(self, blob: BlobId) -> bool:
        return not self.store.missing("ann", [blob])


@pytest.fixture(params=["disk", "memory"])
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Life]:
    store = DiskBlobStore(tmp_path) if request.param == "disk" else MemoryBlobStore()
    life = Life(tmp_path, store)
    yield life
    life.journal.close()
    if isinstance(store, DiskBlobStore):
        store.close()


def test_what_a_live_job_needs_or_has_made_stays(life: Life) -> None:
    queued, running, idle = life.put(b"queued"), life.put(b"running"), life.put(b"idle")
    life.create(queued)
    job_id = life.create(running)
    life.book.start(job_id)
    frame = life.make(job_id, b"frame")
    matte = life.stage(job_id, "matte")
    life.store.fetched("ann", frame)
    life.keeper.prune(recent=True)
    assert life.has(queued) and life.has(running) and life.has(frame) and matte.exists()
    assert not life.has(idle)


def test_what_a_job_has_made_stays_until_it_has_ended_however_often_it_was_begun(life: Life) -> None:
    """Stage results made before the daemon died are those that the job goes on from."""
    job_id = life.create(life.put(b"plate"))
    life.book.start(job_id)
    matte = life.stage(job_id, "matte")
    life.book.recover()
    assert life.journal.status(job_id).state == Job.QUEUED
    life.keeper.prune(recent=True)
    assert matte.exists()
    assert life.book.start(job_id)
    life.keeper.prune(recent=True)
    assert matte.exists()
    life.book.succeeded(job_id)
    life.keeper.prune(recent=True)
    assert not matte.exists()


def test_a_result_stays_until_it_is_fetched(life: Life) -> None:
    plate = life.put(b"plate")
    _, result = life.ended(plate)
    life.store.release("worker", [result])
    life.keeper.prune(recent=True)
    assert life.has(result) and not life.has(plate)
    life.store.fetched("ann", result)
    life.keeper.prune(recent=True)
    assert not life.has(result)


@pytest.mark.parametrize("state", [Job.FAILED, Job.CANCELLED])
def test_half_a_result_may_go(life: Life, state: Job.State.ValueType) -> None:
    job_id, result = life.ended(life.put(b"plate"), state=state)
    life.keeper.prune(recent=True)
    assert not life.has(result)
    with pytest.raises(BlobsMissingError) as caught:
        life.book.retry("ann", job_id)
    assert caught.value.where == "shot.plate.sequence.frames[0].blob"
    life.put(b"plate")
    life.book.retry("ann", job_id)
    assert life.book.start(job_id)


def test_a_job_that_ran_may_run_again_once_its_results_are_lost(life: Life) -> None:
    plate = life.put(b"plate")
    job_id, result = life.ended(plate)
    with pytest.raises(JobStateError):
        life.book.retry("ann", job_id)
    life.store.damaged(result)
    life.book.retry("ann", job_id)
    assert life.journal.status(job_id).state == Job.QUEUED
    assert life.book.start(job_id)


def test_damage_that_verifying_finds_is_told_in_the_job_that_made_it(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    life = Life(tmp_path, store)
    plate = life.put(b"plate")
    job_id, result = life.ended(plate)
    for blob in (plate, result):
        path = store.files.path(blob.sha256)
        path.chmod(0o600)
        path.write_bytes(bytes(blob.size))
    for _ in Verifier(store, store.shelves, life.journal.claims.jobs, life.book.spoilt).verify():
        pass
    events, _ = life.journal.events("ann", job_id, 0)
    said = [event.log.text for event in events if event.HasField("log")]
    assert said == ["the result comp.png was damaged: run the job again to have it"], "footage is asked for by itself"
    life.journal.close()
    store.close()


def test_all_that_is_needed_is_what_each_is_needed(life: Life) -> None:
    """Told at once, and asked for each blob."""
    idle, live = life.put(b"idle"), life.put(b"live")
    _, waiting = life.ended(life.put(b"footage"))
    _, fetched = life.ended(life.put(b"other footage"))
    _, half = life.ended(life.put(b"third footage"), state=Job.FAILED)
    life.store.fetched("ann", fetched)
    life.create(live)
    needs = StoreNeeds(life.journal.claims, life.book.settled, life.store)
    needed = {blob.sha256 for blob in (idle, live, waiting, fetched, half) if needs.blob(blob.sha256)}
    assert needed == {live.sha256, waiting.sha256} == needs.all_blobs()


def test_a_deleted_job_frees_what_only_it_used(life: Life) -> None:
    shared, own = life.put(b"shared"), life.put(b"own")
    first, first_result = life.ended(shared, own)
    second, second_result = life.ended(shared)
    common, alone = life.stage(first, "common"), life.stage(first, "alone")
    life.stage(second, "common", reused=True)
    life.store.release("worker", [first_result, second_result])
    life.book.delete("ann", first)
    assert [life.has(blob) for blob in (shared, own, first_result, second_result)] == [True, False, False, True]
    assert common.exists() and not alone.exists()
    life.book.delete("ann", second)
    assert not any(life.has(blob) for blob in (shared, second_result)) and not common.exists()


def test_a_deleted_job_frees_the_parts_of_the_stage_it_did_not_finish(life: Life) -> None:
    first, second, third = life.create(), life.create(), life.create()
    for job_id, key in ((first, "alone"), (second, "common"), (third, "common")):
        life.book.start(job_id)
        life.journal.begin_stage(job_id, key)
        life.book.failed(job_id, jobs_pb2.JobError(code="X"))
    alone, common = life.part("alone", 0), life.part("common", 11)
    life.book.retry("ann", first)
    life.book.cancel("ann", first)
    life.book.delete("ann", first)
    life.book.delete("ann", second)
    assert not alone.exists() and common.exists()
    life.book.delete("ann", third)
    assert not common.exists()


def test_a_deleted_job_takes_nothing_from_one_that_runs(life: Life) -> None:
    ended, _ = life.ended(life.put(b"plate"))
    matte = life.stage(ended, "matte")
    os.utime(matte, (1, 1))
    running = life.create(life.put(b"another plate"))
    life.book.start(running)
    assert life.stages.find("matte") == matte, "found by the running job, which has not said so yet"
    life.book.delete("ann", ended)
    assert matte.exists()
    life.book.tidy()
    assert matte.exists(), "it still runs"
    life.book.succeeded(running)
    life.book.tidy()
    assert not matte.exists(), "in the end it goes"


def test_what_a_deleted_job_left_goes_though_jobs_run_without_a_break(life: Life) -> None:
    """Those that were begun a moment after it may have come across it; those that come later cannot."""
    ended, _ = life.ended()
    refine = life.stage(ended, "refine")
    life.book.start(next_one := life.create())
    life.book.delete("ann", ended)
    assert refine.exists()
    back = life.keeper._clock() - 3_000_000_000
    os.utime(refine, ns=(back, back))  # as if three seconds had passed
    life.book.succeeded(next_one)
    life.book.start(life.create())
    life.book.tidy()
    assert not refine.exists() and not life.journal.claims.leftovers()


def test_what_a_deleted_job_left_stays_for_a_job_that_reused_it(life: Life) -> None:
    ended, _ = life.ended()
    matte = life.stage(ended, "matte")
    life.book.start(running := life.create())
    life.book.delete("ann", ended)
    life.stage(running, "matte", reused=True)
    life.book.succeeded(running)
    life.book.tidy()
    assert matte.exists()
    life.book.delete("ann", running)
    assert not matte.exists()


def test_a_full_store_takes_no_new_work_and_does_when_there_is_room(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    life = Life(tmp_path, store, budget=1000)
    first = life.create(life.put(bytes(600)))
    queued = life.create(life.put(bytes(399)))
    life.keeper.trim()
    life.book.start(first)
    life.make(first, b"result" * 10)
    life.keeper.trim()
    with pytest.raises(DiskFullError, match="store is full"):
        life.create(life.put(b"x"))
    assert not life.book.start(queued), "it fails, and its user learns why"
    assert "store is full" in life.journal.job("ann", queued).error.message
    life.book.succeeded(first)
    life.book.delete("ann", queued)
    life.keeper.trim()
    assert life.book.start(life.create(life.put(b"y")))
    life.journal.close()
    store.close()


def test_pruning_and_creating_at_once_never_loses_what_a_job_was_told_is_there(tmp_path: Path) -> None:
    """Without any grace: a job is either refused, or keeps its inputs."""
    import threading

    store = DiskBlobStore(tmp_path)
    life = Life(tmp_path, store)
    stop = threading.Event()

    def prune() -> None:
        while not stop.is_set():
            life.keeper.prune(recent=True)

    thread = threading.Thread(target=prune)
    thread.start()
    kept = []
    try:
        for number in range(25):
            blobs = [life.put(f"{number} {index}".encode()) for index in range(4)]
            try:
                kept.append((life.create(*blobs), blobs))
            except BlobsMissingError:
                continue
    finally:
        stop.set()
        thread.join()
    life.keeper.prune(recent=True)
    assert all(store.missing("ann", blobs) == [] for _, blobs in kept)
    life.journal.close()
    store.close()


def frame(job_id: str, size: int) -> bytes:
    """The picture that a job makes."""
    return job_id.encode() * (size // len(job_id))


@pytest.fixture(params=["disk", "memory"])
def crowded(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    """A store of a million bytes, half of it for each user at most, whose disk is large."""
    monkeypatch.setattr(shares, "RECOUNT", 0.0)
    monkeypatch.setattr(keeper.shutil, "disk_usage", lambda path: Disk(1 << 40, 0, 1 << 39))
    store = DiskBlobStore(tmp_path) if request.param == "disk" else MemoryBlobStore()
    life = Life(tmp_path, store, 1_000_000, 0.5)
    yield life
    life.journal.close()
    if isinstance(store, DiskBlobStore):
        store.close()


def test_whose_results_fill_their_part_begins_no_further_job_and_is_told(crowded: Life) -> None:
    plate = crowded.put(b"plate")
    jobs = [crowded.create(plate) for _ in range(3)]
    theirs = crowded.create(crowded.put(b"plate", "bob"), user="bob")
    made = []
    for job_id in jobs[:2]:
        assert crowded.book.start(job_id)
        made.append(crowded.make(job_id, frame(job_id, 300_000)))
        crowded.book.succeeded(job_id)
    assert not crowded.book.start(jobs[2])
    failed = crowded.journal.job("ann", jobs[2])
    assert failed.state == Job.FAILED and failed.error.code == "DISK_FULL"
    assert "your part of the daemon's store is full" in failed.error.message and "fetch results" in failed.error.hint
    assert crowded.book.start(theirs), "it is there for others"

    crowded.store.fetched("ann", made[0])
    crowded.book.retry("ann", jobs[2])
    assert crowded.book.start(jobs[2]), "what was fetched makes room"


def test_a_job_says_that_its_results_made_room_for_others(crowded: Life) -> None:
    job_id = crowded.create(crowded.put(b"plate"))
    assert crowded.book.start(job_id)
    first = crowded.make(job_id, frame(job_id, 400_000), "comp.1.png")
    second = crowded.make(job_id, frame(job_id, 480_000), "comp.2.png")
    with pytest.raises(DiskFullError):
        crowded.keeper.need(200_000, "carl")  # what a job that runs has made stays
    assert crowded.has(first)
    time.sleep(0.03)  # a file's time is no finer
    assert crowded.has(second)

    crowded.book.succeeded(job_id)
    crowded.keeper.need(200_000, "bob")
    assert not crowded.has(first) and crowded.has(second)
    events, _ = crowded.journal.events("ann", job_id, 0)
    [said] = [event.log.text for event in events if event.log.severity == jobs_pb2.LogLine.WARNING]
    assert "comp.1.png is gone: others needed room" in said and "run the job again" in said
    crowded.store.fetched("ann", second)
    crowded.book.retry("ann", job_id)
    assert crowded.journal.status(job_id).state == Job.QUEUED


def test_a_job_whose_results_no_longer_fit_leaves_nothing_of_the_last(crowded: Life) -> None:
    job_id = crowded.create(crowded.put(b"plate"))
    assert crowded.book.start(job_id)
    crowded.make(job_id, frame(job_id, 900_000))
    with pytest.raises(DiskFullError, match="your part"):
        crowded.make(job_id, frame(job_id, 200_000))
    assert crowded.keeper.used() < 1_000_000
