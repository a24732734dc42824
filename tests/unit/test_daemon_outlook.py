"""What users may expect of a job: from earlier jobs' times, and honest about what is not known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Job, JobEvent
from anyportal_core.recipe import canonical_json
from anyportal_core.record import Extent, StageRecord
from anyportal_daemon.jobs import outlook
from anyportal_daemon.jobs.estimates import Estimate, Experience, JobSize, Opening, Sample, maker_of, size_of
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.outlook import Outlooks
from anyportal_daemon.jobs.scheduler import Scheduler

HD = Extent(frames=100, work_pixels=640 * 360, delivered=100, pixels=1920 * 1080)
STAGES = ("matte", "refine")


def recipe(**settings: object) -> str:
    roles = {role: {"plugin": f"draft.{role}"} for role in STAGES}
    roles["refine"].update(settings)  # type: ignore[arg-type]
    return canonical_json({"work": {"long_side": 640}, "backdrop": {"kind": "colour", "value": "#000000"}, **roles})


def job(frames: int | None = None, plate: str = "a" * 64, **settings: object) -> Job:
    clip = media_pb2.ClipManifest(file=media_pb2.MediaFile(blob=media_pb2.Blob(sha256=plate), filename="plate.mov"))
    shot = jobs_pb2.Shot(plate=clip, frames=f"0-{frames - 1}" if frames else "")
    delivery = jobs_pb2.Delivery(layers=["comp"], format="mp4")
    return Job(shot=shot, delivery=delivery, resolved_recipe=recipe(**settings))


class Desk:
    """A journal in which jobs take as long as they are told to."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self.scheduler = Scheduler(self.journal)
        self.outlooks = Outlooks(self.journal, self.scheduler)

    def send(self, asked: Job) -> str:
        return self.journal.create("ann", asked, [], None).name.removeprefix("jobs/")

    def begin(self, job_id: str) -> None:
        self._move(job_id, Job.RUNNING)

    def stage(self, job_id: str, stage: str, seconds: float, extent: Extent = HD, **settings: object) -> None:
        if stage == "finish":
            record = StageRecord("finish", "", "", False, seconds, 0, extent.delivered * extent.pixels)
        else:
            decided_by = canonical_json({"plugin": [f"draft.{stage}", "1"], "settings": settings})
            record = StageRecord(stage, decided_by, "k", False, seconds, 10, extent.frames * extent.work_pixels)
        self.journal.ledger.note(job_id, record)

    def run(self, asked: Job, extent: Extent = HD, scale: float = 1.0) -> str:
        """A job that takes 4 s for its matte, 2 s to refine and 10 s to finish."""
        job_id = self.send(asked)
        self.begin(job_id)
        self.journal.ledger.note(job_id, extent)
        for stage, seconds in (("matte", 4.0), ("refine", 2.0), ("finish", 10.0)):
            self.stage(job_id, stage, seconds * scale, extent)
        self._move(job_id, Job.SUCCEEDED)
        return job_id

    def expected(self, job_id: str) -> jobs_pb2.Outlook:
        found = self.outlooks.look().of(job_id)
        assert found is not None
        return found

    def _move(self, job_id: str, state: Job.State.ValueType) -> None:
        def update(status: Job) -> list[JobEvent]:
            status.state = state
            return [JobEvent(state=jobs_pb2.StateChange(state=state))]

        self.journal.change(job_id, update)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "journal.db")
    yield desk
    desk.journal.close()


def test_of_the_first_job_nothing_is_known_but_its_place(desk: Desk) -> None:
    desk.send(job())
    expected = desk.expected(desk.send(job()))
    assert expected.queue_position == 2
    assert not expected.HasField("start_seconds") and not expected.HasField("end_seconds")
    assert expected.unknown == "no earlier job was made in the same way"


def test_the_same_job_again_takes_as_long(desk: Desk) -> None:
    desk.run(job())
    expected = desk.expected(desk.send(job()))
    assert (expected.queue_position, expected.start_seconds, expected.end_seconds) == (1, 0, 16)
    assert not expected.rough and not expected.unknown


def test_half_as_many_frames_take_half_as_long(desk: Desk) -> None:
    desk.run(job())
    assert desk.expected(desk.send(job(50))).end_seconds == pytest.approx(8)


def test_a_job_waits_for_all_before_it(desk: Desk) -> None:
    desk.run(job())
    desk.send(job())
    desk.send(job(50))
    expected = desk.expected(desk.send(job()))
    assert (expected.queue_position, expected.start_seconds, expected.end_seconds) == (3, 24, 40)


def test_jobs_wait_for_the_first_worker_that_is_free(desk: Desk) -> None:
    desk.run(job(100))
    desk.scheduler.workers = lambda: 2
    runs, *waiting = [desk.send(job(100)) for _ in range(4)]
    desk.begin(runs)
    found = [desk.expected(each) for each in waiting]
    assert [each.queue_position for each in found] == [1, 2, 3]
    assert [each.start_seconds for each in found] == [0, pytest.approx(16, abs=1), pytest.approx(16, abs=1)]


def test_another_plate_is_told_roughly(desk: Desk) -> None:
    desk.run(job())
    expected = desk.expected(desk.send(job(100, plate="b" * 64)))
    assert expected.rough and expected.end_seconds == pytest.approx(16)


def test_a_movie_that_nobody_opened_has_no_length(desk: Desk) -> None:
    desk.run(job())
    desk.send(job(plate="b" * 64))
    expected = desk.expected(desk.send(job()))
    assert not expected.HasField("start_seconds")
    assert expected.unknown == "how long a job before it takes is not known"


def test_another_plug_in_is_not_known(desk: Desk) -> None:
    desk.run(job())
    other = job()
    other.resolved_recipe = other.resolved_recipe.replace("draft.refine", "cogvideox")
    assert desk.expected(desk.send(other)).unknown == "no earlier job was made in the same way"


def test_other_settings_are_guessed_until_they_were_tried(desk: Desk) -> None:
    desk.run(job())
    assert desk.expected(desk.send(job(steps=50))).end_seconds == pytest.approx(16)
    slow = desk.send(job(steps=50))
    desk.begin(slow)
    desk.stage(slow, "refine", 30.0, steps=50)
    desk._move(slow, Job.CANCELLED)
    expected = desk.expected(desk.send(job(steps=50)))
    assert expected.end_seconds - expected.start_seconds == pytest.approx(4 + 30 + 10)


def test_a_running_job_has_what_is_left_of_it(desk: Desk) -> None:
    desk.run(job())
    running, behind = desk.send(job()), desk.send(job())
    desk.begin(running)

    def half_refined(status: Job) -> list[JobEvent]:
        status.progress.stage, status.progress.stage_fraction, status.progress.fraction = "refine", 0.5, 0.4
        return []

    desk.journal.change(running, half_refined)
    assert desk.expected(running).queue_position == 0
    assert desk.expected(running).end_seconds == pytest.approx(11)
    assert desk.expected(behind).start_seconds == pytest.approx(11)


def test_a_running_job_of_a_new_kind_is_told_from_its_own_progress() -> None:
    status = Job(progress=jobs_pb2.Progress(stage="matte", fraction=0.05))
    unknown = Estimate(unknown="new")
    assert outlook.remaining(status, unknown, 10.0) is None
    status.progress.fraction = 0.25
    assert outlook.remaining(status, unknown, 10.0) == pytest.approx(30)


def test_what_is_reused_teaches_nothing(desk: Desk) -> None:
    desk.run(job())
    again = desk.send(job())
    desk.begin(again)
    reused = StageRecord(
        "matte", canonical_json({"plugin": ["draft.matte", "1"], "settings": {}}), "k", True, 0.0, 10, 1
    )
    desk.journal.ledger.note(again, reused)
    assert desk.expected(desk.send(job())).end_seconds == pytest.approx(16 + 16)


def test_ended_jobs_have_no_outlook(desk: Desk) -> None:
    assert desk.outlooks.look().of(desk.run(job())) is None


def test_a_job_that_was_begun_since_is_not_told_a_place_in_the_queue(desk: Desk) -> None:
    job_id = desk.send(job())
    look = desk.outlooks.look()
    desk.begin(job_id)
    whole = desk.journal.job("ann", job_id)
    assert not look.add(whole) and not whole.HasField("outlook")
    assert desk.outlooks.look().add(whole) and whole.outlook.queue_position == 0


def test_a_job_that_is_queued_again_is_behind_those_that_waited(desk: Desk) -> None:
    """What is kept of a job from one look to the next is no older than its place."""
    first, second = desk.send(job()), desk.send(job())
    assert desk.expected(first).queue_position == 1
    desk._move(first, Job.CANCELLED)
    assert desk.expected(second).queue_position == 1
    desk._move(first, Job.QUEUED)
    assert (desk.expected(first).queue_position, desk.expected(second).queue_position) == (2, 1)


samples = st.lists(st.builds(Sample, st.integers(1, 10**9), st.floats(0.001, 1e4)), min_size=1, max_size=30)


@given(samples, st.integers(1, 10**9))
def test_an_estimate_is_never_beyond_what_was_seen(found: list[Sample], volume: int) -> None:
    experience = Experience({("matte", "p x"): found}, {}, {})
    seconds = experience.seconds("matte", "p x", volume)
    rates = [sample.seconds / sample.volume for sample in found]
    assert seconds is not None
    assert min(rates) * volume * 0.999 <= seconds <= max(rates) * volume * 1.001


@given(st.integers(64, 4096), st.integers(64, 4096))
def test_work_pixels_follow_the_work_size_up_to_the_plate(side: int, other: int) -> None:
    opened = Opening(10, side * side // 2, 10, 4096 * 4096, side)
    scaled = opened.at(other).work_pixels
    assert scaled <= opened.pixels
    assert scaled == pytest.approx(min(other * other / 2, opened.pixels), rel=0.01)


def test_sizes_survive_being_written_down() -> None:
    size = size_of(job(7))
    assert JobSize.of_text(size.as_text()) == size
    assert (size.frames, size.delivered, size.side, size.plate) == (7, 7, 640, "a" * 64)
    assert size.makers["matte"] == maker_of("draft.matte", {})
    assert json.loads(JobSize().as_text()) and JobSize.of_text("") == JobSize()
