"""Cuts of every format, and media that are found although the cut comes from another machine."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest

from anyportal_client.errors import MediaError, UsageError
from anyportal_client.otio.batch import Wish, planned_batch
from anyportal_client.otio.exports import forecast, write_exports
from anyportal_client.otio.flatten import FORMATS, read_formats
from anyportal_client.otio.outcomes import Result
from anyportal_client.otio.places import Places, read_path_map
from anyportal_client.otio.plan import Plan, make_plan
from anyportal_client.otio.reading import Cut, opened, read_cut
from anyportal_client.otio.shape import shape
from anyportal_client.otio.write import add_versions, output_path, write_timeline
from anyportal_core.testing.clips import write_movie

BLUE = {"backdrop": "#102030"}
Time, Range = otio.opentime.RationalTime, otio.opentime.TimeRange


def frames(start: float, duration: float, rate: float = 24) -> Any:
    return Range(Time(start, rate), Time(duration, rate))


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    write_movie(folder / "a.mov", np.zeros((40, 16, 16, 3), np.float32), timecode="01:00:00:00")
    return folder


def cut_of(footage: Path) -> Any:
    """Two clips of one movie with a dissolve between them, one at double speed, after a gap."""
    one, two = (
        otio.schema.Clip(name, otio.schema.ExternalReference((footage / "a.mov").as_uri(), frames(86400, 40)), source)
        for name, source in (("one", frames(86405, 10)), ("two", frames(86420, 8)))
    )
    two.effects.append(otio.schema.LinearTimeWarp(time_scalar=2))
    one.markers.append(otio.schema.Marker("m", frames(86406, 1), color="BLUE"))
    track = otio.schema.Track("Video 1", children=[otio.schema.Gap(source_range=frames(0, 12)), one, two])
    timeline = otio.schema.Timeline("cut", global_start_time=Time(86400, 24))
    timeline.tracks.append(track)
    return timeline


@contextmanager
def planned(path: Path, **more: Any) -> Iterator[tuple[Plan, Cut]]:
    with opened(path, **more) as cut:
        yield make_plan(cut.root, Places(cut.base), BLUE, notes=cut.notes), cut


def found(plan: Plan) -> list[tuple[str, str]]:
    return [(shot.name, shot.problem or shot.frames) for shot in plan.shots]


@pytest.mark.parametrize("ending", ["otio", "otioz", "otiod", "edl", "xml", "fcpxml"])
def test_a_cut_of_any_format_is_planned_alike(footage: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"cut.{ending}"
    timeline = cut_of(footage)
    if ending == "fcpxml":
        del timeline.tracks[0][2].effects[0]  # retimes are nothing that this adapter writes
    otio.adapters.write_to_file(timeline, str(path))
    lines = path.read_text() if ending == "edl" else ""
    if lines:  # an EDL names files, and no folders that would be believed
        shutil.copy(footage / "a.mov", tmp_path / "a.mov")
    with planned(path) as (plan, _):
        speeds = [shot.span.speed for shot in plan.shots if shot.span]
        assert (found(plan), speeds[:1]) == (expected_of(ending), [1.0])


def expected_of(ending: str) -> list[tuple[str, str]]:
    """What every format keeps; FCP 7's adapter writes no retimes."""
    retimed = ending in ("otio", "otioz", "otiod", "edl")
    return [("one", "5-14"), ("two", "20-35" if retimed else "20-27")]


def test_the_media_of_an_otioz_are_unpacked_beside_the_results_once(footage: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "cut.otioz", tmp_path / "out"
    otio.adapters.write_to_file(cut_of(footage), str(path))
    out.mkdir()
    times = []
    for _ in range(2):
        with planned(path, unpack=out) as (plan, _):
            assert plan.shots[0].media and plan.shots[0].media.path == out / "cut_media/media/a.mov"
        times.append((out / "cut_media/media/a.mov").stat().st_mtime_ns)
    assert times[0] == times[1]
    with planned(path) as (plan, cut):
        assert plan.shots[0].problem == "" and cut.base.is_dir()
    assert not cut.base.exists()


def test_a_bundle_that_would_write_elsewhere_or_is_none_does_no_harm(tmp_path: Path) -> None:
    path, out = tmp_path / "cut.otioz", tmp_path / "deep/out"
    out.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("content.otio", otio.adapters.write_to_string(otio.schema.Timeline("x"), "otio_json"))
        packed.writestr("media/../../../evil.mov", b"x")
    with opened(path, unpack=out):
        pass
    assert not list(tmp_path.glob("**/../evil.mov")) and not (tmp_path / "evil.mov").exists()
    assert [file.name for file in out.rglob("evil.mov")] in ([], ["evil.mov"])
    path.write_bytes(b"PK no zip")
    with pytest.raises(MediaError, match="cannot be read"), opened(path, unpack=out):
        pass


EDL = """TITLE: x
001  AX       V     C        01:00:00:05 01:00:00:15 00:00:00:00 00:00:00:10
* FROM CLIP NAME: {name}
002  REEL7    V     C        00:00:00:{last} 00:00:01:05 00:00:00:10 00:00:00:16
"""


@pytest.mark.parametrize(
    ("last", "rate", "read"), [("23", None, 24), ("24", None, 25), ("29", None, 30), ("23", 25.0, 25)]
)
def test_the_rate_of_an_edl_is_guessed_unless_it_is_said(
    tmp_path: Path, last: str, rate: float | None, read: float
) -> None:
    path = tmp_path / "cut.edl"
    path.write_text(EDL.format(name="a.mov", last=last))
    with opened(path, rate) as cut:
        first = next(iter(cut.root.find_clips()))
        assert first.source_range.start_time.rate == read
        assert first.source_range.start_time.value == 3600 * read + 5
        assert any("--rate" in note for note in cut.notes) is (rate is None)


@pytest.mark.parametrize("head", ["TITLE: x", "TITLE: x\nFCM: DROP FRAME", "TITLE: x\nFCM: NON-DROP FRAME"])
def test_drop_frame_timecodes_are_read_as_such(tmp_path: Path, head: str) -> None:
    path = tmp_path / "cut.edl"
    text = EDL.format(name="a.mov", last="20").replace("TITLE: x", head)
    path.write_text(text if "FCM" in head else text.replace(":15 ", ";15 ").replace(":05 ", ";05 "))
    with opened(path) as cut:
        start = next(iter(cut.root.find_clips())).source_range.start_time
        expected = (86405, 24.0) if "NON" in head else (107897, 30000 / 1001)  # 108 frames an hour are dropped
        assert (start.value, start.rate) == pytest.approx(expected)


def test_an_edl_is_read_at_the_rate_of_its_movies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same timecodes at 23.976 and 24 are 86 frames an hour apart; at 25 they are other frames altogether."""
    monkeypatch.setattr("anyportal_client.otio.batch.cache_folder", lambda: tmp_path / "cache")
    still = np.zeros((40, 16, 16, 3), np.float32)
    path = tmp_path / "cut.edl"
    for rate, last in ((Fraction(24000, 1001), "20"), (Fraction(24), "20"), (Fraction(25), "20"), (Fraction(25), "24")):
        write_movie(tmp_path / "a.mov", still, rate=rate, timecode="01:00:00:00")
        path.write_text(EDL.format(name="a.mov", last=last).replace("* FROM CLIP NAME", "* FROM FILE"))
        with planned_batch(Wish(path, None, BLUE), unpack=False) as ready:
            assert ready.plan.shots[0].frames == "5-14", (rate, last)
            assert f"read at {float(rate):.5g}" in ready.plan.notes[0]
    path.write_text(EDL.format(name="a.mov", last="29").replace("* FROM CLIP NAME", "* FROM FILE"))
    with planned_batch(Wish(path, None, BLUE), unpack=False) as ready:  # 25 has no frame 29
        assert "read at 30" in ready.plan.notes[0]


def test_an_edl_that_contradicts_itself_is_read_by_its_source_times(tmp_path: Path) -> None:
    path = tmp_path / "cut.edl"
    path.write_text(EDL.format(name="a", last="20").replace("00:00:00:16", "00:00:00:18"))
    with opened(path) as cut:
        assert len(list(cut.root.find_clips())) == 2
        assert any("contradict" in note for note in cut.notes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_texts_are_read_in_the_encodings_that_hosts_write(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "cut.edl"
    path.write_bytes(EDL.format(name="Größe", last="20").encode(encoding))
    with opened(path) as cut:
        assert next(iter(cut.root.find_clips())).name == "Größe"


def test_a_clip_whose_speed_an_fcpxml_changes_is_refused(footage: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.fcpxml"
    timeline = cut_of(footage)
    del timeline.tracks[0][2].effects[0]
    otio.adapters.write_to_file(timeline, str(path))
    text = path.read_text()
    at = text.index(">", text.index('name="two"', text.index("<spine>")))
    closed = text[at - 1] == "/"
    inside = (
        '<timeMap><timept time="0s" value="0s"/><timept time="1s" value="2s"/><timept time="3s" value="3s"/></timeMap>'
    )
    assert not closed
    path.write_text(text[: at + 1] + inside + text[at + 1 :])
    with planned(path) as (plan, _):
        assert plan.shots[0].problem == ""
        assert "'timeMap' changes speed" in plan.shots[1].problem


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"variablespeed": "0", "speed": "50", "reverse": "FALSE"}, "10-13"),
        ({"variablespeed": "0", "speed": "100", "reverse": "FALSE"}, "20-27"),
        ({"speed": "150"}, "30-39"),
        ({"variablespeed": "1", "speed": "50"}, "'Time Remap' changes speed"),
        ({"variablespeed": "0", "speed": "50", "reverse": "TRUE"}, "the clip runs backwards"),
        ({"variablespeed": "0", "speed": "-100"}, "the clip runs backwards"),
        ({"speed": "fast"}, "'Time Remap' is no number"),
    ],
)
def test_the_retimes_of_an_fcp_7_xml_become_retimes(
    footage: Path, tmp_path: Path, parameters: dict[str, str], expected: str
) -> None:
    path = tmp_path / "cut.xml"
    timeline = cut_of(footage)
    del timeline.tracks[0][2].effects[0]
    otio.adapters.write_to_file(timeline, str(path))
    given = "".join(
        f"<parameter><parameterid>{key}</parameterid><value>{value}</value></parameter>"
        for key, value in parameters.items()
    )
    remap = f"<filter><effect><name>Time Remap</name><effectid>timeremap</effectid>{given}</effect></filter>"
    before, _, after = path.read_text().rpartition("</clipitem>")
    path.write_text(f"{before}{remap}</clipitem>{after}")
    with planned(path) as (plan, cut):
        two = plan.shots[1]
        assert expected in (two.problem or two.frames)
        effects = [type(effect).__name__ for effect in list(cut.root.find_clips())[1].effects]
        assert effects == [
            "Effect" if "100" in parameters.values() else "TimeEffect" if two.problem else "LinearTimeWarp"
        ]


@pytest.mark.parametrize("said", ["FALSE", "TRUE"])
def test_clips_and_tracks_that_an_fcp_7_xml_disables_are_left_out(footage: Path, tmp_path: Path, said: str) -> None:
    path = tmp_path / "cut.xml"
    timeline = cut_of(footage)
    timeline.tracks.append(otio.schema.Track("Video 2", children=[timeline.tracks[0][1].clone()]))
    timeline.tracks[1][0].name = "three"
    otio.adapters.write_to_file(timeline, str(path))
    before, _, after = path.read_text().rpartition("</clipitem>")
    before, _, between = before.rpartition("</clipitem>")  # of "two", and of the second track
    off = f"<enabled>{said}</enabled>"
    path.write_text(f"{before}{off}</clipitem>{between}</clipitem>{off}{after}")
    with planned(path) as (plan, _):
        if said == "TRUE":
            assert [shot.name for shot in plan.shots] == ["one", "two", "three"] and plan.notes == ()
        else:
            assert [shot.name for shot in plan.shots] == ["one"]
            assert plan.notes == (
                "left out, since it is disabled: two", "left out, since it is on a disabled track: three"
            )  # fmt: skip


def test_an_otio_with_newer_markers_is_read_and_one_with_newer_clips_named(footage: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.otio"
    text = otio.adapters.write_to_string(cut_of(footage), "otio_json")
    path.write_text(text.replace('"Marker.2"', '"Marker.3"'))
    with planned(path) as (plan, cut):
        assert found(plan) == [("one", "5-14"), ("two", "20-35")]
        assert cut.notes == (
            "the timeline is of a newer OpenTimelineIO: what is new in its Marker.3 is passed over",
        )  # fmt: skip
        assert next(iter(cut.root.find_clips())).markers[0].name == "m"
    path.write_text(text.replace('"Marker.2"', '"Marker.3"').replace('"Clip.2"', '"Clip.9"'))
    with pytest.raises(MediaError, match=r"newer OpenTimelineIO .* it has Clip\.9, Marker\.3"), opened(path):
        pass


def test_what_adapters_print_is_not_heard(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That of AAF tells on standard output what it does not find; with ``--json`` each line there is an event."""
    plainly = otio.adapters.read_from_file

    def talking(*given: Any, **more: Any) -> Any:
        print("Unable find slot_id: 0 in mob None creating Gap")
        return plainly(*given, **more)

    monkeypatch.setattr(otio.adapters, "read_from_file", talking)
    path = tmp_path / "cut.otio"
    otio.adapters.write_to_file(cut_of(footage), str(path))
    read_cut(path)
    assert capsys.readouterr().out == ""


def elsewhere(url: str, name: str = "sh") -> Any:
    timeline = otio.schema.Timeline("cut")
    reference = otio.schema.ExternalReference(url) if url else None
    timeline.tracks.append(otio.schema.Track("Video 1", children=[otio.schema.Clip(name, reference, frames(5, 5))]))
    return timeline


@pytest.mark.parametrize(
    ("old", "url"),
    [
        (r"P:\show", r"P:\Show\reel\a.mov"),
        ("P:/show/", "file:///P:/show/reel/a.mov"),
        (r"\\nas\show", "file://NAS/show/reel/a.mov"),
        ("/Volumes/show", "/Volumes/show/reel/a.mov"),
        ("/Volumes", "file:///Volumes/reel/a.mov"),
    ],
)
def test_path_prefixes_of_other_machines_are_exchanged(footage: Path, tmp_path: Path, old: str, url: str) -> None:
    (tmp_path / "reel").mkdir()
    shutil.copy(footage / "a.mov", tmp_path / "reel/a.mov")
    places = Places(tmp_path, read_path_map([f"{old}={tmp_path}", "/Vol=/nowhere"]))
    plan = make_plan(elsewhere(url), places, BLUE)
    assert found(plan) == [("sh", "5-9")]
    clip = next(iter(shape(plan, places).timeline.find_clips()))
    assert clip.media_reference.target_url == (tmp_path / "reel/a.mov").as_posix()
    assert clip.source_range.start_time.value == 86405  # from its timecode, as Resolve counts


def test_a_pair_of_paths_has_two_sides() -> None:
    for text in ("P:/show", "=x", "x="):
        with pytest.raises(UsageError):
            read_path_map([text])


def test_lost_media_are_searched_by_name_and_by_the_folders_they_lay_in(footage: Path, tmp_path: Path) -> None:
    for reel in ("A1", "B1", "C1"):
        (tmp_path / "disk" / reel).mkdir(parents=True)
        shutil.copy(footage / "a.mov", tmp_path / "disk" / reel / "A.MOV")
    for number in range(1001, 1021):
        (tmp_path / "disk/C1" / f"plate_v2.{number}.exr").touch()
    search = (tmp_path / "disk",)

    def plan(timeline: Any) -> Plan:
        return make_plan(timeline, Places(tmp_path, search=search), BLUE)

    [shot] = plan(elsewhere("/gone/b1/a.mov")).shots
    assert shot.media and (shot.problem, shot.media.path) == ("", tmp_path / "disk/B1/A.MOV")
    assert shot.notes == (f"found at {tmp_path / 'disk/B1/A.MOV'}",)
    sequence = elsewhere("X:/gone/plate_v2.[1001-1020].exr")
    assert found(plan(sequence)) == [("sh", "1006-1010")]
    assert found(plan(elsewhere("", name="plate_v2")))[0][1] == "1006-1010"  # an EDL names no file at all
    assert "none is found by its name" in plan(elsewhere("", name="other")).shots[0].problem
    assert plan(elsewhere("/gone/b.mov")).shots[0].problem == "/gone/b.mov is not there"
    places = Places(tmp_path, search=search)
    linked = next(iter(shape(plan(elsewhere("", name="plate_v2")), places).timeline.find_clips())).media_reference
    assert (linked.name_prefix, linked.start_frame, linked.available_range) == ("plate_v2.", 1001, frames(1001, 20))


def shaped(timeline: Any, folder: Path) -> Plan:
    return shape(make_plan(timeline, folder, BLUE), Places(folder))


def test_what_each_format_would_lose_is_known_beforehand(footage: Path, tmp_path: Path) -> None:
    plan = shaped(cut_of(footage), tmp_path)
    before = otio.adapters.write_to_string(plan.timeline, "otio_json")
    losses = {each.format.name: each.losses for each in forecast(plan, read_formats("clip1,edl,fcp7"))}
    assert "2 of 4 media references" in losses["edl"] and "the leading gap" in losses["edl"]
    assert "the global start" in losses["edl"]
    assert "the retime" in losses["fcp7"] and "the marker colour" in losses["fcp7"]
    assert set(losses["clip1"]) == {"2 of 4 media references", "2 of 4 available ranges"}
    assert otio.adapters.write_to_string(plan.timeline, "otio_json") == before


def test_a_flattened_file_for_each_version(footage: Path, tmp_path: Path) -> None:
    plan = shaped(cut_of(footage), tmp_path)
    for version, names in ((1, ("one", "two")), (2, ("one",))):
        add_versions(
            plan, {name: Result(version, {"comp": tmp_path / f"{name}_v{version}.mov"}, (0, 39)) for name in names}
        )
    main = output_path(tmp_path / "cut.otio", tmp_path)
    write_timeline(plan.timeline, main)
    written, failed = write_exports(plan.timeline, [FORMATS["clip1"], FORMATS["fcp7"]], main)
    assert failed == [] and not list(tmp_path.glob("*.part*"))
    shown = {}
    for path in written:
        clips = otio.adapters.read_from_file(str(path)).find_clips()
        shown[path.name] = [Path(clip.media_reference.target_url).name for clip in clips]
    assert shown == {
        "cut_anyportal_v001.otio": ["one_v1.mov", "two_v1.mov"],
        "cut_anyportal_v002.otio": ["one_v2.mov", "two_v1.mov"],
        "cut_anyportal_v001.xml": ["one_v1.mov", "two_v1.mov"],
        "cut_anyportal_v002.xml": ["one_v2.mov", "two_v1.mov"],
    }


def test_an_edl_is_written_for_each_video_track(footage: Path, tmp_path: Path) -> None:
    timeline = cut_of(footage)
    timeline.tracks.append(timeline.tracks[0].clone())
    timeline.tracks.append(otio.schema.Track("A1", kind="Audio"))
    plan = shaped(timeline, tmp_path)
    forecast(plan, [FORMATS["edl"]])
    add_versions(plan, {"one": Result(1, {"comp": tmp_path / "one.mov"}, (0, 39))})
    written, _ = write_exports(plan.timeline, [FORMATS["edl"]], tmp_path / "cut_anyportal.otio")
    assert [path.name for path in written] == ["cut_anyportal_v001_V1.edl", "cut_anyportal_v001_V2.edl"]


def test_what_an_adapter_cannot_write_is_refused_with_what_to_choose(footage: Path, tmp_path: Path) -> None:
    timeline = cut_of(footage)
    timeline.tracks[0][1].effects.append(otio.schema.TimeEffect(effect_name="Wobble"))
    with pytest.raises(UsageError, match=r"cannot be written as EDL") as refused:
        forecast(shaped(timeline, tmp_path), [FORMATS["edl"]])
    assert "what can be written: clip1, fcp7" in refused.value.hint and "edl," not in refused.value.hint
    with pytest.raises(UsageError, match="no format 'avi'"):
        read_formats("edl,avi")


def test_the_written_cut_has_the_shape_that_resolve_reads(footage: Path, tmp_path: Path) -> None:
    shutil.copy(footage / "a.mov", tmp_path / "a.mov")
    for number in range(1001, 1011):
        (tmp_path / f"p.{number}.exr").touch()
    clips = [
        otio.schema.Clip("zero", otio.schema.ExternalReference("a.mov"), frames(5, 5)),
        otio.schema.Clip("url", otio.schema.ExternalReference((tmp_path / "a.mov").as_uri()), frames(86405, 5)),
        otio.schema.Clip("folded", otio.schema.ExternalReference("p.1001.exr"), frames(1002, 3)),
        otio.schema.Clip("bare", otio.schema.ExternalReference("p.%04d.exr"), frames(2, 3)),
        otio.schema.Clip("offline", otio.schema.ExternalReference(r"P:\x\b.mov"), frames(2, 3)),
        otio.schema.Clip("title", otio.schema.GeneratorReference("t", "Title"), frames(0, 3)),
    ]
    clips[0].markers.append(otio.schema.Marker("m", frames(6, 1)))
    timeline = otio.schema.Track("", children=clips)
    path = tmp_path / "cut_anyportal.otio"
    write_timeline(shaped(timeline, tmp_path).timeline, path)
    read = otio.adapters.read_from_file(str(path))
    assert '"OTIO_SCHEMA": "Clip.2"' in path.read_text() and read.global_start_time == Time(0, 24)
    assert [track.name for track in read.tracks] == ["Video 1"]
    by_name = {clip.name: clip for clip in read.find_clips()}
    start = {name: clip.source_range.start_time.value for name, clip in by_name.items()}
    assert start == {"zero": 86405, "url": 86405, "folded": 1002, "bare": 1003, "offline": 2, "title": 0}
    assert by_name["zero"].markers[0].marked_range.start_time.value == 86406
    available = {name: clip.media_reference.available_range for name, clip in by_name.items()}
    assert available["zero"] == available["url"] == frames(86400, 40)
    assert available["folded"] == available["bare"] == frames(1001, 10)
    assert available["offline"] == frames(2, 3) and available["title"] == frames(0, 3)
    assert by_name["zero"].media_reference.target_url == (tmp_path / "a.mov").as_posix()
    assert by_name["offline"].media_reference.target_url == "P:/x/b.mov"
    folded = by_name["folded"].media_reference
    assert (folded.name_prefix, folded.start_frame, folded.target_url_base) == ("p.", 1001, f"{tmp_path.as_posix()}/")
