"""Other formats: what is written comes back as it was, retimes and rates included; what would be lost is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

from anyportal_client.errors import UsageError
from anyportal_client.otio.exports import forecast
from anyportal_client.otio.flatten import FORMATS, flattened, write_as
from anyportal_client.otio.inventory import inventory, losses
from anyportal_client.otio.plan import Plan
from anyportal_client.otio.reading import read_cut

Time, Range = otio.opentime.RationalTime, otio.opentime.TimeRange
FILM = 24000 / 1001


def frames(start: float, duration: float, rate: float = 25) -> Any:
    return Range(Time(start, rate), Time(duration, rate))


def clip(name: str, start: float, duration: float, speed: float = 1, rate: float = 25) -> Any:
    found = otio.schema.Clip(
        name, otio.schema.ExternalReference(f"/m/{name}.mov", frames(0, 200, rate)), frames(start, duration, rate)
    )
    if speed != 1:
        found.effects.append(otio.schema.LinearTimeWarp(time_scalar=speed))
    return found


def blend(before: float, after: float, rate: float = 25) -> Any:
    return otio.schema.Transition("d", "SMPTE_Dissolve", Time(before, rate), Time(after, rate))


def cut(*items: Any) -> Any:
    timeline = otio.schema.Timeline("cut")
    timeline.tracks.append(otio.schema.Track("V1", children=list(items)))
    return timeline


def back(timeline: Any, name: str, folder: Path, rate: float | None = None) -> list[Any]:
    """The tracks' items of what was written and read again."""
    path = folder / f"cut{FORMATS[name].ending}"
    write_as(flattened(timeline, 10**9, FORMATS[name]), FORMATS[name], path)
    root = read_cut(path, rate).root
    return [root, *root.find_clips()]


def shown(found: Any) -> tuple[str, float, float, float]:
    speed = found.effects[0].time_scalar if found.effects else 1.0
    return found.name, found.source_range.start_time.value, found.source_range.duration.value, speed


def test_retimes_of_every_kind_come_back_from_an_edl(tmp_path: Path) -> None:
    timeline = cut(
        clip("a", 10, 10), clip("b", 20, 10, 2), clip("c", 30, 10, 0.5), clip("d", 40, 10, -1), clip("e", 50, 10, 0)
    )
    _root, *found = back(timeline, "edl", tmp_path, 25)
    assert [shown(each) for each in found] == [
        ("a", 10, 10, 1), ("b", 20, 10, 2), ("c", 30, 10, 0.5), ("d", 40, 10, -1), ("e", 50, 10, 0)
    ]  # fmt: skip
    lines = (tmp_path / "cut.edl").read_text().splitlines()
    assert (
        "00:00:00:20 00:00:01:15 00:00:00:10 00:00:00:20"
        in lines[lines.index("M2   b        050.0                00:00:00:20") - 1]
    )
    assert "M2   d        -025.0                00:00:01:24" in lines


def test_of_a_dissolve_between_retimed_clips_an_edl_has_the_frames_that_are_shown(tmp_path: Path) -> None:
    timeline = cut(clip("a", 20, 10, -1), blend(4, 4), clip("b", 60, 10, 2), blend(2, 2), clip("c", 90, 10))
    _root, *found = back(timeline, "edl", tmp_path, 25)
    # The cut moves to where the dissolve begins: a runs backwards and ends at 24, b begins 8 of its frames earlier.
    assert [shown(each) for each in found] == [("a", 24, 6, -1), ("b", 52, 12, 2), ("c", 88, 12, 1)]


def test_a_retimed_sequence_names_the_files_that_it_has(tmp_path: Path) -> None:
    sequence = otio.schema.ImageSequenceReference(
        "/m/", "p.", ".exr", 1001, rate=25, frame_zero_padding=4, available_range=frames(1001, 20)
    )
    timeline = cut(
        otio.schema.Clip("s", sequence, frames(1006, 10), effects=[otio.schema.LinearTimeWarp(time_scalar=2)])
    )
    _root, found = back(timeline, "edl", tmp_path, 25)
    assert shown(found) == ("s", 1006, 10, 2)
    assert "p.[1006-1020].exr" in (tmp_path / "cut.edl").read_text()


@pytest.mark.parametrize(("rate", "duration"), [(FILM, "1001/24000s"), (30000 / 1001, "1001/30000s"), (25, "1/25s")])
def test_fcpx_xml_is_written_at_the_rate_that_the_cut_has(tmp_path: Path, rate: float, duration: str) -> None:
    timeline = cut(*(clip(f"c{start}", start, 12, rate=rate) for start in (7, 40, 95)))
    _root, *found = back(timeline, "fcpx", tmp_path)
    assert [shown(each)[:3] for each in found] == [("c7", 7, 12), ("c40", 40, 12), ("c95", 95, 12)]
    assert [each.source_range.start_time.rate for each in found] == [pytest.approx(rate)] * 3
    assert f'frameDuration="{duration}"' in (tmp_path / "cut.fcpxml").read_text()


@pytest.mark.parametrize(("rates", "why"), [((FILM, 25), "mixes rates"), ((48,), "48 frames a second")])
def test_rates_that_fcpx_xml_cannot_have_are_refused_beforehand(rates: tuple[float, ...], why: str) -> None:
    timeline = cut(*(clip(f"c{rate:.0f}", 10, 10, rate=rate) for rate in rates))
    with pytest.raises(UsageError, match=why) as refused:
        forecast(Plan(timeline, ()), [FORMATS["fcpx"]])
    assert "what can be written: clip1" in refused.value.hint


def test_a_clip_that_comes_back_with_the_file_of_another_has_lost_its_own() -> None:
    one = cut(clip("a", 10, 10), clip("b", 20, 10))
    other = one.clone()
    for each in other.find_clips():
        each.media_reference.target_url = "file:///m/a.mov"
    assert losses(inventory(one), inventory(other)) == ["1 of 2 media references"]
    swapped = cut(clip("a", 10, 10), clip("b", 20, 10))
    for each, url in zip(swapped.find_clips(), ("/m/b.mov", "/m/a.mov"), strict=True):
        each.media_reference.target_url = url
    assert losses(inventory(one), inventory(swapped)) == ["all 2 media references"]


def test_a_cut_from_an_edl_can_be_written_as_fcpx_xml(tmp_path: Path) -> None:
    """Its track begins at minus an hour."""
    path = tmp_path / "cut.edl"
    path.write_text(
        "TITLE: x\n001  A  V  C  00:00:01:00 00:00:02:00 01:00:00:00 01:00:01:00\n* FROM CLIP NAME: a\n"
        "002  B  V  C  00:00:03:00 00:00:04:00 01:00:01:00 01:00:02:00\n* FROM CLIP NAME: b\n"
    )
    _root, *found = back(read_cut(path, 25).root, "fcpx", tmp_path)
    assert [shown(each)[:3] for each in found] == [("a", 25, 25), ("b", 75, 25)]


def test_the_clip_whose_retime_an_edl_cannot_have_is_named() -> None:
    one = clip("a", 10, 10)
    one.effects.append(otio.schema.TimeEffect(effect_name="Wobble"))
    with pytest.raises(UsageError, match=r"EDL.* the clip 'a' has a retime"):
        forecast(Plan(cut(one, clip("b", 10, 10)), ()), [FORMATS["edl"]])
