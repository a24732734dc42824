"""Results into bins, tracks, takes and markers. In quotation marks: rows of ../shared/hosts.md."""

from __future__ import annotations

import importlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.resolve import house
from tests.hosts.resolve.app import Resolve
from tests.hosts.resolve.items import TimelineItem
from tests.hosts.resolve.pool import MediaPoolItem
from tests.hosts.resolve.timeline import HOUR

house.importable()
client = importlib.import_module("anyportal_resolve")
bins = importlib.import_module("anyportal_resolve.bins")
choosing = importlib.import_module("anyportal_resolve.choosing")
connection = importlib.import_module("anyportal_resolve.connection")
placing = importlib.import_module("anyportal_resolve.placing")
tags = importlib.import_module("anyportal_resolve.tags")

Refused = client.Refused


def seen(resolve: Resolve, scope: str = "timeline", mark: str = "Orange") -> list[Any]:
    found: list[Any] = choosing.look(connection.desk(resolve), scope, mark).clips
    return found


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
