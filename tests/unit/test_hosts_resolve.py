"""The Resolve client on a fake Resolve, trap by trap: each test fails where the trap is not handled.

The traps are those of ../shared/hosts.md (section Resolve); the words in quotation marks are the row's.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.resolve import house
from tests.hosts.resolve.app import Resolve
from tests.hosts.resolve.items import TimelineItem
from tests.hosts.resolve.objects import number_of
from tests.hosts.resolve.pool import MediaPoolItem
from tests.hosts.resolve.timeline import HOUR, Timeline

house.importable()
client = importlib.import_module("anyportal_resolve")
baking = importlib.import_module("anyportal_resolve.baking")
bins = importlib.import_module("anyportal_resolve.bins")
choosing = importlib.import_module("anyportal_resolve.choosing")
clips = importlib.import_module("anyportal_resolve.clips")
connection = importlib.import_module("anyportal_resolve.connection")
doctor = importlib.import_module("anyportal_resolve.doctor")
exported = importlib.import_module("anyportal_resolve.exported")
media = importlib.import_module("anyportal_resolve.media")
movie = importlib.import_module("anyportal_resolve.movie")
outside = importlib.import_module("anyportal_resolve.outside")
placing = importlib.import_module("anyportal_resolve.placing")
record = importlib.import_module("anyportal_hostkit.record")
restoring = importlib.import_module("anyportal_resolve.restoring")
source = importlib.import_module("anyportal_resolve.source")
tags = importlib.import_module("anyportal_resolve.tags")

CLIENTS = house.CLIENTS
Refused = client.Refused


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> str:
    return house.movie(tmp_path_factory.mktemp("plates"), "plate.mp4", range(100, 148))


@pytest.fixture
def resolve() -> Resolve:
    return Resolve()


def seen(resolve: Resolve, scope: str = "timeline", mark: str = "Orange") -> list[Any]:
    found: list[Any] = choosing.look(connection.desk(resolve), scope, mark).clips
    return found


# "is it alive": `GetCurrentDatabase()` is not None; other calls may answer while it is wedged


def test_a_wedged_resolve_is_told_though_it_answers(resolve: Resolve) -> None:
    resolve.manager.wedged = True
    assert resolve.GetProjectManager().GetCurrentProject() is not None
    with pytest.raises(Refused, match="does not answer"):
        connection.desk(resolve)


def test_without_a_project_or_a_timeline_it_says_so(resolve: Resolve) -> None:
    resolve.project.current = None  # type: ignore[assignment]
    with pytest.raises(Refused, match="No timeline is open"):
        connection.desk(resolve)
    resolve.manager.project = None
    with pytest.raises(Refused, match="No project is open"):
        connection.desk(resolve)


# "capability": `name in dir(obj)`; `hasattr` is always True


def test_what_an_older_resolve_lacks_is_found_by_dir(resolve: Resolve, plate: str) -> None:
    item = resolve.clip(MediaPoolItem(plate), 7, 8)
    item.lack("GetSourceStartFrame", "GetSourceEndFrame", "GetClipEnabled")
    resolve.timeline.lack("GetMarkInOut")
    resolve.lack("EXPORT_OTIO")
    assert hasattr(item, "GetSourceStartFrame") and hasattr(item, "GetAnything")
    [clip] = seen(resolve)
    assert (clip.shown.first, clip.shown.sure) == (7, 8)
    with pytest.raises(Refused, match="No clip is marked"):
        seen(resolve, "marked")


# "External scripting needs Studio and its preference"; from 21.1 Python is Studio only (`GetProductName()`)


def test_the_edition_is_told() -> None:
    assert connection.editions_note(Resolve()) == ""
    assert "works from its Scripts menu" in connection.editions_note(Resolve(studio=False))
    assert "needs Resolve Studio" in connection.editions_note(Resolve(studio=False, version=(21, 1)))
    given = Resolve()
    assert connection.connect(given) is given

    class App:
        def GetResolve(self) -> Resolve:
            return given

    assert connection.connect(None, App()) is given


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Resolve's own scripting module, as its installer places it: make it with these lines."""

    def make(text: str) -> None:
        (tmp_path / "Modules").mkdir()
        (tmp_path / "Modules" / "DaVinciResolveScript.py").write_text(text, "utf-8")

    monkeypatch.setenv("RESOLVE_SCRIPT_API", str(tmp_path))
    yield make
    sys.modules.pop("DaVinciResolveScript", None)


def test_from_outside_the_module_is_found_where_it_lies(module: Any) -> None:
    module("def scriptapp(name):\n    return [name]\n")
    before = list(sys.path)
    assert connection.connect(None, None) == ["Resolve"]
    assert sys.path == before


def test_from_outside_a_resolve_that_does_not_answer_may_not_be_allowed_to(module: Any) -> None:
    module("def scriptapp(name):\n    return None\n")
    with pytest.raises(Refused, match=r"does not answer.*Resolve Studio.*External scripting using: Local.*21\.1"):
        connection.connect(None, None)


@pytest.mark.parametrize("text", ["", "raise ImportError('Could not locate module dependencies')\n"])
def test_a_module_that_cannot_be_imported_is_no_matter_of_preferences(module: Any, text: str) -> None:
    if text:
        module(text)
    with pytest.raises(Refused) as caught:
        connection.connect(None, None)
    said = str(caught.value)
    assert "cannot be imported: " + (text[19:-3] or "No module named") in said and "Preferences" not in said
    assert all(name in said for name in ("RESOLVE_SCRIPT_API=", "RESOLVE_SCRIPT_LIB=", "PYTHONPATH="))
    assert ("FUSION_PYTHON3_HOME" in said) == (sys.platform == "win32")


def test_where_the_module_lies_is_what_the_table_of_hosts_says(shared: Path) -> None:
    rows = (shared / "hosts.md").read_text("utf-8").splitlines()
    table = {cells[1].strip(): cells[2:4] for cells in (row.split("|") for row in rows) if len(cells) > 4}
    for name, platform in (("macOS", "darwin"), ("Windows", "win32"), ("Linux", "linux")):
        for said, ours in zip(table[name], outside.usual(platform), strict=True):
            wanted = said.strip().replace("%PROGRAMDATA%", r"C:\ProgramData")
            assert ours.endswith(wanted.replace("...", "").strip())


def test_the_doctor_says_what_is_missing(resolve: Resolve, plate: str) -> None:
    resolve.clip(MediaPoolItem(plate), 0, 8)
    assert [(name, status) for name, status, _, _ in doctor.checks(resolve)] == [("resolve", "ok"), ("project", "ok")]
    resolve.studio, resolve.version = False, (18, 1)
    resolve.project.presets.clear()
    resolve.timeline.tracks[0].items[0].lack("GetSourceStartFrame")
    found = {name: status for name, status, _, _ in doctor.checks(resolve)}
    assert found == {
        "resolve": "warning", "version": "warning", "project": "ok", "rendering": "warning", "source frames": "warning",
    }  # fmt: skip
    resolve.manager.wedged = True
    assert doctor.checks(resolve)[-1][:2] == ("project", "broken")
    text = client.doctor(resolve, [sys.executable, "-c", "raise SystemExit(3)"])
    assert "Restart Resolve" in text and "BROKEN  version" in text


# "clip": None for titles and transitions


@pytest.mark.parametrize(
    ("make", "refused", "bake"),
    [
        (lambda plate: None, "a title, a generator or a transition", ""),
        (lambda plate: MediaPoolItem(kind="Compound"), "", "it is a compound clip"),
        (lambda plate: MediaPoolItem(kind="Multicam"), "", "it is a multicam clip"),
        (lambda plate: MediaPoolItem(kind="Fusion"), "", "it is a fusion clip"),
        (lambda plate: MediaPoolItem(kind="Timeline"), "", "it is a timeline clip"),
        (lambda plate: MediaPoolItem(kind="Adjustment Clip"), "adjustment clip", ""),
        (lambda plate: MediaPoolItem(plate + ".gone"), "offline", ""),
        (lambda plate: MediaPoolItem(plate), "", ""),
    ],
)
def test_what_a_clip_is_decides_what_is_done(resolve: Resolve, plate: str, make: Any, refused: str, bake: str) -> None:
    resolve.clip(make(plate), 0, 8)
    [clip] = seen(resolve)
    assert refused in clip.refused and bool(refused) == bool(clip.refused)
    assert clip.bake == bake


def test_a_clip_that_shows_more_than_its_media_have_is_rendered(resolve: Resolve, plate: str) -> None:
    resolve.clip(MediaPoolItem(plate), 44, 12)
    assert seen(resolve)[0].bake == "Resolve says that it shows more than its media have"


# "source": off by one on some items; 0/0 on XML imports means unknown; file-relative
# "placement": LeftOffset exact at 100 % only
# "speed": source span / record duration; reversed means start > end


@pytest.mark.parametrize(
    ("first", "duration", "how", "span", "sure", "speed"),
    [
        (10, 8, {"saying": "exclusive"}, (7, 20), 8, 1.0),
        (10, 8, {"saying": "inclusive"}, (7, 20), 8, 1.0),
        (10, 8, {"saying": "shifted"}, (7, 20), 8, 1.0),
        (10, 8, {"saying": "unknown"}, (7, 20), 8, 1.0),
        (0, 1, {"saying": "inclusive"}, (0, 3), 1, 1.0),
        (1, 8, {}, (0, 11), 8, 1.0),  # as far as the media go
        (39, 8, {}, (36, 47), 8, 1.0),
        (10, 8, {"speed": -1.0}, (7, 20), 8, -1.0),
        (10, 8, {"speed": -1.0, "saying": "inclusive"}, (7, 20), 8, -1.0),
        (6, 10, {"speed": 2.0}, (0, 32), 20, 2.0),
        (9, 10, {"speed": 1.5}, (4, 29), 15, 1.5),
        (9, 12, {"speed": 0.5}, (7, 17), 6, 0.5),
        (9, 10, {"speed": -2.0}, (2, 34), 20, -2.0),
    ],
)
def test_source_frames_without_the_exported_timeline(
    resolve: Resolve, plate: str, first: int, duration: int, how: Any, span: Any, sure: int, speed: float
) -> None:
    resolve.lack("EXPORT_OTIO")
    resolve.clip(MediaPoolItem(plate), first, duration, **how)
    [clip] = seen(resolve)
    assert (clip.span(3), clip.shown.sure) == (span, sure)
    assert clip.shown.speed == pytest.approx(speed)


def test_unknown_frames_come_from_the_exported_timeline_and_else_it_is_said(resolve: Resolve, plate: str) -> None:
    resolve.clip(MediaPoolItem(plate), 10, 8, saying="unknown", speed=2.0)
    [clip] = seen(resolve)
    assert (clip.shown.first, clip.shown.sure, clip.shown.speed, clip.notes[:1]) == (
        10, 16, 2.0, ["runs at 200%: the result is a take at the media's own timing"]
    )  # fmt: skip
    resolve.lack("EXPORT_OTIO")
    [clip] = seen(resolve)
    assert clip.notes == ["Resolve does not say which frames of the media it shows: taken for normal speed"]


def test_a_sequence_is_known_by_its_own_numbers(tmp_path: Path) -> None:
    found = media.read_media(MediaPoolItem(str(tmp_path / "p.%04d.exr"), 990, 1100))
    assert (found.path, found.start, found.total) == (str(tmp_path / "p.%04d.exr"), 990, 111)
    assert found.offline
    (tmp_path / "p.0990.exr").touch()
    assert not found.offline
    still = media.read_media(MediaPoolItem(house.white(tmp_path)))
    assert still.still and not found.still


def test_rates_are_told_apart_and_ntsc_is_meant(resolve: Resolve, tmp_path: Path) -> None:
    path = house.movie(tmp_path, "ntsc.mp4", range(0, 40), Fraction(24000, 1001))
    resolve.timeline.rate = 23.976
    resolve.clip(MediaPoolItem(path), 5, 12)
    assert (seen(resolve)[0].shown.sure, seen(resolve)[0].notes) == (12, [])
    resolve.timeline.rate = 25.0
    [clip] = seen(resolve)
    assert (clip.shown.sure, clip.shown.speed) == (12, 1.0)  # 11.5 frames, so 12 are seen
    assert "played at its own rate" in clip.notes[0]


# "full edit": the enum must come from the live handle; a string writes nothing, silently: check the file


def test_ramps_and_transitions_come_from_the_exported_timeline(resolve: Resolve, plate: str) -> None:
    pool = MediaPoolItem(plate)
    resolve.clip(pool, 0, 12, ramp=(1.0, 2.0))
    resolve.clip(pool, 20, 8, at=12)
    resolve.clip(pool, 30, 8, at=20)
    resolve.timeline.tracks[0].transitions[HOUR + 20] = (4, 5)
    ramp, before, after = seen(resolve)
    assert resolve.timeline.exports == 1
    assert ramp.bake == "its speed changes"
    assert before.span(0) == (20, 27 + 5)  # "Dissolves: extend each clip by its in/out offset"
    assert after.span(0) == (30 - 4, 37)
    assert after.span(12) == (18, 47)


def test_an_export_that_wrote_nothing_is_no_timeline(
    resolve: Resolve, plate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve.clip(MediaPoolItem(plate), 0, 12, ramp=(1.0, 2.0))
    assert resolve.timeline.Export("/nowhere/x.otio", "EXPORT_OTIO", "EXPORT_NONE") is True
    monkeypatch.setattr(resolve.timeline, "_as_otio", lambda: pytest.fail("the constant was not the live one"))
    resolve.EXPORT_OTIO, kept = "EXPORT_OTIO", resolve.EXPORT_OTIO
    monkeypatch.setattr(type(resolve.timeline), "Export", lambda *_: True)
    looked = choosing.look(connection.desk(resolve), "timeline")
    assert looked.notes == ["The timeline could not be exported: speed ramps are not told from constant speeds"]
    assert kept is not None


def test_what_resolve_itself_notes_of_a_retime_counts() -> None:
    def effect(*values: float) -> dict[str, Any]:
        keys = {str(place): {"Value": value} for place, value in enumerate(values)}
        own = {"Effect Name": "Retime and Scaling", "Parameters": [{"Key Frames": keys}, {}]}
        return {"OTIO_SCHEMA": "Effect.1", "metadata": {"Resolve_OTIO": own}}

    assert exported._is_ramp(effect(1.0, 2.0))
    assert not exported._is_ramp(effect(1.0, 1.0))
    assert not exported._is_ramp({"OTIO_SCHEMA": "Effect.1", "metadata": {}})


def test_a_timeline_that_resolve_wrote_is_read(shared: Path) -> None:
    clip = json.loads((shared / "timelines/clips/img_seq_2x_speed_resolve.otio").read_text("utf-8"))
    edit = exported._edit(clip, [clip], 0, 24.0)
    assert (edit.speed, edit.ramp, edit.first) == (2.0, False, 39)
    assert exported._frames(exported._duration(clip), 24.0) == 11


# which clips


def test_the_scopes(resolve: Resolve, plate: str) -> None:
    pool = MediaPoolItem(plate)
    one, two = resolve.clip(pool, 0, 8), resolve.clip(pool, 8, 8, at=8)
    three, off = resolve.clip(pool, 16, 8, at=16), resolve.clip(pool, 24, 8, at=24)
    hidden = resolve.clip(pool, 0, 8, track=2)
    off.enabled = resolve.timeline.tracks[1].enabled = False
    assert [clip.item for clip in seen(resolve)] == [one, two, three]
    resolve.timeline.playhead = HOUR + 9
    assert [clip.item for clip in seen(resolve, "current")] == [two]
    with pytest.raises(Refused, match="set in and out points"):
        seen(resolve, "marked")
    resolve.timeline.marks = {"video": {"in": 4, "out": 8}}
    assert [clip.item for clip in seen(resolve, "marked")] == [one, two]
    resolve.timeline.marks = {"video": {"in": HOUR + 16, "out": HOUR + 16}}  # absolute ones are understood as well
    assert [clip.item for clip in seen(resolve, "marked")] == [three]
    one.colour, three.flags = "Orange", ["Blue", "Orange"]
    hidden.colour = "Orange"
    assert [clip.item for clip in seen(resolve, "marked")] == [one, three]
    assert [clip.item for clip in seen(resolve, "marked", "Blue")] == [three]
    resolve.timeline.tracks[0].locked = True
    assert seen(resolve, "marked")[0].refused == "Its track is locked"
    resolve.timeline.playhead = HOUR + 500
    with pytest.raises(Refused, match="playhead"):
        seen(resolve, "current")


# "import": no destination parameter: restore the folder


def test_under_a_pasted_result_the_clip_there_is_meant(resolve: Resolve, plate: str) -> None:
    media_of_it = MediaPoolItem(plate)
    original, other = resolve.clip(media_of_it, 5, 8), resolve.clip(media_of_it, 25, 8, at=20)
    result = resolve.clip(media_of_it, 0, 8, track=2)
    tags.set_tag(result, {"of": original._id}, "")
    pasted = resolve.clip(media_of_it, 0, 8, at=20, track=2)
    pasted.markers = dict(result.markers)
    for place, meant in ((0, original), (20, other)):
        resolve.timeline.playhead = HOUR + place
        assert [clip.id for clip in seen(resolve, "current")] == [meant._id]


def test_a_result_is_imported_once_into_the_bin_of_its_version(resolve: Resolve, plate: str) -> None:
    desk = connection.desk(resolve)
    somewhere = resolve.project.pool.AddSubFolder(resolve.project.pool.root, "Footage")
    made = bins.import_result(desk, plate, [0], "v003")
    assert resolve.project.pool.current is somewhere
    assert resolve.project.pool.root.tree() == {"Footage": {}, "AnyPortal": {"Cut 3": {"v003": {"plate.mp4": None}}}}
    assert bins.import_result(desk, plate, [0], "v003") is made
    resolve.project.pool.refuses = True
    with pytest.raises(Refused, match="would not import"):
        bins.import_result(desk, plate + "x", [0], "v004")
    assert resolve.project.pool.current is somewhere


# "colour": verify by reading back


def test_a_colour_space_that_resolve_does_not_take_is_told(resolve: Resolve, plate: str) -> None:
    pool = MediaPoolItem(plate, **{"Input Color Space": "ACEScg", "IDT": ""})
    result = MediaPoolItem(plate)
    assert bins.copy_colour(resolve.project, pool, result, False) == []
    assert result.properties["Input Color Space"] == "ACEScg"
    result.properties["Input Color Space"], result.stubborn = "", True
    assert bins.copy_colour(resolve.project, pool, result, False) == [
        "set 'Input Color Space' of the result to 'ACEScg' by hand"
    ]
    resolve.project.settings["colorSpaceOutput"] = "Rec.709 Gamma 2.4"
    fresh = MediaPoolItem(plate)
    bins.copy_colour(resolve.project, pool, fresh, True)  # what Resolve has rendered is no longer as its media
    assert fresh.properties["Input Color Space"] == "Rec.709 Gamma 2.4"


# "place": recordFrame is absolute; endFrame exclusive; overlaps silently dropped; mixed rates floor one frame short


@pytest.mark.parametrize(("rate", "short"), [(24, 0), (25, 0), (30, 0), (12, 1)])
def test_a_clip_above_has_the_same_in_and_out(resolve: Resolve, tmp_path: Path, rate: int, short: int) -> None:
    pool = MediaPoolItem(house.movie(tmp_path, "p.mp4", range(0, 40), Fraction(rate)))
    item = resolve.clip(pool, 5, 12, at=50)
    [clip] = seen(resolve)
    part = placing.Part(clip.shown.first, clip.shown.sure, clip.shown.most)
    placed = placing.put_above(connection.desk(resolve), pool, clip.place, part)
    # Where a frame of the media is two of the timeline, the one that is missing cannot be had: it is said.
    assert (placed.item.start, placed.item.end) == (item.start, item.end - short)
    assert placed.item.original.first == 5
    assert placed.words == "track V2" + ", a frame short" * short and resolve.timeline.audio == []
    assert resolve.timeline.tracks[1].items == [placed.item]


def test_where_clips_would_overlap_another_track_is_made(resolve: Resolve, plate: str) -> None:
    pool = MediaPoolItem(plate)
    item = resolve.clip(pool, 0, 8)
    above = resolve.clip(pool, 20, 8, at=4, track=2)
    resolve.timeline.tracks[1].name = "AnyPortal"
    [clip] = [clip for clip in seen(resolve) if clip.item is item]
    placed = placing.put_above(connection.desk(resolve), pool, clip.place, placing.Part(0, 8, 8))
    assert [track.items for track in resolve.timeline.tracks] == [[item], [placed.item], [above]]


def test_a_locked_track_above_is_left_alone(resolve: Resolve, plate: str) -> None:
    pool = MediaPoolItem(plate)
    item, far = resolve.clip(pool, 0, 8), resolve.clip(pool, 20, 8, at=40, track=2)
    resolve.timeline.tracks[1].name, resolve.timeline.tracks[1].locked = "AnyPortal", True
    placed = placing.put_above(connection.desk(resolve), pool, seen(resolve)[0].place, placing.Part(0, 8, 8))
    assert [track.items for track in resolve.timeline.tracks] == [[item], [placed.item], [far]]


def test_an_older_resolve_that_puts_tracks_on_top_is_told(resolve: Resolve, plate: str) -> None:
    pool = MediaPoolItem(plate)
    resolve.clip(pool, 0, 8)
    resolve.clip(pool, 20, 8, at=40, track=2)
    resolve.timeline.lack("index")
    placed = placing.put_above(connection.desk(resolve), pool, seen(resolve)[0].place, placing.Part(0, 8, 8))
    assert placed.words.startswith("track V3, over all others")
    assert resolve.timeline.tracks[2].items == [placed.item]


# "delete": `OpenPage("edit")` first; False from Fairlight


def test_deleting_happens_on_the_edit_page_and_the_page_comes_back(resolve: Resolve, tmp_path: Path) -> None:
    pool = MediaPoolItem(house.movie(tmp_path, "p.mp4", range(0, 40), Fraction(25)))
    resolve.clip(pool, 5, 12)
    resolve.page = "fairlight"
    [clip] = seen(resolve)
    placing.put_above(connection.desk(resolve), pool, clip.place, placing.Part(5, clip.shown.sure, clip.shown.sure))
    assert (resolve.pages, resolve.page) == (["edit", "fairlight"], "fairlight")


def test_another_timeline_that_was_opened_meanwhile_is_left_alone(resolve: Resolve, plate: str) -> None:
    pool = MediaPoolItem(plate)
    resolve.clip(pool, 0, 8)
    desk, [clip] = connection.desk(resolve), seen(resolve)
    other = type(resolve.timeline)(resolve, "Cut 4")
    resolve.project.current = other
    placed = placing.put_above(desk, pool, clip.place, placing.Part(0, 8, 8))
    assert resolve.project.current is other and len(other.tracks) == 1
    assert placing.lost(desk, placed, plate) == ""


# "version": `AddTake`, `SelectTakeByIndex`; `FinalizeTake()` destroys the alternatives


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize(("speed", "sure"), [(1.0, 8), (2.0, 16), (-1.0, 8), (0.5, 4)])
def test_a_take_keeps_the_clip_s_length_whatever_its_end_means(
    plate: str, exclusive: bool, speed: float, sure: int
) -> None:
    item = TimelineItem(MediaPoolItem(plate), 10, 8, HOUR, speed=speed)
    item.exclusive_takes = exclusive
    result = MediaPoolItem(plate, kind="Video")
    result.properties["File Path"] = "/r/result.mp4"
    placed = placing.add_take(item, result, placing.Part(3, sure, sure, speed < 0))
    assert (placed.take, item.selected, item.duration) == (2, 2, 8)
    assert (item.takes[1].first, item.takes[1].count) == (3, sure)
    assert placing.add_take(item, result, placing.Part(3, sure, sure)).take == 2  # the same file is no second take
    assert len(item.takes) == 2


def test_of_a_clip_that_runs_backwards_the_frame_in_doubt_is_the_lowest() -> None:
    assert list(placing.Part(3, 8, 9).edges())[:2] == [(3, 10), (3, 11)]
    assert list(placing.Part(3, 8, 9, backwards=True).edges())[:2] == [(4, 11), (3, 11)]


def test_a_take_that_cannot_have_the_length_leaves_the_clip_as_it_was(plate: str) -> None:
    item = TimelineItem(MediaPoolItem(plate), 10, 8, HOUR)
    other = MediaPoolItem(plate)
    other.properties["File Path"] = "/r/result.mp4"
    with pytest.raises(Refused, match="take of the same length"):
        placing.add_take(item, other, placing.Part(3, 4, 4))
    assert (item.duration, item.selected, len(item.takes)) == (8, 1, 1)


# "tag": marker frames are relative; 16 clip colour names


def test_the_marker_is_found_again_and_replaced(plate: str) -> None:
    item = TimelineItem(MediaPoolItem(plate), 10, 3, HOUR)
    item.AddMarker(0, "Red", "mine", "", 1)
    assert tags.tag_of(item) is None
    assert tags.set_tag(item, {"version": "v001", "seed": 3}, "beach") == []
    assert tags.set_tag(item, {"version": "v002", "seed": 4}, "beach") == []
    assert tags.tag_of(item)["seed"] == 4
    assert [marker["name"] for marker in item.markers.values()] == ["mine", "AnyPortal v002"]
    assert len(tags.COLOURS) == 16 and tags.DONE in tags.COLOURS


def test_markers_and_colours_that_resolve_did_not_set_are_told(plate: str) -> None:
    item = TimelineItem(MediaPoolItem(plate), 10, 3, HOUR)
    item.deaf = True
    assert tags.set_tag(item, {"version": "v001"}, "") == ["the marker was not set", "the clip's colour was not set"]


# "trimmed render": settings lie over hidden state: verify the file; solo the track and restore it


@pytest.fixture
def compound(resolve: Resolve, plate: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(baking, "_TICK", 0.0)
    pool, made = MediaPoolItem(plate), MediaPoolItem(kind="Compound")
    made.parts = [(pool, 0), (pool, 20)]
    resolve.clip(made, 0, 16)
    resolve.clip(pool, 30, 16, track=2)  # lies over it
    return seen(resolve)[0]


def bake(resolve: Resolve, clip: Any, folder: Path, cancelled: Any = lambda: False) -> str:
    path: str = baking.bake(connection.desk(resolve), clip, str(folder), lambda _: None, cancelled)
    return path


def state_of(resolve: Resolve) -> Any:
    project = resolve.project
    tracks = [track.enabled for track in resolve.timeline.tracks]
    deliver = (project.shape, project.mode, dict(project.hidden), dict(project.deliver), sorted(project.presets))
    return resolve.page, tracks, deliver, resolve.timeline.marks, project.jobs


def test_a_render_shows_the_clip_alone_and_has_its_frames(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    before = state_of(resolve)
    path = bake(resolve, compound, tmp_path)
    assert movie.read_movie(path) == (16, 24.0)
    baked = MediaPoolItem(path)
    shown = [number_of(baked.picture(frame)) for frame in range(16)]
    assert shown == [*range(100, 108), *range(120, 128)]
    assert state_of(resolve) == before


def test_a_render_shows_the_clip_s_timeline_whichever_is_open(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    desk, other = connection.desk(resolve), Timeline(resolve, "Cut 4")
    resolve.project.timelines.append(other)
    resolve.project.current = other
    baked = MediaPoolItem(baking.bake(desk, compound, str(tmp_path), lambda _: None, lambda: False))
    assert [number_of(baked.picture(frame)) for frame in (0, 15)] == [100, 127]
    assert (resolve.project.current, other.marks, desk.timeline.marks) == (other, {}, {})


def test_a_render_shows_the_plate_though_a_result_is_selected(
    resolve: Resolve, compound: Any, plate: str, tmp_path: Path
) -> None:
    (tmp_path / "v001").mkdir()
    record.write(str(tmp_path / "v001"), {"schema": 1})
    result = MediaPoolItem(str(shutil.copy(plate, tmp_path / "v001")))
    compound.item.AddTake(result, 30, 45)
    compound.item.SelectTakeByIndex(2)
    baked = MediaPoolItem(bake(resolve, compound, tmp_path / "plates"))
    assert [number_of(baked.picture(frame)) for frame in (0, 15)] == [100, 127]
    assert compound.item.selected == 2


@pytest.mark.parametrize(
    ("lie", "word"),
    [
        ("short", "has 15 frames instead of 16"),
        ("nothing", "wrote nothing"),
        ("error", "disk full"),
    ],
)
def test_a_render_that_is_not_what_was_asked_for_is_refused(
    resolve: Resolve, compound: Any, tmp_path: Path, lie: str, word: str
) -> None:
    before = state_of(resolve)
    resolve.project.lie = lie
    with pytest.raises(Refused, match=word):
        bake(resolve, compound, tmp_path)
    assert state_of(resolve) == before


def test_a_picture_that_a_hidden_setting_takes_away_is_missed(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    resolve.project.presets["AnyPortal"] = ({"picture": False}, {})  # somebody's, of sound alone
    with pytest.raises(Refused, match="has no picture"):
        bake(resolve, compound, tmp_path)


def test_without_a_preset_to_begin_with_nothing_is_rendered(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    del resolve.project.presets["H.264 Master"]
    with pytest.raises(Refused, match="none of the render presets"):
        bake(resolve, compound, tmp_path)


def test_a_cancelled_render_stops_and_everything_is_put_back(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    before = state_of(resolve)
    with pytest.raises(baking.BakeCancelled):
        bake(resolve, compound, tmp_path, lambda: True)
    assert state_of(resolve) == before and resolve.project.rendering is None


def test_somebody_s_own_render_is_not_disturbed(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    resolve.project.rendering = iter([1.0] * 99)
    with pytest.raises(Refused, match="rendering something else"):
        bake(resolve, compound, tmp_path)


def test_movies_are_read_and_others_are_not(plate: str, tmp_path: Path) -> None:
    assert movie.read_movie(plate) == (48, 24.0)
    ntsc = house.movie(tmp_path, "ntsc.mov", range(0, 10), Fraction(24000, 1001))
    assert movie.read_movie(ntsc) == (10, pytest.approx(23.976, abs=1e-3))
    whole = Path(plate).read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "none": b"", "text": b"no movie at all" * 9}.items():
        (tmp_path / name).write_bytes(content)
        assert movie.read_movie(str(tmp_path / name)) is None
    assert movie.read_movie(str(tmp_path / "missing.mov")) is None


@pytest.fixture
def menu(tmp_path: Path) -> Any:
    """Run the menu script as Resolve does, with nothing importable but what it finds; gives what it prints."""

    def run(file: Path, *, named: bool = True, argument: str = "", before: str = "", **environment: str) -> str:
        code = (
            f"import os, sys\n{before}\n"
            f"path, sys.argv = {str(file)!r}, [{argument!r}]\n"
            "source = open(path, encoding='utf-8').read()\n"
            f"names = {{'__name__': '__main__', **({{'__file__': path}} if {named} else {{}})}}\n"
            f"exec(compile(source, path if {named} else '<string>', 'exec'), names)\n"
        )
        env = {**os.environ, "HOME": str(tmp_path / "home"), **environment}
        env.pop("PYTHONPATH", None)
        run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, env=env)
        assert run.returncode == 0, run.stderr
        return run.stdout

    return run


FOUND = "AnyPortal: Resolve's module DaVinciResolveScript cannot be imported"


def utility(home: Path) -> Path:
    """The user's own folder of menu scripts."""
    if sys.platform == "darwin":
        return home / "Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion/Scripts/Utility"
    return home / ".local/share/DaVinciResolve/Fusion/Scripts/Utility"


def copied(folder: Path) -> Path:
    """All files as docs/hosts.md has them copied."""
    shutil.copytree(CLIENTS / "resolve", folder)
    shutil.copytree(CLIENTS / "hostkit", folder / "hostkit")
    return folder / "AnyPortal.py"


def test_the_menu_script_finds_its_files_beside_it_and_through_a_link(menu: Any, tmp_path: Path) -> None:
    link = tmp_path / "Utility" / "AnyPortal.py"
    link.parent.mkdir()
    link.symlink_to(CLIENTS / "resolve/AnyPortal.py")
    for file in (CLIENTS / "resolve/AnyPortal.py", link, copied(tmp_path / "Utility/AnyPortal")):
        assert FOUND in menu(file)


def test_the_menu_script_finds_its_files_without_a_file_of_its_own(menu: Any, tmp_path: Path) -> None:
    alone = tmp_path / "AnyPortal.py"
    shutil.copy(CLIENTS / "resolve/AnyPortal.py", alone)
    assert "Set ANYPORTAL_HOSTS to the folder" in menu(alone, named=False)
    assert "Set ANYPORTAL_HOSTS to the folder" in menu(alone)
    assert FOUND in menu(alone, named=False, ANYPORTAL_HOSTS=str(CLIENTS))
    assert FOUND in menu(alone, named=False, argument=str(CLIENTS / "resolve/AnyPortal.py"))
    copied(utility(tmp_path / "home") / "AnyPortal")
    assert FOUND in menu(alone, named=False)


def test_the_menu_script_says_which_python_it_needs(menu: Any) -> None:
    said = menu(CLIENTS / "resolve/AnyPortal.py", before="sys.version_info = (3, 6, 15)")
    assert said == "AnyPortal: it needs Python 3.7 or later, Resolve has found 3.6: install one.\n"
