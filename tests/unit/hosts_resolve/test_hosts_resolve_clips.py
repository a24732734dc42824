"""Which clips, and which of their frames. In quotation marks: rows of ../shared/hosts.md."""

from __future__ import annotations

import importlib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.resolve import house
from tests.hosts.resolve.app import Resolve
from tests.hosts.resolve.pool import MediaPoolItem
from tests.hosts.resolve.timeline import HOUR

house.importable()
client = importlib.import_module("anyportal_resolve")
choosing = importlib.import_module("anyportal_resolve.choosing")
connection = importlib.import_module("anyportal_resolve.connection")
exported = importlib.import_module("anyportal_resolve.exported")
media = importlib.import_module("anyportal_resolve.media")

Refused = client.Refused


def seen(resolve: Resolve, scope: str = "timeline", mark: str = "Orange") -> list[Any]:
    found: list[Any] = choosing.look(connection.desk(resolve), scope, mark).clips
    return found


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
