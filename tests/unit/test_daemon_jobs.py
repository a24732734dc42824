"""What may happen to a job, and how a client's manifest is checked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.catalogue import load_catalogue
from anyportal_core.errors import (
    AnyPortalError,
    DiskFullError,
    FrameRangeError,
    RecipeError,
    ShotError,
    UnknownNameError,
    UnsupportedBackdropError,
)
from anyportal_daemon.errors import BlobError, BlobNotFoundError, BlobsMissingError, JobStateError
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.clips import kind_of, title_of
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.plan import Plan, plan
from anyportal_daemon.jobs.resumption import Finished
from anyportal_daemon.jobs.scheduler import Scheduler
from anyportal_daemon.storage.ballast import Ballast
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.memory import MemoryBlobStore
from anyportal_daemon.storage.shared import SharedFolders

PLATE = hashlib.sha256(b"plate").hexdigest()


class Life:
    """A book on a real journal and a store in memory, and what it told."""

    def __init__(self, path: Path) -> None:
        self.told: list[str] = []
        self.store = MemoryBlobStore()
        self.journal = Journal(path)
        self.scheduler = Scheduler(self.journal)
        self.book = JobBook(self.journal, self.store, self.told.append, self.scheduler.wake, Ballast(path.parent))

    def put(self, data: bytes, user: str = "ann") -> BlobId:
        blob = BlobId(hashlib.sha256(data).hexdigest(), len(data))
        upload = self.store.receive(user, blob, 0)
        upload.write(data)
        upload.finish()
        upload.close()
        return blob

    def create(self, *blobs: BlobId) -> str:
        named = tuple((f"field{index}", blob) for index, blob in enumerate(blobs))
        return self.book.create("ann", Plan(Job(), named), None).name.removeprefix("jobs/")

    def state(self, job_id: str) -> str:
        return Job.State.Name(self.journal.status(job_id).state)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path / "journal.db")
    yield life
    life.journal.close()


def test_results_that_cannot_be_written_down_leave_no_bytes(life: Life) -> None:
    job_id = life.create(life.put(b"plate"))
    life.book.start(job_id)
    made, had = life.put(b"made", "worker"), life.put(b"had before")
    database = life.journal._database._writer
    database.execute("PRAGMA max_page_count = 1")  # SQLite never sets it below what the file has
    wire = [media_pb2.Blob(sha256=blob.sha256, size_bytes=blob.size) for blob in (made, had)]
    files = [jobs_pb2.ResultFile(blob=blob, filename="x" * 200_000, layers=["comp"]) for blob in wire]
    with pytest.raises(DiskFullError):
        life.book.made(job_id, files)
    assert life.store.missing("ann", [made, had]) == [made]


def test_a_job_waits_for_its_blobs(life: Life) -> None:
    here, absent = life.put(b"here"), BlobId(PLATE, 5)
    with pytest.raises(BlobsMissingError) as caught:
        life.create(here, absent)
    assert caught.value.fields == ("field1",)
    assert life.scheduler.next(0) is None


def test_from_queued_to_succeeded(life: Life) -> None:
    job_id = life.create(life.put(b"plate"))
    assert life.scheduler.next(0) == job_id
    assert life.book.start(job_id)
    assert not life.book.start(job_id)
    result = life.put(b"result", "worker")
    life.book.opened(job_id, "0-4", (24, 1))
    life.book.progressed(job_id, "matte", 0.5, 0.2)
    life.book.progressed(job_id, "motion", 0.0, 0.1)
    wire = media_pb2.Blob(sha256=result.sha256, size_bytes=result.size)
    life.book.made(job_id, [jobs_pb2.ResultFile(blob=wire, filename="x.mp4", layers=["comp"])])
    life.book.stage_done(job_id, "matte", 1.5)
    life.book.succeeded(job_id)
    job = life.journal.job("ann", job_id)
    assert job.state == Job.SUCCEEDED
    assert job.progress.fraction == 0.2, "a job's progress never falls"
    assert dict(job.stage_seconds) == {"matte": 1.5}
    assert (job.frames_delivered, job.frame_rate.numerator) == ("0-4", 24)
    assert [file.filename for file in job.results] == ["x.mp4"]
    assert job.start_time.ToNanoseconds() <= job.end_time.ToNanoseconds()
    assert life.store.open("ann", result).read() == b"result"
    assert set(life.told) == {job_id}


def test_cancel(life: Life) -> None:
    queued, running = life.create(), life.create()
    life.book.cancel("ann", queued)
    assert life.state(queued) == "CANCELLED"
    assert not life.book.start(queued)
    life.book.start(running)
    life.book.cancel("ann", running)
    assert life.state(running) == "RUNNING"
    assert life.journal.status(running).cancel_requested
    life.book.cancelled(running)
    assert life.state(running) == "CANCELLED"
    assert not life.journal.status(running).cancel_requested
    events = len(life.journal.events("ann", running, 0)[0])
    life.book.cancel("ann", running)
    assert len(life.journal.events("ann", running, 0)[0]) == events, "cancelling twice changes nothing"


def test_retry(life: Life) -> None:
    job_id = life.create()
    for attempt in ("QUEUED", "RUNNING"):
        assert life.state(job_id) == attempt
        with pytest.raises(JobStateError):
            life.book.retry("ann", job_id)
        life.book.start(job_id)
    life.book.failed(job_id, jobs_pb2.JobError(code="WORKER_LOST"))
    assert life.journal.job("ann", job_id).error.code == "WORKER_LOST"
    last = life.journal.status(job_id).last_sequence
    life.book.retry("ann", job_id)
    job = life.journal.job("ann", job_id)
    assert (job.state, job.last_sequence) == (Job.QUEUED, last + 1)
    assert not job.HasField("error") and not job.HasField("end_time")
    assert life.scheduler.next(0) == job_id
    life.book.start(job_id)
    life.book.succeeded(job_id)
    with pytest.raises(JobStateError):
        life.book.retry("ann", job_id)


def test_delete_frees_what_only_the_job_had(life: Life) -> None:
    shared, own = life.put(b"shared"), life.put(b"own")
    doomed, other = life.create(shared, own), life.create(shared)
    with pytest.raises(JobStateError):
        life.book.delete("ann", doomed)
    life.book.cancel("ann", doomed)
    life.book.delete("ann", doomed)
    assert life.state(other) == "QUEUED"
    life.store.open("ann", shared)
    with pytest.raises(BlobNotFoundError):
        life.store.open("ann", own)


def test_what_ran_when_the_daemon_died_goes_on(life: Life) -> None:
    lost, unwanted, queued = life.create(), life.create(), life.create()
    life.book.start(lost)
    life.book.progressed(lost, "matte", 0.5, 0.2)
    life.book.start(unwanted)
    life.book.cancel("ann", unwanted)
    life.book.recover()
    assert [life.state(job_id) for job_id in (lost, unwanted, queued)] == ["QUEUED", "CANCELLED", "QUEUED"]
    assert life.scheduler.next(0) == lost, "it keeps its place in the queue"
    job = life.journal.job("ann", lost)
    assert (job.attempts, job.workers_lost) == (1, 0), "it got on, so it is not to blame"
    assert "daemon died" in said(life, lost)[-1] and "goes on" in said(life, lost)[-1]


def said(life: Life, job_id: str) -> list[str]:
    events, _ = life.journal.events("ann", job_id, 0, 1000)
    return [event.log.text for event in events if event.HasField("log")]


def test_a_job_whose_worker_died_goes_on_with_what_it_has(life: Life) -> None:
    job_id = life.create(life.put(b"plate"))
    life.book.start(job_id)
    begun = life.journal.status(job_id).start_time
    life.book.progressed(job_id, "finish", 0.5, 0.9)
    life.book.finishing(job_id, "key")
    life.book.made(job_id, [result(life, 1, b"one"), result(life, 2, b"two")])
    life.book.lost(job_id, "killed by signal 9")
    job = life.journal.job("ann", job_id)
    assert (job.state, job.attempts, job.workers_lost) == (Job.QUEUED, 1, 1)
    assert [file.frame for file in job.results] == [1, 2]
    assert (job.progress.fraction, job.start_time) == (0.9, begun)
    assert "killed by signal 9" in said(life, job_id)[-1]
    assert life.scheduler.next(0) == job_id
    assert life.book.start(job_id)
    found = life.book.finished(job_id)
    assert (found.key, found.frames) == ("key", {1, 2})
    life.book.finishing(job_id, "key")
    assert len(life.journal.job("ann", job_id).results) == 2
    assert life.journal.status(job_id).start_time == begun


def test_files_that_something_else_decided_are_no_results(life: Life) -> None:
    """As when anyportal was updated between the two runs."""
    job_id = life.create()
    life.book.start(job_id)
    life.book.finishing(job_id, "old")
    life.book.made(job_id, [result(life, 1, b"one")])
    life.book.lost(job_id, "killed")
    life.book.start(job_id)
    life.book.finishing(job_id, "new")
    assert not life.journal.job("ann", job_id).results
    assert life.book.finished(job_id) == Finished("new", frozenset())


def test_a_file_that_is_gone_from_the_store_is_made_again(life: Life) -> None:
    job_id = life.create()
    life.book.start(job_id)
    life.book.finishing(job_id, "key")
    files = [result(life, 1, b"one"), result(life, 2, b"two")]
    life.book.made(job_id, files)
    life.store.damaged(BlobId(files[0].blob.sha256, 3))
    assert life.book.finished(job_id).frames == {2}


def test_the_third_worker_that_a_job_kills_is_the_last(life: Life) -> None:
    job_id, other = life.create(), life.create()
    for attempt in (1, 2, 3):
        assert life.scheduler.next(0) == job_id
        assert life.book.start(job_id)
        life.book.lost(job_id, "killed by signal 11")
        assert life.journal.status(job_id).workers_lost == attempt
    job = life.journal.job("ann", job_id)
    assert (job.state, job.error.code) == (Job.FAILED, "WORKER_LOST")
    assert "3 workers" in job.error.message and "signal 11" in job.error.message
    assert life.scheduler.next(0) == other
    life.book.retry("ann", job_id)
    job = life.journal.job("ann", job_id)
    assert (job.attempts, job.workers_lost) == (0, 0), "whoever tries again is given three anew"


def test_a_job_that_takes_the_daemon_down_each_time_is_failed(life: Life) -> None:
    """Where the system kills both, as it may when memory ends, only the journal can tell."""
    job_id = life.create()
    for fraction in (0.5, 0.5, 0.5):
        assert life.book.start(job_id)
        life.book.progressed(job_id, "matte", 0.5, fraction)
        life.book.recover()
    assert (life.state(job_id), life.journal.status(job_id).workers_lost) == ("QUEUED", 2)
    life.book.start(job_id)
    life.book.recover()
    assert life.journal.job("ann", job_id).error.code == "WORKER_LOST"


def test_power_cuts_do_not_fail_a_job_that_gets_on(life: Life) -> None:
    job_id = life.create()
    for cut in range(1, 10):
        assert life.book.start(job_id)
        life.book.progressed(job_id, "matte", cut / 10, cut / 10)
        life.book.recover()
    assert (life.state(job_id), life.journal.status(job_id).attempts) == ("QUEUED", 9)


def test_a_job_interrupted_or_lost_while_somebody_cancels_it_is_cancelled(life: Life) -> None:
    for end in (life.book.lost, life.book.interrupted):
        job_id = life.create()
        life.book.start(job_id)
        life.book.cancel("ann", job_id)
        end(job_id, "x")
        assert life.state(job_id) == "CANCELLED"


def result(life: Life, frame: int, data: bytes) -> jobs_pb2.ResultFile:
    blob = life.put(data, "worker")
    wire = media_pb2.Blob(sha256=blob.sha256, size_bytes=blob.size)
    return jobs_pb2.ResultFile(blob=wire, filename=f"x.{frame}.png", layers=["comp"], frame=frame)


# Plans.


def movie(name: str = "plate.mp4") -> media_pb2.ClipManifest:
    return media_pb2.ClipManifest(
        file=media_pb2.MediaFile(blob=media_pb2.Blob(sha256=PLATE, size_bytes=5), filename=name)
    )


def sequence(*numbers: int, pattern: str = "plate.%04d.exr") -> media_pb2.ClipManifest:
    blob = media_pb2.Blob(sha256=PLATE, size_bytes=5)
    frames = [media_pb2.SequenceFrame(number=number, blob=blob) for number in numbers]
    return media_pb2.ClipManifest(sequence=media_pb2.FrameSequence(frames=frames, pattern=pattern))


def asked(plate: media_pb2.ClipManifest | None = None, **recipe: object) -> Job:
    given = {"backdrop": jobs_pb2.Backdrop(colour="#336699"), **recipe}
    return Job(shot=jobs_pb2.Shot(plate=plate or movie()), recipe=jobs_pb2.Recipe(**given))  # type: ignore[arg-type]


def rate(job: Job, numerator: int, denominator: int) -> None:
    job.shot.plate.frame_rate.CopyFrom(media_pb2.Rational(numerator=numerator, denominator=denominator))


def setting(job: Job, **settings: object) -> None:
    job.recipe.settings.update(settings)


def planned(job: Job) -> Plan:
    return plan(job, load_catalogue(), SharedFolders({}))


def struct(**values: object) -> struct_pb2.Struct:
    found = struct_pb2.Struct()
    found.update(values)  # type: ignore[arg-type]
    return found


def test_a_plan_fills_in_what_was_left_out() -> None:
    found = planned(asked(sequence(1001, 1002)))
    assert found.job.display_name == "plate"
    assert found.job.recipe.preset == "draft"
    assert (list(found.job.delivery.layers), found.job.delivery.format) == (["comp"], "auto")
    assert found.job.recipe_digest == hashlib.sha256(found.job.resolved_recipe.encode()).hexdigest()
    assert [field for field, _ in found.blobs] == [f"shot.plate.sequence.frames[{i}].blob" for i in (0, 1)]


def test_a_colour_configuration_is_an_input() -> None:
    job = asked()
    job.shot.colour_config.file.CopyFrom(movie("show.ocioz").file)
    found = plan(job, load_catalogue(), SharedFolders({}))
    assert "shot.colour_config.file.blob" in [field for field, _ in found.blobs]
    assert found.job.shot.colour_config.file.filename == "show.ocioz"


def test_what_only_the_daemon_says_is_dropped() -> None:
    job = asked()
    job.state, job.name, job.recipe_digest = Job.SUCCEEDED, "jobs/mine", "forged"
    job.results.add(filename="x")
    found = planned(job).job
    assert (found.state, found.name, len(found.results)) == (0, "", 0)
    assert found.recipe_digest != "forged"


def test_a_picture_backdrop_is_named_by_its_content() -> None:
    for clip, kind in ((movie("sky.PNG"), "still"), (movie("sky.mov"), "clip"), (sequence(1, 2), "clip")):
        found = planned(asked(backdrop=jobs_pb2.Backdrop(media=clip)))
        assert f'"kind":"{kind}"' in found.job.resolved_recipe
        assert "recipe.backdrop.media" in found.blobs[-1][0]


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        (lambda job: job.shot.ClearField("plate"), ShotError, "shot.plate"),
        (lambda job: job.shot.plate.file.blob.Clear(), BlobError, "shot.plate.file.blob"),
        (lambda job: job.shot.plate.CopyFrom(sequence()), ShotError, "shot.plate.sequence.frames"),
        (lambda job: job.shot.plate.CopyFrom(sequence(2, 1)), ShotError, "shot.plate.sequence.frames[1]"),
        (lambda job: job.shot.plate.CopyFrom(sequence(1, 1)), ShotError, "shot.plate.sequence.frames[1]"),
        (lambda job: job.shot.plate.CopyFrom(sequence(1, pattern="a.exr")), ShotError, "shot.plate.sequence.pattern"),
        (
            lambda job: job.shot.plate.CopyFrom(sequence(1, pattern="%d%d.exr")),
            ShotError,
            "shot.plate.sequence.pattern",
        ),
        (lambda job: job.shot.plate.CopyFrom(sequence(1, pattern="%s.exr")), ShotError, "shot.plate.sequence.pattern"),
        (lambda job: job.shot.plate.CopyFrom(sequence(1, pattern="%99999d")), ShotError, "shot.plate.sequence.pattern"),
        (lambda job: job.shot.matte.SetInParent(), ShotError, "shot.matte"),
        (lambda job: job.shot.mask.CopyFrom(movie("")), ShotError, "shot.mask.file.filename"),
        (lambda job: job.shot.plate.frame_rate.SetInParent(), ShotError, "shot.plate.frame_rate"),
        (lambda job: rate(job, 10**18, 1), ShotError, "shot.plate.frame_rate"),
        (lambda job: rate(job, 1, 2**31), ShotError, "shot.plate.frame_rate"),
        (lambda job: rate(job, 2002, 2), ShotError, "shot.plate.frame_rate"),
        (lambda job: setting(job, relight_strength=math.inf), RecipeError, "recipe.settings.relight_strength"),
        (lambda job: setting(job, finish={"wrap": math.nan}), RecipeError, "recipe.settings.finish.wrap"),
        (lambda job: setting(job, finish={"wrap": [1]}), RecipeError, "recipe.settings.finish.wrap"),
        (lambda job: setattr(job.shot, "frames", "5-1"), FrameRangeError, "shot.frames"),
        (lambda job: setattr(job.shot, "frames", ",".join(["0-900000"] * 900)), FrameRangeError, "shot.frames"),
        (lambda job: setattr(job.shot, "handles", -1), ShotError, "shot.handles"),
        (lambda job: setattr(job.shot, "within", "x"), FrameRangeError, "shot.within"),
        (
            lambda job: job.shot.MergeFrom(jobs_pb2.Shot(frames="1-9", within="2-8")),
            FrameRangeError,
            "shot.within",
        ),
        (lambda job: setattr(job.shot, "missing_frames", "blank"), UnknownNameError, "shot.missing_frames"),
        (lambda job: setattr(job.shot.colour_config, "name", "x" * 300), ShotError, "shot.colour_config.name"),
        (
            lambda job: job.shot.colour_config.file.MergeFrom(movie("show.yaml").file),
            ShotError,
            "shot.colour_config.file.filename",
        ),
        (
            lambda job: job.shot.colour_config.file.MergeFrom(media_pb2.MediaFile(filename="show.ocioz")),
            BlobError,
            "shot.colour_config.file.blob",
        ),
        (lambda job: setattr(job.delivery, "compression", "rar"), UnknownNameError, "delivery.compression"),
        (lambda job: setattr(job.recipe, "preset", "draught"), UnknownNameError, "recipe.preset"),
        (lambda job: job.recipe.ClearField("backdrop"), RecipeError, "recipe.backdrop"),
        (lambda job: setattr(job.recipe.backdrop, "colour", "teal"), RecipeError, "recipe.backdrop.colour"),
        (lambda job: setattr(job.recipe.backdrop, "prompt", "a beach"), UnsupportedBackdropError, "recipe.backdrop"),
        (lambda job: setattr(job.recipe, "subject", "x" * 20_000), ShotError, "recipe.subject"),
        (lambda job: job.recipe.settings.update({"relight_strenght": 1}), UnknownNameError, "recipe.settings"),
        (
            lambda job: job.recipe.settings.update({"relight_strength": 7}),
            RecipeError,
            "recipe.settings.finish.relight_strength",
        ),
        (lambda job: job.delivery.layers.append("comb"), UnknownNameError, "delivery.layers"),
        (lambda job: setattr(job.delivery, "format", "avi"), UnknownNameError, "delivery.format"),
        (lambda job: setattr(job, "display_name", "a/b"), ShotError, "display_name"),
        (lambda job: job.labels.update({str(n): "" for n in range(100)}), ShotError, "labels"),
        (
            lambda job: job.shot.plate.shared.MergeFrom(media_pb2.SharedMedia(mapping="nas", path="x.mp4")),
            UnknownNameError,
            "shot.plate.shared.mapping",
        ),
    ],
)
def test_bad_jobs_are_refused_by_field(change: Callable[[Job], None], kind: type[AnyPortalError], field: str) -> None:
    job = asked()
    change(job)
    with pytest.raises(kind) as caught:
        planned(job)
    assert caught.value.where == field


FAR = 4_000_000_000


@pytest.mark.parametrize("missing", ["", "error", "hold", "black"])
@pytest.mark.parametrize(
    ("plate", "shot", "field"),
    [
        (sequence(1, 2), {"frames": "9" * 23}, "shot.frames"),
        (sequence(1, 2), {"frames": "1" * 5000}, "shot.frames"),
        (sequence(1, 2), {"within": "1" * 5000}, "shot.within"),
        (sequence(1, 2), {"frames": "1", "within": f"1,{FAR}"}, "shot.within"),
        (sequence(1, FAR), {}, "shot.frames"),
        (sequence(1, FAR), {"frames": "1", "handles": 2**31 - 1}, "shot.frames"),
        (sequence(1, FAR), {"frames": f"1,{FAR}"}, "shot.frames"),
    ],
)
def test_more_frames_than_anybody_may_have_are_refused_at_once(
    plate: media_pb2.ClipManifest, shot: dict[str, Any], field: str, missing: str
) -> None:
    job = asked(plate)
    job.shot.MergeFrom(jobs_pb2.Shot(missing_frames=missing, **shot))
    with pytest.raises(FrameRangeError) as caught:
        planned(job)
    assert caught.value.where == field
    assert len(str(caught.value)) < 500


def test_the_limit_of_frames_is_the_workers() -> None:
    job = asked(sequence(1, 2, 3, 4))
    for frames, handles, within, fits in (("", 0, "", False), ("2-3", 0, "", True), ("2-3", 9, "", False)):
        job.shot.MergeFrom(jobs_pb2.Shot(frames=frames, handles=handles, within=within))
        if fits:
            plan(job, load_catalogue(), SharedFolders({}), most_frames=3)
        else:
            with pytest.raises(FrameRangeError, match="3 are allowed"):
                plan(job, load_catalogue(), SharedFolders({}), most_frames=3)


ORDERS = ("\x1b]0;owned\x07", "a\x00b", "a\x9b31m", "a\u202eb", "a\nb", "a\x7f")


@pytest.mark.parametrize("text", ORDERS)
@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda job, text: setattr(job.shot.plate, "colour_space", text), "shot.plate.colour_space"),
        (lambda job, text: setattr(job.shot.plate.file, "filename", text), "shot.plate.file.filename"),
        (lambda job, text: setattr(job.delivery, "colour_space", text), "delivery.colour_space"),
        (lambda job, text: setattr(job, "display_name", text), "display_name"),
        (lambda job, text: job.labels.update({"shot": text}), "labels.shot"),
        (lambda job, text: job.labels.update({"\x1b": text}), "labels._"),
        (lambda job, text: setattr(job.recipe, "subject", "\x1b" + text), "recipe.subject"),
        (lambda job, text: setattr(job.recipe.backdrop, "prompt", "\x1b" + text), "recipe.backdrop.prompt"),
        (lambda job, text: job.shot.plate.shared.MergeFrom(media_pb2.SharedMedia(path=text)), "shot.plate.shared.path"),
    ],
)
def test_what_a_terminal_obeys_is_in_no_text(change: Callable[[Job, str], None], field: str, text: str) -> None:
    job = asked()
    change(job, text)
    with pytest.raises(ShotError) as caught:
        planned(job)
    assert caught.value.where == field
    assert str(caught.value).isprintable()


def test_a_subject_may_have_lines() -> None:
    job = asked()
    job.recipe.subject = "a woman\n\tin a red coat"
    assert planned(job).job.recipe.subject == job.recipe.subject


def test_a_range_outside_a_sequence_is_refused_at_once() -> None:
    job = asked(sequence(1001, 1002, 1003))
    job.shot.frames = "1000-1002"
    with pytest.raises(FrameRangeError) as caught:
        planned(job)
    assert "1001-1003" in caught.value.hint


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "C:x", "a\0b", "a\nb", "x" * 300])
def test_a_filename_is_no_path(name: str) -> None:
    with pytest.raises(ShotError):
        planned(asked(movie(name)))


def test_names_of_clips() -> None:
    assert title_of(sequence(1, pattern="hero_plate.%04d.exr")) == "hero_plate"
    assert title_of(sequence(1, pattern="%04d.exr")) == "shot"
    assert title_of(movie("Ünïcode take.2.mov")) == "Ünïcode take.2"
    shared = media_pb2.ClipManifest(shared=media_pb2.SharedMedia(mapping="nas", path="a/b/plate.####.exr"))
    assert (title_of(shared), kind_of(shared)) == ("plate", "clip")
    for name in ("me@home.jpg", "a#1.jpg", "100%d.png"):
        file = media_pb2.MediaFile(filename=name)
        assert kind_of(media_pb2.ClipManifest(file=file)) == "still"
    assert len(title_of(media_pb2.ClipManifest(file=media_pb2.MediaFile(filename="é" * 120 + ".mp4"))).encode()) == 200


def test_settings_come_as_numbers_texts_and_tables() -> None:
    found = planned(asked(settings=struct(relight_strength={"1001": 0.2, "1040": 1}, work={"long_side": 320})))
    assert '"relight_strength":{"1001":0.2,"1040":1.0}' in found.job.resolved_recipe
    assert '"long_side":320' in found.job.resolved_recipe
