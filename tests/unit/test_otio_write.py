"""The written timeline: plates kept, versions added, times right, nothing half written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

from anyportal_client.errors import StorageError
from anyportal_client.otio.media import describe
from anyportal_client.otio.outcomes import Result
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import Plan, make_plan
from anyportal_client.otio.probes import Probes
from anyportal_client.otio.shape import shape
from anyportal_client.otio.timing import Times, find_span
from anyportal_client.otio.versions import claim_version, next_version
from anyportal_client.otio.write import add_versions, carry_versions, output_path, write_timeline

BLUE = {"backdrop": "#102030", "handles": 4}


def frames(start: float, duration: float, rate: float = 24) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, rate), time(duration, rate))


def timeline_of(reference: Any, start: float, duration: float = 10) -> Any:
    track = otio.schema.Track("Video 1", children=[otio.schema.Clip("sh010", reference, frames(start, duration))])
    return otio.schema.Timeline("cut", tracks=[track])


@pytest.fixture
def plate(tmp_path: Path) -> Callable[[float], Any]:
    """An image sequence 1001-1050 whose first frame has the given time."""
    for number in range(1001, 1051):
        (tmp_path / f"plate.{number}.exr").touch()
    return lambda origin: otio.schema.ImageSequenceReference(
        "", "plate.", ".exr", 1001, rate=24, frame_zero_padding=4, available_range=frames(origin, 50)
    )


def planned(timeline: Any, folder: Path) -> Plan:
    return shape(make_plan(timeline, folder, BLUE), Places(folder))


def seen(reference: Any, folder: Path) -> Any:
    return describe(reference, Places(folder), Probes())


def written(plan: Plan, result: Result, folder: Path) -> Any:
    path = folder / "out" / "cut_anyportal.otio"
    path.parent.mkdir(exist_ok=True)
    add_versions(plan, {"sh010": result})
    write_timeline(plan.timeline, path)
    assert list(path.parent.glob("*.part")) == []
    return next(iter(otio.adapters.read_from_file(str(path)).find_clips()))


def sequence_result(folder: Path, plan: Plan, version: int = 1) -> Result:
    """A finished job: the frames that the plan asked for, on disk under the plate's numbers."""
    span = plan.shots[0].span
    assert span is not None
    first, last = span.frames
    place = folder / "out" / "sh010" / f"v{version:03d}"
    place.mkdir(parents=True)
    for number in range(first, last + 1):
        (place / f"sh010.{number}.exr").touch()
    return Result(version, {"comp": place / "sh010.%04d.exr"}, (first, last), {"job": "jobs/1", "seed": 0})


@pytest.mark.parametrize(
    ("origin", "start", "absolute"), [(1001, 1011, 1011), (86400, 86410, 86410), (1001, 10, 1011), (0, 10, 10)]
)
def test_the_clip_shows_the_same_frames_of_the_result_as_of_the_plate(
    plate: Callable[[float], Any], tmp_path: Path, origin: float, start: float, absolute: float
) -> None:
    plan = planned(timeline_of(plate(origin), start), tmp_path)
    assert plan.shots[0].frames == "1007-1024"
    clip = written(plan, sequence_result(tmp_path, plan), tmp_path)
    assert clip.active_media_reference_key == "anyportal_v001"
    assert clip.source_range == frames(absolute, 10)
    media = seen(clip.media_reference, tmp_path)
    assert media.missing == ""
    assert media.extent is not None
    span = find_span(Times(absolute, 10, 24), media.extent, 1.0, (99, 99))
    assert span is not None
    assert (span.first, span.last, span.head, span.tail) == (1011, 1020, 4, 4)
    assert clip.available_range().start_time.value <= absolute


def test_a_movie_result_keeps_the_times_of_the_plate(plate: Callable[[float], Any], tmp_path: Path) -> None:
    plan = planned(timeline_of(plate(86400), 86410), tmp_path)
    movie = tmp_path / "out" / "sh010.mp4"
    clip = written(plan, Result(1, {"matte": tmp_path / "m.mp4", "comp": movie}, (1007, 1024)), tmp_path)
    assert clip.media_reference.target_url == movie.as_posix()
    assert clip.media_reference.available_range == frames(86406, 18)
    assert clip.media_reference.metadata["anyportal"]["files"]["matte"] == (tmp_path / "m.mp4").as_posix()


def test_the_plate_stays_and_relative_paths_survive_the_move(plate: Callable[[float], Any], tmp_path: Path) -> None:
    plan = planned(timeline_of(plate(1001), 1011), tmp_path)
    clip = written(plan, sequence_result(tmp_path, plan), tmp_path)
    kept = clip.media_references()["DEFAULT_MEDIA"]
    assert kept.available_range == frames(1001, 50)
    assert seen(kept, tmp_path / "elsewhere").missing == ""


def test_later_runs_add_versions_and_keep_the_earlier(plate: Callable[[float], Any], tmp_path: Path) -> None:
    first = planned(timeline_of(plate(1001), 1011), tmp_path)
    written(first, sequence_result(tmp_path, first), tmp_path)
    earlier = otio.adapters.read_from_file(str(tmp_path / "out/cut_anyportal.otio"))
    second = planned(timeline_of(plate(1001), 1011), tmp_path)
    carry_versions(second, earlier)
    version = next_version([second.shots[0].clip], tmp_path / "nothing")
    assert version == 2
    clip = written(second, sequence_result(tmp_path, second, version), tmp_path)
    assert list(clip.media_references()) == ["DEFAULT_MEDIA", "anyportal_v001", "anyportal_v002"]
    assert clip.active_media_reference_key == "anyportal_v002"


@pytest.mark.parametrize(("before", "after"), [("anyportal_v001", "anyportal_v001"), ("DEFAULT_MEDIA",) * 2])
def test_a_run_that_comes_to_nothing_leaves_each_clip_on_what_it_showed(
    plate: Callable[[float], Any], tmp_path: Path, before: str, after: str
) -> None:
    first = planned(timeline_of(plate(1001), 1011), tmp_path)
    written(first, sequence_result(tmp_path, first), tmp_path)
    path = tmp_path / "out/cut_anyportal.otio"
    earlier = otio.adapters.read_from_file(str(path))
    next(iter(earlier.find_clips())).active_media_reference_key = before
    second = planned(timeline_of(plate(1001), 1011), tmp_path)
    carry_versions(second, earlier)
    write_timeline(second.timeline, path)
    clip = next(iter(otio.adapters.read_from_file(str(path)).find_clips()))
    assert list(clip.media_references()) == ["DEFAULT_MEDIA", "anyportal_v001"]
    assert clip.active_media_reference_key == after


def test_a_processed_timeline_is_planned_from_its_plates(plate: Callable[[float], Any], tmp_path: Path) -> None:
    first = planned(timeline_of(plate(86400), 86410), tmp_path)
    written(first, sequence_result(tmp_path, first), tmp_path)
    path = tmp_path / "out/cut_anyportal.otio"
    again = make_plan(otio.adapters.read_from_file(str(path)), path.parent, BLUE).shots[0]
    assert again.media == first.shots[0].media
    assert again.span == first.shots[0].span


def test_a_version_whose_files_are_there_is_not_free(tmp_path: Path) -> None:
    (tmp_path / "v004").mkdir()
    assert next_version([otio.schema.Clip()], tmp_path) == 5
    assert next_version([otio.schema.Clip()], tmp_path / "new") == 1


def test_two_batches_at_once_take_different_versions(tmp_path: Path) -> None:
    clip = otio.schema.Clip()
    claims = [claim_version([clip], tmp_path / "sh010") for _ in range(2)]
    assert [(claim.version, claim.folder) for claim in claims] == [
        (1, tmp_path / "sh010" / "v001"),
        (2, tmp_path / "sh010" / "v002"),
    ]
    (tmp_path / "sh020").touch()
    with pytest.raises(StorageError):
        claim_version([clip], tmp_path / "sh020")


def test_what_a_dead_run_left_is_gone_on_with_for_the_same_and_else_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "sh010"
    for wish in ("old", "same"):
        claim = claim_version([], folder)
        claim.note(wish, f"jobs/{wish}")
        assert claim.mark is not None
        claim.mark.close()  # as the system does with a process that dies
    alive = claim_version([], folder, "another")
    assert [path.name for path in folder.iterdir()] == ["v001"]  # both are taken away: neither is for this
    claim_version([], folder).note("same", "jobs/living")
    dead = claim_version([], folder)
    dead.note("same", "jobs/7")
    assert dead.mark is not None
    dead.mark.close()
    again = claim_version([], folder, "same")
    assert (again.version, again.job) == (dead.version, "jobs/7")
    again.finish()
    assert list(again.folder.iterdir()) == []
    mark = json.dumps({"wish": "same", "job": "jobs/9", "host": "another machine"})
    (folder / "v009").mkdir()
    (folder / "v009/.running").write_text(mark)
    assert claim_version([], folder, "same").version == 10  # its lock need not be seen from here
    alive.drop()
    assert not alive.folder.exists()


def test_a_clip_without_a_result_is_left_as_it_was(plate: Callable[[float], Any], tmp_path: Path) -> None:
    plan = planned(timeline_of(plate(1001), 1011), tmp_path)
    path = tmp_path / "cut_anyportal.otio"
    write_timeline(plan.timeline, path)
    clip = next(iter(otio.adapters.read_from_file(str(path)).find_clips()))
    assert list(clip.media_references()) == ["DEFAULT_MEDIA"]


def test_a_processed_timeline_keeps_its_name(tmp_path: Path) -> None:
    assert output_path(Path("a/cut.otio"), tmp_path).name == "cut_anyportal.otio"
    assert output_path(Path("a/cut_anyportal.otio"), tmp_path).name == "cut_anyportal.otio"
