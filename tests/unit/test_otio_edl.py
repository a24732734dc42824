"""EDLs as hosts write them: whose file a dissolve leads to, retimes of every kind, events that nobody can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest

from anyportal_client.errors import MediaError
from anyportal_client.otio.edl import read_edl
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import make_plan
from anyportal_client.otio.reading import read_cut
from anyportal_core.testing.clips import write_movie

BLUE = {"backdrop": "#102030"}
FIRST = """TITLE: x
001  {reel}  V  C  00:00:01:00 00:00:02:00 01:00:00:00 01:00:01:00
* FROM CLIP NAME: one
* FROM CLIP: /m/a.mov
"""
DISSOLVE = """002  {reel}  V  C      00:00:02:00 00:00:02:00 01:00:01:00 01:00:01:00
002  {to}  V  D  008  00:00:00:10 00:00:01:10 01:00:01:00 01:00:02:00
"""


def read(text: str, rate: float = 25) -> tuple[Any, tuple[str, ...]]:
    return read_edl(text, rate)


def clips_in(root: Any) -> list[Any]:
    return list(root.find_clips())


def urls(clips: list[Any]) -> list[str]:
    return [getattr(clip.media_reference, "target_url", "") for clip in clips]


@pytest.mark.parametrize("word", ["CLIP", "FILE"])
def test_a_dissolve_leads_to_the_file_that_it_names(word: str) -> None:
    told = "* FROM CLIP NAME: one\n* FROM CLIP: /m/a.mov\n* TO CLIP NAME: two\n* TO CLIP: /m/b.mov\n"
    root, notes = read(
        FIRST.format(reel="AX") + (DISSOLVE.format(reel="AX", to="AX") + told).replace("CLIP:", f"{word}:")
    )
    clips = clips_in(root)
    assert urls(clips) == ["/m/a.mov", "/m/b.mov"] and notes == ()
    assert [clip.name for clip in clips] == ["one", "two"]
    [blend] = [each for each in clips[0].parent() if isinstance(each, otio.schema.Transition)]
    assert (blend.in_offset.value, blend.out_offset.value) == (0, 8)
    assert "cmx_3600" not in clips[1].metadata


@pytest.mark.parametrize(("reel", "to", "second"), [("AX", "AX", ""), ("A1", "B1", ""), ("A1", "A1", "/m/a.mov")])
def test_a_dissolve_to_a_clip_without_a_file_does_not_take_the_one_before(reel: str, to: str, second: str) -> None:
    told = "* FROM CLIP NAME: one\n* FROM CLIP: /m/a.mov\n"
    root, _ = read(FIRST.format(reel=reel) + DISSOLVE.format(reel=reel, to=to) + told)
    clips = clips_in(root)
    assert urls(clips) == ["/m/a.mov", second]
    assert clips[1].name == ("one" if second else "002")


def test_a_cut_that_is_written_comes_back_with_the_files_that_it_had(tmp_path: Path) -> None:
    time, span = otio.opentime.RationalTime, otio.opentime.TimeRange
    one, two = (
        otio.schema.Clip(name, otio.schema.ExternalReference(f"/m/{name}.mov"), span(time(30, 25), time(20, 25)))
        for name in ("a", "b")
    )
    timeline = otio.schema.Timeline("x")
    blend = otio.schema.Transition("d", "SMPTE_Dissolve", time(4, 25), time(4, 25))
    timeline.tracks.append(otio.schema.Track("V", children=[one, blend, two]))
    otio.adapters.write_to_file(timeline, str(tmp_path / "cut.edl"))
    assert urls(list(read_cut(tmp_path / "cut.edl", 25).root.find_clips())) == ["/m/a.mov", "/m/b.mov"]


RETIMED = """TITLE: x
001  C25  V  C  10:00:01:00 10:00:0{out} 01:00:00:00 01:00:00:10
{told}
* FROM CLIP NAME: a.mov
"""


@pytest.mark.parametrize("out", ["1:10", "1:20"])
@pytest.mark.parametrize(
    ("told", "frames", "speed"),
    [
        ("M2   C25   050.0   10:00:01:00", "25-44", 2),
        ("M2   C25   012.5   10:00:01:00", "25-29", 0.5),
        ("M2   C25   -025.0   10:00:01:09", "25-34", -1),
        ("M2   C25   000.0   10:00:01:00", "25", 0),
        ("M2   050.0   10:00:01;00", "25-44", 2),
        ("* * FREEZE FRAME", "25", 0),
    ],
)
def test_a_retime_counts_whatever_the_lengths(tmp_path: Path, out: str, told: str, frames: str, speed: float) -> None:
    write_movie(tmp_path / "a.mov", np.zeros((100, 16, 16, 3), np.float32), rate=25, timecode="10:00:00:00")
    path = tmp_path / "cut.edl"
    path.write_text(RETIMED.format(out=out, told=told))
    [shot] = make_plan(read_cut(path, 25).root, Places(tmp_path, search=(tmp_path,)), BLUE).shots
    assert shot.span and (shot.frames, shot.span.speed) == (frames, speed)


def test_of_a_blend_each_clip_has_its_own_retime() -> None:
    motions = ["M2   one   050.0   00:00:01:00", "M2   two   -012.5   00:00:00:10"]
    told = ["* FROM CLIP NAME: one", "* TO CLIP NAME: two"]

    def speeds(*lines: str) -> list[list[float]]:
        first = FIRST.format(reel="AX") + motions[0] + "\n"
        root, _ = read(first + DISSOLVE.format(reel="AX", to="AX") + "\n".join(lines))
        return [[effect.time_scalar for effect in clip.effects] for clip in clips_in(root)]

    assert speeds(motions[0], told[0], motions[1], told[1]) == [[2], [-0.5]]
    assert speeds(motions[0], *told) == [[2], []]
    assert speeds(told[0], "* * FREEZE FRAME", told[1]) == [[2], []]
    assert speeds(*told, "* * FREEZE FRAME") == [[2], [0]]


@pytest.mark.parametrize(("told", "speed"), [("024.0", 1.0), ("-048.0", -2.0), ("11.988", 0.5)])
def test_a_retime_at_23_976_counts_24_frames_a_second_too(told: str, speed: float) -> None:
    root, _ = read(RETIMED.format(out="1:10", told=f"M2 C25 {told} 10:00:01:00"), 24000 / 1001)
    clips = clips_in(root)
    assert clips[0].effects[0].time_scalar == pytest.approx(speed, abs=1e-4)


def test_a_retime_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    root, _ = read(RETIMED.format(out="1:10", told="M2 C25 fast"))
    clips = clips_in(root)
    write_movie(tmp_path / "a.mov", np.zeros((100, 16, 16, 3), np.float32), rate=25, timecode="10:00:00:00")
    [shot] = make_plan(clips[0], Places(tmp_path, search=(tmp_path,)), BLUE).shots
    assert shot.problem == "its retime cannot be read: M2 C25 fast"


@pytest.mark.parametrize(
    ("event", "note"),
    [
        ("002  D  V  K  00:00:02:02 00:00:03:02 01:00:01:00 01:00:02:00", "it is a key, which is not read"),
        (
            "002  D   V  K B      00:00:02:02 00:00:03:02 01:00:01:00 01:00:02:00\n"
            "002  BL  V  K   000  00:00:00:00 00:00:01:00 01:00:01:00 01:00:02:00",
            "it is a key, which is not read",
        ),
        ("002  D  V  C  00:00:02:02 00:00:03:02", "incorrect number of fields [6]"),
    ],
)
def test_an_event_that_cannot_be_read_is_left_out_by_its_number(event: str, note: str) -> None:
    after = "003  E  V  C  00:00:05:00 00:00:06:00 01:00:02:00 01:00:03:00\n"
    root, notes = read(f"{FIRST.format(reel='AX')}{event}\n* FROM CLIP NAME: key\n{after}")
    clips = clips_in(root)
    assert [clip.name for clip in clips] == ["one", "003"]
    assert len(notes) == 1 and notes[0].startswith(f"event 002 of the EDL is left out: {note}")
    assert clips[1].range_in_parent().start_time.value == 50  # where it was


def test_the_halves_of_a_dissolve_may_have_different_numbers() -> None:
    first, _, second = DISSOLVE.format(reel="T", to="T").partition("\n")
    root, notes = read(f"{FIRST.format(reel='T')}{first.replace('002', '001')}\n{second}* TO CLIP NAME: two\n")
    assert [clip.name for clip in clips_in(root)] == ["one", "two"] and notes == ()


def test_sound_under_the_number_of_its_picture_and_a_fade_in_are_read() -> None:
    fade = "001  BL  V  C      00:00:00:00 00:00:00:00 01:00:00:00 01:00:00:00\n"
    fade += "001  E   V  D  008 00:00:05:00 00:00:06:00 01:00:00:00 01:00:01:00\n* TO CLIP NAME: five\n"
    both = "002  F  V  C  00:00:05:00 00:00:06:00 01:00:01:00 01:00:02:00\n"
    both += "002  F  A  C  00:00:05:00 00:00:06:00 01:00:01:00 01:00:02:00\n* FROM CLIP NAME: six\n"
    root, notes = read(f"TITLE: x\n{fade}{both}")
    clips = clips_in(root)
    assert [(clip.name, clip.parent().name) for clip in clips] == [("five", "V"), ("six", "V"), ("six", "A1")]
    assert notes == ("event 001 of the EDL blends from nothing: it is read as a cut",)


def test_a_rate_without_the_frames_of_the_timecodes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.edl"
    path.write_text(FIRST.format(reel="AX").replace("00:00:02:00", "00:00:02:28"))
    with pytest.raises(MediaError, match="have a frame 28, which 25 frames"):
        read_cut(path, 25)
