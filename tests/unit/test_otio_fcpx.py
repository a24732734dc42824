"""FCPX XML as newer versions write it: exact frames at 23.976, media in elements, what the adapter stumbles over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

from anyportal_client.errors import MediaError
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import Plan
from anyportal_client.otio.probes import MediaProblem
from anyportal_client.otio.reading import Cut, read_cut
from anyportal_client.otio.retimes import retime_of
from anyportal_client.otio.shape import shape
from anyportal_client.otio.surroundings import placed_clips

FORMATS = {
    "23.976": '<format id="r1" frameDuration="1001/24000s" width="1920" height="1080"/>',
    "29.97": '<format id="r1" frameDuration="1001/30000s"/>',
    "25": '<format id="r1" frameDuration="100/2500s"/>',
}
ASSET = """<asset id="r2" name="A" start="{start}" duration="{long}" hasVideo="1" format="r1">
    <media-rep kind="original-media" src="file:///m/A.mov"/></asset>"""


def write(folder: Path, rate: str, spine: str, resources: str = "", more: str = "", start: int = 90000) -> Path:
    """A project that starts at a timecode, with one asset from there on."""
    path = folder / "cut.fcpxml"
    asset = ASSET.format(start=time(rate, start), long=time(rate, 240))
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE fcpxml><fcpxml version="1.10"><resources>{FORMATS[rate]}'
        f'{asset}{resources}</resources><library><event name="empty"/><event name="e"><project name="p">'
        f'<sequence format="r1" duration="{time(rate, 500)}" tcStart="{time(rate, start)}"><spine>{spine}</spine>'
        f"</sequence></project></event>{more}</library></fcpxml>"
    )
    return path


def time(rate: str, frames: int) -> str:
    numerator, denominator = {"23.976": (1001, 24000), "29.97": (1001, 30000), "25": (1, 25)}[rate]
    return f"{frames * numerator}/{denominator}s"


def clip(rate: str, offset: int, start: int, length: int, inside: str = "", **more: str) -> str:
    attributes = {
        "ref": "r2", "name": "sh", "offset": time(rate, offset), "start": time(rate, start),
        "duration": time(rate, length), **more,
    }  # fmt: skip
    written = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<asset-clip {written}>{inside}</asset-clip>"


def clips_of(cut: Cut) -> list[Any]:
    return list(cut.root.find_clips())


@pytest.mark.parametrize(("rate", "exact"), [("23.976", 24000 / 1001), ("29.97", 30000 / 1001), ("25", 25.0)])
def test_frames_are_exact_at_every_rate(tmp_path: Path, rate: str, exact: float) -> None:
    """The adapter alone counts 23 frames a second, and cuts fractions off."""
    starts = [90001 + 7 * n for n in range(30)]
    spine = "".join(clip(rate, 90000 + 5 * n, start, 5) for n, start in enumerate(starts))
    cut = read_cut(write(tmp_path, rate, spine))
    [timeline] = [child for child in cut.root if isinstance(child, otio.schema.Timeline)]
    assert timeline.global_start_time == otio.opentime.RationalTime(90000, exact)
    found = clips_of(cut)
    assert [each.source_range.start_time for each in found] == [otio.opentime.RationalTime(n, exact) for n in starts]
    assert {each.source_range.duration.value for each in found} == {5}
    assert timeline.tracks[0].range_of_child_at_index(3).start_time.value == 15
    assert shape(Plan(cut.root, ()), Places(tmp_path)).timeline is timeline  # Resolve reads no collection
    assert found[0].media_reference.target_url == "/m/A.mov"
    assert found[0].media_reference.available_range.start_time.value == 90000


def mapped(rate: str, *points: tuple[int, int]) -> str:
    inside = "".join(
        f'<timept time="{time(rate, at)}" value="{time(rate, value)}" interp="smooth2"/>' for at, value in points
    )
    return f"<timeMap>{inside}</timeMap>"


@pytest.mark.parametrize("rate", ["23.976", "25"])
@pytest.mark.parametrize(
    ("points", "start", "shown"),
    [
        (((0, 0), (120, 240)), 20, (40, 10, 2)),
        (((0, 0), (480, 240)), 21, (10.5, 10, 0.5)),
        (((0, 240), (240, 0)), 20, (210, 10, -1)),  # 240 - 20 is where it begins to run backwards
        (((90000, 90240), (90120, 90000)), 90020, (90180, 10, -2)),
        (((0, 7), (100, 7)), 20, (7, 10, 0)),
        (((0, 0), (60, 120), (120, 240)), 20, (40, 10, 2)),
    ],
)
def test_a_constant_retime_is_read(tmp_path: Path, rate: str, points: Any, start: int, shown: Any) -> None:
    spine = clip(rate, 90000, start, 10, mapped(rate, *points)) + clip(rate, 90010, 90020, 10)
    one, two = clips_of(read_cut(write(tmp_path, rate, spine)))
    found = one.source_range
    assert (one.name, two.name) == ("sh", "sh")
    assert (found.start_time.value, found.duration.value) == pytest.approx(shown[:2])
    assert [effect.time_scalar for effect in one.effects] == pytest.approx([shown[2]])
    assert not two.effects and two.source_range.start_time.value == 90020  # of the same name, and not retimed


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (((0, 0), (60, 120), (120, 130)), "changes speed"),
        (((0, 0), (10, 20)), "shows more than"),
        (((0, 0),), "changes"),
    ],
)
def test_a_retime_that_cannot_be_followed_is_refused_for_what_it_is(tmp_path: Path, points: Any, why: str) -> None:
    cut = read_cut(write(tmp_path, "25", clip("25", 90000, 20, 10, mapped("25", *points))))
    with pytest.raises(MediaProblem, match=why):
        retime_of(clips_of(cut)[0], ())


def test_what_is_disabled_stays_so(tmp_path: Path) -> None:
    inner = f'<sequence format="r1" tcStart="0s"><spine>{clip("25", 0, 90010, 5, name="in")}</spine></sequence>'
    resources = f'<media id="r7" name="nest">{inner}</media>'
    nest = f'<ref-clip ref="r7" name="n" offset="{{}}" duration="{time("25", 5)}" enabled="{{}}"/>'
    spine = (
        clip("25", 90000, 90010, 5)
        + clip("25", 90005, 90010, 5, enabled="0")
        + clip("25", 90010, 90010, 5, enabled="1")
        + nest.format(time("25", 90015), 0)
        + nest.format(time("25", 90020), 1)
    )
    root = read_cut(write(tmp_path, "25", spine, resources)).root
    shown = [(placed.clip.name, placed.left_out) for placed in placed_clips(root)]
    assert shown == [("sh", ""), ("sh", "disabled"), ("sh", ""), ("in", "in a disabled sequence"), ("in", "")]


def test_it_is_known_in_a_bundle_and_under_another_name(tmp_path: Path) -> None:
    path = write(tmp_path, "25", clip("25", 90000, 90010, 5))
    (tmp_path / "cut.fcpxmld").mkdir()
    (tmp_path / "cut.fcpxmld/Info.fcpxml").write_bytes(path.read_bytes())
    (tmp_path / "cut.xml").write_bytes(path.read_bytes())
    for name in ("cut.fcpxmld", "cut.xml"):
        assert [each.name for each in clips_of(read_cut(tmp_path / name))] == ["sh"]
    with pytest.raises(MediaError, match="no such timeline"):
        read_cut(tmp_path / "gone.xml")


def test_what_brings_the_adapter_down_is_mended(tmp_path: Path) -> None:
    rate = "25"
    resources = """<format id="r3" name="FFVideoFormatRateUndefined"/><effect id="r4" name="Bars"/>
      <asset id="r5" name="still" start="0s" duration="0s" hasVideo="1" format="r3" src="file:///m/s.png"/>
      <asset id="r6" name="odd" start="0s" duration="4s" hasVideo="1" format="r99" src="file:///m/o.mov"/>"""
    spine = "".join(
        [
            clip(rate, 90000, 90010, 5),
            f'<video ref="r5" name="picture" offset="{time(rate, 90005)}" start="0s" duration="{time(rate, 5)}"/>',
            f'<video ref="r4" name="bars" offset="{time(rate, 90010)}" duration="{time(rate, 5)}"/>',
            "<audition>",
            *(clip(rate, 90015, start, 5, name=name) for name, start in (("chosen", 90020), ("not", 90030))),
            "</audition>",
            clip(rate, 90020, 1, 5, ref="r6", name="odd"),
            clip(rate, 90025, 1, 5, ref="r77", name="nowhere"),
            f'<mc-clip ref="r2" name="many" offset="{time(rate, 90030)}" duration="{time(rate, 5)}"/>',
            f'<title name="t" offset="{time(rate, 90035)}" duration="{time(rate, 5)}"/>',
        ]
    )
    cut = read_cut(write(tmp_path, rate, spine, resources))
    assert [each.name for each in clips_of(cut)] == ["sh", "picture", "chosen", "odd"]
    assert cut.notes == ("clips of an FCPX XML, 1 multicam: not read, bake or open what is meant",)


def test_projects_of_all_events_and_mixed_rates_are_told_of(tmp_path: Path) -> None:
    other = clip("23.976", 90000, 90010, 5, name="other")
    sequence = f'<sequence format="r1" tcStart="0s"><spine>{other}</spine></sequence>'
    more = f'<event><project name="q">{sequence}</project></event>'
    path = write(tmp_path, "23.976", clip("23.976", 90000, 90010, 5), '<format id="r8" frameDuration="1/25s"/>', more)
    cut = read_cut(path)
    assert [each.name for each in clips_of(cut)] == ["sh", "other"]
    assert "holds 2 timelines" in shape(Plan(cut.root, ()), Places(tmp_path)).notes[0]
    assert cut.notes == ("the FCPX XML mixes rates such as 23.976 with whole ones: its frames may be one off",)


@pytest.mark.parametrize("text", ["", "no xml", "<fcpxml/>", "<fcpxml><project/></fcpxml>", "<xmeml/>"])
def test_what_is_no_cut_is_told_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cut.fcpxml"
    path.write_text(text)
    with pytest.raises(MediaError, match="the timeline cannot be read"):
        read_cut(path)
