"""The plan: which clips, which frames, what is skipped; and every real timeline that is at hand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import opentimelineio as otio
import pytest

from anyportal_client.otio.media import as_sequence, local_path
from anyportal_client.otio.plan import make_plan
from anyportal_client.otio.probes import MediaProblem, probe_movie
from anyportal_client.otio.records import shared as share
from anyportal_client.otio.requests import RequestProblem, read_request
from anyportal_client.otio.run import to_request
from anyportal_client.shot import make_ready
from anyportal_core.testing.clips import write_movie

BLUE = {"backdrop": "#102030"}


def frames(start: float, duration: float, rate: float = 24) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, rate), time(duration, rate))


def sequence(folder: Path, numbers: Iterable[int], name: str = "plate") -> Any:
    """A reference to image files that lie in ``folder``; only their names matter to a plan."""
    numbers = list(numbers)
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{name}.{number:04d}.exr").touch()
    return otio.schema.ImageSequenceReference(
        f"{folder}/", f"{name}.", ".exr", numbers[0], rate=24, frame_zero_padding=4,
        available_range=frames(numbers[0], len(numbers)),
    )  # fmt: skip


def clip(reference: Any, start: float = 1010, duration: float = 10, name: str = "sh010", **more: Any) -> Any:
    return otio.schema.Clip(name, reference, frames(start, duration), **more)


def cut(*items: Any) -> Any:
    timeline = otio.schema.Timeline("cut")
    timeline.tracks.append(otio.schema.Track("Video 1", children=list(items)))
    return timeline


@pytest.fixture
def plate(tmp_path: Path) -> Any:
    return sequence(tmp_path / "plates", range(1001, 1051))


def test_only_clips_that_carry_a_request_are_planned(plate: Any, tmp_path: Path) -> None:
    marker = otio.schema.Marker("sky", metadata={"anyportal": {"backdrop": "#aabbcc"}})
    timeline = cut(
        clip(plate.clone(), name="none"),
        clip(plate.clone(), name="clip", metadata={"anyportal": BLUE}),
        clip(plate.clone(), name="marker", markers=[marker]),
    )
    shots = make_plan(timeline, tmp_path).shots
    assert [(shot.name, shot.request and shot.request.backdrop) for shot in shots] == [
        ("clip", "#102030"),
        ("marker", "#aabbcc"),
    ]
    assert shots[1].origins == {"backdrop": "marker sky"}


def test_a_backdrop_for_all_takes_every_enabled_video_clip(plate: Any, tmp_path: Path) -> None:
    off = clip(plate.clone(), name="off")
    off.enabled = False
    timeline = cut(clip(plate.clone(), name="a"), otio.schema.Gap(source_range=frames(0, 5)), off)
    timeline.tracks.append(otio.schema.Track("A1", children=[clip(plate.clone(), name="sound")], kind="Audio"))
    plan = make_plan(timeline, tmp_path, BLUE)
    assert [(shot.name, shot.track, shot.frames) for shot in plan.shots] == [("a", "Video 1", "1010-1019")]


def test_the_clip_s_own_word_wins_over_the_command_line_s(plate: Any, tmp_path: Path) -> None:
    own = {"anyportal": {"seed": 7, "settings": {"relight_strength": 0.5}}}
    plan = make_plan(
        cut(clip(plate, metadata=own)), tmp_path, {**BLUE, "seed": 1, "settings": {"wrap": 2, "relight_strength": 1}}
    )
    request = plan.shots[0].request
    assert request is not None
    assert (request.seed, request.settings) == (7, {"wrap": 2, "relight_strength": 0.5})
    assert plan.shots[0].origins["settings.wrap"] == "command line"
    assert plan.shots[0].origins["settings.relight_strength"] == "clip"


def test_dissolves_and_handles_add_up_and_end_with_the_media(plate: Any, tmp_path: Path) -> None:
    time = otio.opentime.RationalTime
    dissolve = otio.schema.Transition("x", "SMPTE_Dissolve", time(2, 24), time(3, 24))
    timeline = cut(clip(plate.clone(), 1002, 10, "a"), dissolve, clip(plate.clone(), 1020, 10, "b"))
    a, b = make_plan(timeline, tmp_path, {**BLUE, "handles": 4}).shots
    assert a.span is not None
    assert b.span is not None
    assert (a.span.head, a.span.tail) == (1, 7)
    assert (b.span.head, b.span.tail) == (6, 4)


def test_overlapping_frames_of_one_plate_asked_for_alike_are_one_job(plate: Any, tmp_path: Path) -> None:
    timeline = cut(
        clip(plate.clone(), name="a"),
        clip(plate.clone(), name="b"),
        clip(plate.clone(), name="c", metadata={"anyportal": {"seed": 3}}),
        clip(plate.clone(), 1025, 10, name="a"),
        clip(plate.clone(), 1005, 6, name="d"),
        clip(plate.clone(), 1019, 4, name="e"),
    )
    plan = share(make_plan(timeline, tmp_path, BLUE))
    found = {shot.name: (shot.same_as, shot.frames, shot.range) for shot in plan.shots}
    assert found == {
        "a": ("", "1010-1019", "1005-1022"),
        "b": ("a", "1010-1019", "1010-1019"),
        "c": ("", "1010-1019", "1010-1019"),
        "a_2": ("", "1025-1034", "1025-1034"),
        "d": ("a", "1005-1010", "1005-1010"),
        "e": ("a", "1019-1022", "1019-1022"),
    }
    assert [(shot.name, to_request(shot, "x").frames) for shot in plan.jobs] == [
        ("a", "1005-1022"),
        ("c", "1010-1019"),
        ("a_2", "1025-1034"),
    ]


def test_frames_that_only_touch_and_masks_of_other_frames_are_jobs_of_their_own(plate: Any, tmp_path: Path) -> None:
    (tmp_path / "mask.png").touch()
    masked = {"metadata": {"anyportal": {"mask": "mask.png"}}}
    timeline = cut(
        clip(plate.clone(), 1001, 10, "a"),
        clip(plate.clone(), 1011, 10, "b"),
        clip(plate.clone(), 1021, 10, "c", **masked),
        clip(plate.clone(), 1022, 10, "d", **masked),
    )
    assert [shot.same_as for shot in share(make_plan(timeline, tmp_path, BLUE)).shots] == [""] * 4


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (otio.schema.LinearTimeWarp(time_scalar=2), ("1010-1029", 2.0)),
        (otio.schema.LinearTimeWarp(time_scalar=-1), ("1010-1019", -1.0)),
        (otio.schema.FreezeFrame(), ("1010", 0.0)),
    ],
)
def test_constant_retimes_take_source_frames(
    plate: Any, tmp_path: Path, effect: Any, expected: tuple[str, float]
) -> None:
    shot = make_plan(cut(clip(plate, effects=[effect])), tmp_path, BLUE).shots[0]
    assert shot.span is not None
    assert (shot.frames, shot.span.speed) == expected


def test_what_cannot_be_done_is_skipped_and_said(plate: Any, tmp_path: Path) -> None:
    gone = plate.clone()
    gone.target_url_base = f"{tmp_path}/gone/"
    ramp = otio.schema.TimeEffect(effect_name="TimeWarp")
    retimed = otio.schema.Stack("nest", children=[clip(plate.clone(), name="inner")], effects=[ramp.clone()])
    timeline = cut(
        clip(gone, name="offline"),
        clip(plate.clone(), name="ramp", effects=[ramp]),
        clip(plate.clone(), 2000, name="outside"),
        clip(None, name="nothing"),
        clip(plate.clone(), name="typo", metadata={"anyportal": {"backdorp": "sky.png"}}),
        clip(plate.clone(), name="lost", metadata={"anyportal": {"backdrop": "sky.png"}}),
        clip(plate.clone(), name="short", metadata={"anyportal": {"range": "1012-1015"}}),
        retimed,
    )
    plan = make_plan(timeline, tmp_path, BLUE)
    problems = {shot.name: shot.problem for shot in plan.shots}
    for name, word in {
        "offline": "is not there",
        "ramp": "changes speed over time",
        "outside": "shows frames from 2000",
        "nothing": "no media reference",
        "typo": "did you mean backdrop?",
        "lost": "sky.png is not there",
        "short": "leaves out frames that the clip shows: 1010-1019",
        "inner": "nested sequence that is retimed",
    }.items():
        assert word in problems[name]
    assert plan.jobs == []
    assert plan.shots[0].frames == "1010-1019"  # offline media are planned all the same


def test_a_range_of_the_request_widens_the_clip(plate: Any, tmp_path: Path) -> None:
    own = {"anyportal": {**BLUE, "range": "1005-1030"}}
    shot = make_plan(cut(clip(plate, metadata=own)), tmp_path).shots[0]
    assert shot.frames == "1005-1030"
    assert shot.span is not None
    assert (shot.span.first, shot.span.last) == (1010, 1019)


def test_missing_available_range_is_read_from_the_files(plate: Any, tmp_path: Path) -> None:
    plate.available_range = None
    shot = make_plan(cut(clip(plate)), tmp_path, {**BLUE, "handles": 20}).shots[0]
    assert shot.frames == "1001-1039"


def test_handles_end_where_the_files_end(plate: Any, tmp_path: Path) -> None:
    plate.available_range = frames(86400, 100)  # as a host may state it: more than was ever rendered
    cut_of = {"whole": clip(plate.clone(), 86410, 10), "end": clip(plate.clone(), 86440, 20)}
    shots = {name: make_plan(cut(each), tmp_path, {**BLUE, "handles": 80}).shots[0] for name, each in cut_of.items()}
    assert {name: (shot.frames, shot.notes) for name, shot in shots.items()} == {
        "whole": ("1001-1050", ()),
        "end": ("1001-1050", ("the clip shows 10 frames that the media have not",)),
    }
    for number in range(1001, 1011):
        (tmp_path / f"plates/plate.{number}.exr").unlink()
    late = make_plan(cut(clip(plate.clone(), 86415, 10)), tmp_path, {**BLUE, "handles": 80}).shots[0]
    assert late.span is not None
    assert (late.frames, late.span.first, late.span.last) == ("1011-1050", 1016, 1025)
    assert late.span.origin + late.span.first == 86415


def test_frames_that_are_not_there_at_all_skip_the_shot(plate: Any, tmp_path: Path) -> None:
    plate.start_frame = 2001
    plate.available_range = frames(2001, 50)
    shot = make_plan(cut(clip(plate, 2010)), tmp_path, BLUE).shots[0]
    assert "plate.%04d.exr has frames 1001-1050, and the timeline wants 2001-2050" in shot.problem


@pytest.mark.parametrize(("stated", "shown"), [(1001, 1010), (86400, 86409), (1006, 1010)])
def test_a_bare_pattern_is_numbered_by_the_stated_time_or_by_the_files(
    plate: Any, tmp_path: Path, stated: int, shown: int
) -> None:
    bare = otio.schema.ExternalReference(f"{tmp_path}/plates/plate.%04d.exr", frames(stated, 30))
    assert make_plan(cut(clip(bare, shown)), tmp_path, BLUE).shots[0].frames == "1010-1019"


@pytest.mark.parametrize(("name", "late"), [("a.mkv", 0), ("a.mov", 0), ("a.ts", 0), ("late.mkv", 12), ("bare.m4v", 0)])
def test_sound_that_lasts_longer_adds_no_frames(tmp_path: Path, name: str, late: int) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        video = container.add_stream("mpeg4", rate=24)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream("mp2", rate=48000) if name != "bare.m4v" else None
        for number in range(24):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = number + late, Fraction(1, 24)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for number in range(125 if sound else 0):  # three seconds
            part = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), "s16", "stereo")
            part.sample_rate, part.pts, part.time_base = 48000, 1152 * number, Fraction(1, 48000)
            container.mux(sound.encode(part))
        container.mux(sound.encode() if sound else [])
    assert probe_movie(tmp_path / name).count == 24


def test_a_movie_s_own_timecode_rate_and_length_are_taken(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "tc.mov", np.zeros((20, 16, 16, 3), np.float32), timecode="10:00:00:00")
    hour = 36000 * 24
    bare = otio.schema.ExternalReference(path.name)
    wrong = otio.schema.ExternalReference(path.name, frames(hour * 25 / 24, 500, 25))
    plain = otio.schema.ExternalReference(path.name)
    timeline = cut(
        clip(bare, hour + 5, 10, "absolute"),
        clip(plain, 5, 10, "from zero"),
        otio.schema.Clip("rates", wrong, frames((hour + 5) * 25 / 24, 10, 25)),
    )
    shots = make_plan(timeline, tmp_path, {**BLUE, "handles": 8}).shots
    assert [(shot.name, shot.frames) for shot in shots] == [
        ("absolute", "0-19"),
        ("from_zero", "0-19"),
        ("rates", "0-19"),
    ]
    assert [shot.span and shot.span.first for shot in shots] == [5, 5, 5]
    assert [shot.span and shot.span.last for shot in shots] == [14, 14, 14]


def test_an_unreadable_movie_is_skipped_and_said(tmp_path: Path) -> None:
    (tmp_path / "broken.mov").write_bytes(b"no movie")
    shot = make_plan(cut(clip(otio.schema.ExternalReference("broken.mov"))), tmp_path, BLUE).shots[0]
    assert "cannot be read as video" in shot.problem


def test_names_are_fit_for_files_and_unique(plate: Any, tmp_path: Path) -> None:
    names = ["A B.mov", "a_b", "x/../y", "", "...", "sh.010"]
    timeline = cut(*(clip(plate.clone(), 1001 + i, name=name) for i, name in enumerate(names)))
    found = [shot.name for shot in make_plan(timeline, tmp_path, BLUE).shots]
    assert found == ["A_B", "a_b_2", "y", "shot", "shot_2", "sh.010"]


def test_paths_of_a_request_start_from_the_timeline(plate: Any, tmp_path: Path) -> None:
    (tmp_path / "sky.png").touch()
    own = {"anyportal": {"backdrop": "sky.png"}}
    request = make_plan(cut(clip(plate, metadata=own)), tmp_path).shots[0].request
    assert request is not None
    assert request.backdrop == str(tmp_path / "sky.png")
    assert read_request([("clip", {"backdrop": "a harbour at dusk"})], tmp_path)[0].backdrop == "a harbour at dusk"


def test_a_request_may_take_the_plate_s_own_alpha(plate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alpha").mkdir()
    monkeypatch.chdir(tmp_path)  # a folder of that name is none of the timeline's
    own = clip(plate, metadata={"anyportal": {**BLUE, "matte": "alpha"}})
    request = to_request(make_plan(cut(own), tmp_path / "cut").shots[0], "sh010_v001")
    assert request.matte is None and request.settings == {"matte.plugin": "draft.supplied"}
    beside = read_request([("clip", {**BLUE, "matte": "alpha"})], tmp_path)[0]
    assert beside.matte == str(tmp_path / "alpha")


WRONG: list[dict[str, Any]] = [{"backdrop": 3}, {"seed": "x"}, {"handles": -1}, {"layers": ","}, {"mask_frame": 5}]


@pytest.mark.parametrize("given", [{}, *({**BLUE, **wrong} for wrong in WRONG)])
def test_values_of_the_wrong_kind_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RequestProblem):
        read_request([("clip", given)], tmp_path)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("plates/a.mov", "/cut/plates/a.mov"),
        ("../a b#1.mov", "/a b#1.mov"),
        ("/x/100%25.mov", "/x/100%25.mov"),
        ("file:///x/a%20b.mov", "/x/a b.mov"),
        ("file://localhost/D%3a/media/a.mov", "D:/media/a.mov"),
        ("file:///C:/media/a.mov", "C:/media/a.mov"),
        (r"C:\media\a.mov", "C:/media/a.mov"),
        (r"\\server\share\a.mov", "//server/share/a.mov"),
        ("file://server/share/a.mov", "//server/share/a.mov"),
    ],
)
def test_urls_of_every_host_become_paths(url: str, path: str) -> None:
    assert local_path(url, Path("/cut")) == Path(path)


def test_media_on_the_web_are_refused() -> None:
    with pytest.raises(MediaProblem, match="no local file"):
        local_path("https://example.com/a.mov", Path("/cut"))


@pytest.mark.parametrize(
    ("name", "pattern", "first"),
    [
        ("a.[1001-1100].exr", "a.%04d.exr", 1001),
        ("a.%05d.png", "a.%05d.png", None),
        ("v2.###.tif", "v2.%03d.tif", None),
        ("take_1.0001.exr", "take_1.%04d.exr", 1),
    ],
)
def test_sequences_in_every_notation(name: str, pattern: str, first: int | None) -> None:
    found = as_sequence(Path("/x") / name)
    assert (found.path.name, found.sequence, found.first) == (pattern, True, first)


def test_a_sign_of_percent_in_a_name_is_a_letter(tmp_path: Path) -> None:
    timeline = cut(clip(sequence(tmp_path / "plates", range(1001, 1051), "50%off")))
    for path in (tmp_path / "100%.jpg", *(tmp_path / "plates").iterdir()):
        path.write_bytes(b"picture")
    shot = make_plan(timeline, tmp_path, {"backdrop": str(tmp_path / "100%.jpg")}).shots[0]
    assert (shot.problem, shot.frames) == ("", "1010-1019")
    assert len(make_ready(to_request(shot, "sh010_v001")).plate.files) == 10
    with pytest.raises(RequestProblem, match=r"200%\.jpg is not there"):
        read_request([("clip", {"backdrop": "200%.jpg"})], tmp_path)


def test_the_missing_head_of_a_sequence_moves_no_frame(tmp_path: Path) -> None:
    """A range counted from zero means frames of the sequence as stated, also where its first ones are not there."""
    plate = sequence(tmp_path / "plates", range(1001, 1061))
    plate.start_frame, plate.available_range = 990, frames(990, 71)
    [zero, numbered] = make_plan(cut(clip(plate.clone(), 10), clip(plate.clone(), 1000)), tmp_path, BLUE).shots
    assert (zero.frames, zero.notes) == ("1001-1009", ("the clip shows 1 frames that the media have not",))
    assert (numbered.frames, numbered.notes) == (zero.frames, zero.notes)


@pytest.mark.parametrize("name", ["IMG_0715.jpg", "shot.0010.mov", "still.png"])
def test_single_files_stay_single(name: str) -> None:
    assert not as_sequence(Path("/x") / name).sequence


def _expected() -> list[Any]:
    file = Path(__file__).parents[3] / "shared/timelines/clips/expected.json"
    return sorted(json.loads(file.read_text()).items()) if file.exists() else []


@pytest.mark.parametrize(("name", "expected"), _expected(), ids=[name for name, _ in _expected()])
def test_clips_of_real_hosts_take_the_frames_a_published_pipeline_takes(
    name: str, expected: dict[str, Any], shared: Path
) -> None:
    path = shared / "timelines/clips" / name
    asked = expected["handles_asked"]
    plan = make_plan(otio.adapters.read_from_file(str(path)), path.parent, {**BLUE, "handles": max(asked)})
    span = plan.shots[0].span
    assert span is not None
    assert span.first == int(expected["first"] + 0.01)
    assert abs(span.last - expected["last"]) < 2
    assert span.speed == expected["speed"]
    granted = [have if want else 0 for have, want in zip((span.head, span.tail), asked, strict=True)]
    assert granted == expected["handles_granted"]


def test_real_timelines_plan_without_an_exception(shared: Path) -> None:
    files = sorted(path for path in (shared / "timelines").iterdir() if path.suffix not in (".md", ""))
    assert files
    for file in files:
        for shot in make_plan(otio.adapters.read_from_file(str(file)), file.parent, BLUE).shots:
            assert shot.problem or shot.frames


def test_a_thousand_clips_plan_quickly(plate: Any, tmp_path: Path) -> None:
    timeline = cut(*(clip(plate.clone(), 1001 + i % 20, name=f"sh{i}") for i in range(1000)))
    began = time.monotonic()
    assert len(make_plan(timeline, tmp_path, BLUE).shots) == 1000
    assert time.monotonic() - began < 3
