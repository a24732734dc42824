"""Timelines as the worst of hosts write them: each shot ends planned or with a problem in words, never with a trace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyportal_client.otio.flatten import FORMATS, flattened
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import Plan, make_plan
from anyportal_client.otio.records import asked_of, shared, stamp_of
from anyportal_client.otio.run import to_request
from anyportal_client.otio.shape import shape
from anyportal_client.otio.show import as_data
from anyportal_client.otio.surroundings import clips_of
from anyportal_client.otio.timing import Extent, Times, find_span
from anyportal_client.otio.write import carry_versions, write_timeline
from anyportal_core.testing.clips import write_movie

BLUE = {"backdrop": "#102030", "handles": 5}
FLOAT32 = 23.976024627685547
Time, Range = otio.opentime.RationalTime, otio.opentime.TimeRange


def frames(start: float, duration: float, rate: float = 24, duration_rate: float | None = None) -> Any:
    return Range(Time(start, rate), Time(duration, duration_rate or rate))


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A movie of 40 frames with timecode, and a sequence 1001-1050; names that want care."""
    folder = tmp_path_factory.mktemp("media") / "Übung 100% #1"
    folder.mkdir()
    write_movie(folder / "A%20é.mov", np.zeros((40, 16, 16, 3), np.float32), timecode="01:00:00:00")
    for number in range(1001, 1051):
        (folder / f"plate.{number}.exr").touch()
    for number in range(1, 11):
        (folder / f"odd.{number}.exr").touch()
    return folder


def sequence(media: Path, **more: Any) -> Any:
    about: dict[str, Any] = {
        "target_url_base": f"{media}/", "name_prefix": "plate.", "name_suffix": ".exr", "start_frame": 1001, "rate": 24,
        "frame_zero_padding": 4, "available_range": frames(1001, 50),
    }  # fmt: skip
    return otio.schema.ImageSequenceReference(**{**about, **more})


def movie(media: Path, available: Any = None, url: str = "") -> Any:
    return otio.schema.ExternalReference(url or str(media / "A%20é.mov"), available)


def cut(*items: Any, **more: Any) -> Any:
    timeline = otio.schema.Timeline("cut")
    timeline.tracks.append(otio.schema.Track("Video 1", children=list(items), **more))
    return timeline


def all_of_it(timeline: Any, base: Path) -> Plan:
    """Everything that a batch does with a timeline short of sending it; nothing of it may raise."""
    places = Places(base)
    plan = shared(make_plan(timeline, places, BLUE))
    for shot in plan.shots:
        assert bool(shot.problem) != bool(shot.span is not None and shot.media and not shot.media.missing), shot
        assert as_data(shot)["shot"] == shot.name
        if not shot.problem:
            first, last = shot.processed
            assert shot.media is not None and shot.media.extent is not None and shot.span is not None
            extent = shot.media.extent
            assert extent.start <= first <= shot.span.first <= shot.span.last <= last < extent.start + extent.count
            assert to_request(shot, "x").frames == shot.range
            assert len(asked_of(shot)) == len(stamp_of(shot, shot.processed)) == 64
    plan = shape(plan, places)
    for clip in clips_of(plan.timeline):
        for reference in clip.media_references().values():
            assert reference.available_range is not None or clip.source_range is None
    path = base / "nasty_anyportal.otio"
    write_timeline(plan.timeline, path)
    carry_versions(plan, otio.adapters.read_from_file(str(path)))
    flattened(plan.timeline, 1, FORMATS["clip1"])
    path.unlink()
    return plan


HOUR = 3600 * 24


def good(media: Path) -> Iterator[tuple[str, Any, str]]:
    """Clips that can be planned, with the frames that they are about."""
    clip = otio.schema.Clip
    yield "float32 rate", clip("a", sequence(media, rate=FLOAT32, available_range=frames(1001, 50, FLOAT32)),
        frames(1010, 10, 23.976)), "1005-1024"  # fmt: skip
    yield "twenty and a bit", clip("a", sequence(media), frames(1010, 20.000000000000004)), "1005-1034"
    yield "just below", clip("a", sequence(media), frames(1009.9999999, 9.9999)), "1005-1024"
    yield (
        "25 over 24",
        clip("a", movie(media, frames(HOUR / 24 * 25, 40, 25)), frames(HOUR / 24 * 25 + 10, 5, 25)),
        "4-18",
    )
    yield "duration of another rate", clip("a", sequence(media), frames(1010, 20, 24, 48)), "1005-1024"
    yield "available of another rate", clip("a", sequence(media, available_range=frames(1001, 100, 24, 48)),
        frames(1010, 10)), "1005-1024"  # fmt: skip
    yield "negative start", clip("a", movie(media), frames(-3, 10)), "0-11"
    yield "no available range", clip("a", sequence(media, available_range=None), frames(1010, 10)), "1005-1024"
    yield (
        "an empty available range",
        clip("a", sequence(media, available_range=frames(0, 0)), frames(1010, 10)),
        "1005-1024",
    )
    yield "no source range", clip("a", sequence(media)), "1001-1050"
    yield "nothing but the file", clip("a", movie(media)), "0-39"
    yield "url of its movie", clip("a", movie(media, url=(media / "A%20é.mov").as_uri()), frames(HOUR + 10, 10)), "5-24"
    yield "localhost", clip("a", movie(media, url=(media / "A%20é.mov").as_uri().replace("///", "//localhost/")),
        frames(HOUR + 10, 10)), "5-24"  # fmt: skip
    yield "a relative path", clip("a", movie(media, url="A%20é.mov"), frames(10, 10)), "5-24"
    yield "a dotted path", clip("a", movie(media, url=f"./../{media.name}/A%20é.mov"), frames(10, 10)), "5-24"
    yield "spaces around", clip("a", movie(media, url=f" {media}/A%20é.mov\n"), frames(10, 10)), "5-24"
    yield (
        "an escaped counter",
        clip("a", movie(media, url=(media / "plate.%04d.exr").as_uri()), frames(1010, 10)),
        "1005-1024",
    )
    yield (
        "a bare counter in a url",
        clip("a", movie(media, url=f"{media.as_uri()}/plate.%04d.exr"), frames(1010, 10)),
        "1005-1024",
    )
    yield "odd padding", clip("a", sequence(media, name_prefix="odd.", start_frame=1, frame_zero_padding=0,
        available_range=frames(1, 10)), frames(3, 2)), "1-9"  # fmt: skip
    yield "no folder's end", clip("a", sequence(media, target_url_base=str(media)), frames(1010, 10)), "1005-1024"
    yield "backwards", clip("a", sequence(media), frames(1010, 10),
        effects=[otio.schema.LinearTimeWarp(time_scalar=-1)]), "1005-1024"  # fmt: skip
    yield "held", clip("a", sequence(media), frames(1010, 30), effects=[otio.schema.FreezeFrame()]), "1010"
    yield "twice retimed", clip("a", sequence(media), frames(1010, 10),
        effects=[otio.schema.LinearTimeWarp(time_scalar=2), otio.schema.LinearTimeWarp(time_scalar=0.5)],
    ), "1005-1024"  # fmt: skip
    for what, lookup, expected in (
        ("a warp that does nothing", [0.0] * 10, "1005-1024"),
        ("a warp that gets faster", [float(n) for n in range(10)], "1005-1033"),
        ("a warp that turns round", [0.0, 0.0, -4.0, -8.0, -10.5], "1001-1016"),
    ):
        warp = otio.schema.TimeEffect("w", "TimeWarp", {"lookup": lookup})
        yield what, clip("a", sequence(media), frames(1010, 10), effects=[warp]), expected
    yield "much too long", clip("a", sequence(media), frames(1010, 10**6)), "1005-1050"


def bad(media: Path) -> Iterator[tuple[str, Any, str]]:
    """Clips that cannot be planned, with a word of why."""
    clip = otio.schema.Clip
    yield "no length", clip("a", sequence(media), frames(1010, 0)), "shows nothing"
    yield "less than none", clip("a", sequence(media), frames(1010, -5)), "makes no sense"
    yield "no number", clip("a", sequence(media), frames(math.nan, 5)), "makes no sense"
    yield "no end", clip("a", sequence(media), frames(1010, math.inf)), "makes no sense"
    yield "no rate", clip("a", sequence(media), frames(1010, 5, 0)), "makes no sense"
    yield "a rate below", clip("a", sequence(media), frames(1010, 5, -24)), "makes no sense"
    yield "a huge start", clip("a", sequence(media), frames(1e300, 5)), "makes no sense"
    yield "far away", clip("a", sequence(media), frames(5000, 5)), "shows frames from 5000"
    yield "no reference", clip("a", None, frames(0, 5)), "no media reference"
    yield "a missing reference", clip("a", otio.schema.MissingReference(), frames(0, 5)), "no media reference"
    yield "an empty path", clip("a", otio.schema.ExternalReference("  "), frames(0, 5)), "no media reference"
    yield "a generator", clip("a", otio.schema.GeneratorReference("bars", "SMPTEBars"), frames(0, 5)), "generated"
    yield "steps", clip("a", sequence(media, frame_step=2), frames(1010, 5)), "steps of 2"
    yield "no name", clip("a", sequence(media, name_prefix="", name_suffix=""), frames(1010, 5)), "has no name"
    yield "before zero", clip("a", sequence(media, start_frame=-5), frames(1010, 5)), "starts at frame -5"
    yield "wide", clip("a", sequence(media, frame_zero_padding=2**31 - 1), frames(1010, 5)), "is not there"
    yield (
        "another drive",
        clip("a", movie(media, url=r"P:\shows\a b.mov"), frames(0, 5)),
        "P:/shows/a b.mov is not there",
    )
    yield (
        "a server",
        clip("a", movie(media, url=r"\\nas\Größe\100%.mov"), frames(0, 5)),
        "//nas/Größe/100%.mov is not there",
    )
    yield "the web", clip("a", movie(media, url="https://example.com/a.mov"), frames(0, 5)), "no local file"
    yield "brackets", clip("a", movie(media, url="//[x/a.mov"), frames(0, 5)), "is no path"
    yield "a folder", clip("a", movie(media, url=str(media)), frames(0, 5)), "is not there"
    yield "too long a name", clip("a", movie(media, url=f"{'x' * 300}.mov"), frames(0, 5)), "x"
    yield "a zero", clip("a", movie(media, url="a\0b.mov"), frames(0, 5)), ""
    yield "a ramp", clip("a", sequence(media), frames(1010, 5), effects=[otio.schema.TimeEffect("", "Ramp")]), "'Ramp'"
    for lookup in ([], ["x"], "fast", [1e300]):
        warp = otio.schema.TimeEffect("", "Warp", {"lookup": lookup})
        yield f"a warp by {lookup}", clip("a", sequence(media), frames(1010, 5), effects=[warp]), "'Warp'"
    yield "endless speed", clip("a", sequence(media), frames(1010, 5),
        effects=[otio.schema.LinearTimeWarp(time_scalar=math.inf)]), "no speed"  # fmt: skip
    yield "no table", clip("a", sequence(media), frames(1010, 5), metadata={"anyportal": 7}), "must be a table"


def test_what_can_be_planned_is(media: Path) -> None:
    for what, clip, expected in good(media):
        [shot] = all_of_it(cut(clip), media).shots
        assert (shot.problem, shot.frames) == ("", expected), what


def test_what_cannot_be_planned_says_why(media: Path) -> None:
    for what, clip, word in bad(media):
        [shot] = all_of_it(cut(clip), media).shots
        assert shot.problem and word in shot.problem, (what, shot.problem)


def test_cuts_without_a_clip_to_process_are_plans_without_shots(media: Path) -> None:
    sound = otio.schema.Clip("s", movie(media), frames(0, 5))
    off = otio.schema.Clip("off", movie(media), frames(0, 5))
    off.enabled = False
    only_sound = otio.schema.Timeline("x")
    only_sound.tracks.append(otio.schema.Track("A1", children=[sound], kind="Audio"))
    hidden = otio.schema.Timeline("x")
    hidden.tracks.append(otio.schema.Track("V1", children=[sound.clone()]))
    hidden.tracks[0].enabled = False
    cuts = [
        otio.schema.Timeline("x"),
        otio.schema.SerializableCollection("x"),
        otio.schema.Stack("x"),
        otio.schema.Track("x"),
        only_sound,
        hidden,
        cut(otio.schema.Gap(source_range=frames(0, 5)), off),
        cut(otio.schema.Transition("t", "SMPTE_Dissolve", Time(2, 24), Time(2, 24))),
    ]
    for timeline in cuts:
        assert all_of_it(timeline, media).shots == ()


def test_nested_sequences_show_what_is_left_of_them(media: Path) -> None:
    children = [otio.schema.Clip(name, sequence(media), frames(1010 + i, 10)) for i, name in enumerate("abc")]
    nest = otio.schema.Stack("nest", children=[otio.schema.Track("in", children=children)], source_range=frames(12, 5))
    fx = otio.schema.Stack("fx", children=[otio.schema.Clip("d", sequence(media), frames(1010, 4))])
    fx.effects.append(otio.schema.Effect("Glow"))
    plan = all_of_it(cut(nest, otio.schema.Stack("empty"), fx), media)
    assert [(shot.name, shot.track, shot.problem) for shot in plan.shots] == [("b", "in", ""), ("d", "Video 1", "")]
    assert plan.notes == ("left out, since they are not seen in the nested sequences around: a, c",)


def test_what_a_trim_within_a_trim_shows_is_planned(media: Path) -> None:
    """The inner sequence begins at its second clip; only then counts what the outer one trims."""
    children = [otio.schema.Clip(name, sequence(media), frames(1010, 10)) for name in "abc"]
    inner = otio.schema.Stack("in", children=[otio.schema.Track("t", children=children)], source_range=frames(10, 20))
    outer = otio.schema.Stack("out", children=[otio.schema.Track("u", children=[inner])], source_range=frames(0, 5))
    plan = all_of_it(cut(outer), media)
    assert [shot.name for shot in plan.shots] == ["b"]
    assert plan.notes == ("left out, since they are not seen in the nested sequences around: a, c",)


def test_a_dissolve_shows_clips_beyond_a_trim(media: Path) -> None:
    a, b = (otio.schema.Clip(name, sequence(media), frames(1010, 10)) for name in "ab")
    blend = otio.schema.Transition("t", "SMPTE_Dissolve", Time(4, 24), Time(4, 24))
    nest = otio.schema.Stack(
        "in", children=[otio.schema.Track("t", children=[a, blend, b])], source_range=frames(12, 5)
    )
    assert [shot.name for shot in all_of_it(cut(nest), media).shots] == ["a", "b"]


def test_disabled_clips_are_left_out_by_name(media: Path) -> None:
    clips = [otio.schema.Clip(name, sequence(media), frames(1010, 10)) for name in ("a", "b", "b", "c", "")]
    for off in clips[1:3]:
        off.enabled = False
    timeline = cut(*clips[:3])
    for clip, enabled in zip(clips[3:], (False, True), strict=True):
        timeline.tracks.append(otio.schema.Track("off", children=[clip]))
        timeline.tracks[-1].enabled = enabled
    clips[4].enabled = False
    plan = all_of_it(timeline, media)
    assert [shot.name for shot in plan.shots] == ["a"]
    assert plan.notes == (
        "left out, since they are disabled: b (2 times), a clip without a name",
        "left out, since it is on a disabled track: c",
    )


def test_dissolves_count_in_the_clip_s_rate_and_wherever_they_stand(media: Path) -> None:
    half = otio.schema.Transition("t", "SMPTE_Dissolve", Time(4, 48), Time(8, 48))
    a, b = (otio.schema.Clip(name, sequence(media), frames(1020, 5)) for name in "ab")
    timeline = cut(half.clone(), a, half.clone(), b, half.clone())
    spans = [shot.span for shot in all_of_it(timeline, media).shots]
    assert [(span.head, span.tail) for span in spans if span] == [(7, 9), (7, 9)]


def test_requests_on_timeline_tracks_and_their_markers_reach_the_clips(media: Path) -> None:
    def asking(**values: Any) -> dict[str, Any]:
        return {"anyportal": values}

    clips = [otio.schema.Clip(name, sequence(media), frames(1010, 10)) for name in "abc"]
    clips[2].metadata["anyportal"] = {"seed": 3}
    timeline = cut(*clips, metadata=asking(subject="a cat"))
    timeline.metadata["anyportal"] = {"backdrop": "#111111", "seed": 1, "handles": 2}
    late = otio.schema.Marker("sky", frames(10, 0), metadata=asking(backdrop="#222222", seed=2))
    timeline.tracks.markers.append(late)
    timeline.tracks.markers.append(otio.schema.Marker("note", frames(0, 30)))
    wide = otio.schema.Marker("all", frames(5, 30), metadata=asking(preset="draft"))
    timeline.tracks[0].markers.append(wide)
    shots = make_plan(timeline, media).shots
    assert [shot.problem for shot in shots] == ["", "", ""]
    requests = [shot.request for shot in shots if shot.request]
    assert [(r.backdrop, r.seed, r.subject) for r in requests] == [
        ("#111111", 1, "a cat"), ("#222222", 2, "a cat"), ("#111111", 3, "a cat"),
    ]  # fmt: skip
    assert shots[1].origins == {
        "backdrop": "marker sky", "seed": "marker sky", "subject": "track Video 1", "handles": "timeline",
        "preset": "marker all",
    }  # fmt: skip


NUMBERS = st.one_of(
    st.integers(-2000, 90000).map(float),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 20.000000000000004, 1009.999, 1e300, 5e-324]),
)
RATES = st.one_of(st.sampled_from([24.0, 23.976, FLOAT32, 24000 / 1001, 25.0, 30.0, 59.94, 1.0, 0.0, -24.0]), NUMBERS)
RANGES = st.one_of(st.none(), st.builds(frames, NUMBERS, NUMBERS, RATES, RATES))
EFFECTS = st.lists(
    st.one_of(
        NUMBERS.map(lambda scalar: otio.schema.LinearTimeWarp(time_scalar=scalar)),
        st.builds(otio.schema.FreezeFrame),
        st.lists(NUMBERS, max_size=3).map(lambda lookup: otio.schema.TimeEffect("", "", {"lookup": lookup})),
        st.builds(otio.schema.Effect),
    ),
    max_size=2,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
STARTS = ["file://", "file:///", "file://localhost/", "\\\\", "C:\\", "http://", "./", "//"]
URLS = st.one_of(
    TEXTS,
    st.tuples(st.sampled_from(STARTS), TEXTS).map("".join),
    st.sampled_from(["A%20é.mov", "plate.%04d.exr", "plate.[1001-1050].exr", "plate.####.exr", "plate.1003.exr"]),
)  # fmt: skip
SMALL = st.integers(-(2**31), 2**31 - 1)


@st.composite
def references(draw: st.DrawFn) -> Any:
    available = draw(RANGES)
    kind = draw(st.sampled_from(["movie", "sequence", "none", "generator"]))
    if kind == "movie":
        return otio.schema.ExternalReference(draw(URLS), available)
    if kind == "sequence":
        return otio.schema.ImageSequenceReference(
            draw(st.one_of(URLS, st.just(""))), draw(st.one_of(TEXTS, st.just("plate."))), ".exr",
            draw(st.one_of(st.just(1001), SMALL)), draw(st.one_of(st.just(1), SMALL)), draw(RATES),
            draw(st.one_of(st.just(4), SMALL)), available_range=available,
        )  # fmt: skip
    if kind == "generator":
        return otio.schema.GeneratorReference("g", "bars", available)
    return draw(st.sampled_from([None, "missing"])) and otio.schema.MissingReference("", available)


@st.composite
def cuts(draw: st.DrawFn) -> Any:
    def item(depth: int) -> Any:
        kind = draw(st.sampled_from(["clip"] * 4 + ["gap", "transition", "nest"]))
        if kind == "gap":
            return otio.schema.Gap(source_range=draw(RANGES) or frames(0, 5))
        if kind == "transition":
            return otio.schema.Transition("t", "SMPTE_Dissolve", Time(draw(NUMBERS), 24), Time(draw(NUMBERS), 24))
        if kind == "nest" and depth < 2:
            children = [item(depth + 1) for _ in range(draw(st.integers(0, 2)))]
            children = [each for each in children if not isinstance(each, otio.schema.Transition)]
            return otio.schema.Stack("n", children=children, source_range=draw(RANGES), effects=draw(EFFECTS))
        found = otio.schema.Clip(draw(TEXTS), draw(references()), draw(RANGES), effects=draw(EFFECTS))
        if draw(st.booleans()):
            about = draw(st.sampled_from([7, {}, {"backdrop": "#fff"}, {"seed": 2}, {"range": "1-2"}, {"range": "x"}]))
            found.markers.append(otio.schema.Marker("m", frames(draw(NUMBERS), 1), metadata={"anyportal": about}))
        return found

    timeline = otio.schema.Timeline("cut")
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["Video", "Video", "Audio", ""]))
        children = [item(0) for _ in range(draw(st.integers(0, 4)))]
        timeline.tracks.append(otio.schema.Track("", children=children, kind=kind))
    return timeline


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(timeline=cuts())
def test_no_timeline_brings_a_plan_down(timeline: Any, media: Path) -> None:
    before = set(media.iterdir())
    all_of_it(timeline, media)
    assert set(media.iterdir()) == before


@settings(max_examples=300, deadline=None)
@given(
    start=st.floats(-500, 90000), length=st.floats(0.01, 3000), rate=st.sampled_from([23.976, 24.0, 25.0, 29.97, 60.0]),
    media_rate=st.sampled_from([23.976, FLOAT32, 24.0, 25.0, 59.94]), origin=st.sampled_from([0, 1001, 86400]),
    count=st.integers(1, 2000), speed=st.floats(-8, 8), handles=st.tuples(st.integers(0, 50), st.integers(0, 50)),
)  # fmt: skip
def test_a_span_lies_within_the_media_and_grows_with_its_handles(
    start: float, length: float, rate: float, media_rate: float, origin: int, count: int, speed: float,
    handles: tuple[int, int],
) -> None:  # fmt: skip
    extent = Extent(1001, origin, count, media_rate)
    bare = find_span(Times(start, length, rate), extent, speed)
    wide = find_span(Times(start, length, rate), extent, speed, handles)
    assert (bare is None) == (wide is None)
    if bare is None or wide is None:
        return
    assert 1001 <= wide.frames[0] <= bare.first <= bare.last <= wide.frames[1] < 1001 + count
    assert (wide.first, wide.last, bare.head, bare.tail) == (bare.first, bare.last, 0, 0)
    backwards = find_span(Times(start, length, rate), extent, -speed)
    assert backwards is not None and (backwards.first, backwards.last) == (bare.first, bare.last)
