"""The Resolve client from the timeline to the take: a fake Resolve, a real command, a real daemon, real footage.

The plates' frames carry numbers and the results keep them, so that what is seen at each frame of the timeline can be
compared before and after.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from anyportal_core.testing.clips import numbered_frames, write_images
from tests.hosts.resolve import house
from tests.hosts.resolve.app import Resolve
from tests.hosts.resolve.items import TimelineItem
from tests.hosts.resolve.pool import MediaPoolItem

house.importable()
client = importlib.import_module("anyportal_resolve")
baking = importlib.import_module("anyportal_resolve.baking")
hostkit = importlib.import_module("anyportal_hostkit")


class Set(NamedTuple):
    """What all tests here share."""

    folder: Path
    plate: str
    fast: str
    sequence: str
    mask: str


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    folder = tmp_path_factory.mktemp("resolve")
    patch = pytest.MonkeyPatch()
    with house.daemon(folder) as env:
        for name in [name for name in os.environ if name.startswith("ANYPORTAL_")]:
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setattr(baking, "_TICK", 0.0)
        write_images(folder / "seq.%04d.png", numbered_frames(320)[290:320], first=1001)
        plate = house.movie(folder, "plate.mp4", range(100, 148))
        fast = house.movie(folder, "fast.mp4", range(200, 240), Fraction(25))
        yield Set(folder, plate, fast, str(folder / "seq.%04d.png"), house.white(folder))
    patch.undo()


@pytest.fixture
def resolve() -> Resolve:
    return Resolve()


@pytest.fixture
def run(stage: Set, resolve: Resolve, tmp_path: Path) -> Any:
    """Process clips with results that are the plates; gives the shots."""

    def call(scope: str = "timeline", **wish: Any) -> list[Any]:
        given = {"backdrop": "#405060", "mask": stage.mask, "settings": house.EXACT, "handles": 3}
        return client.process(resolve, {**given, **wish}, scope, folder=str(tmp_path / "results"))

    return call


def states(shots: list[Any]) -> list[str]:
    return [f"{shot.state} {shot.message}".strip() for shot in shots]


def tag(item: TimelineItem) -> dict[str, Any]:
    [marker] = [marker for marker in item.markers.values() if marker["customData"]]
    found: dict[str, Any] = json.loads(marker["customData"])
    return found


def test_takes_show_the_same_frames_whatever_the_speed_the_rate_and_what_resolve_says(
    resolve: Resolve, stage: Set, run: Any
) -> None:
    plate, fast = MediaPoolItem(stage.plate), MediaPoolItem(stage.fast)
    sequence = MediaPoolItem(stage.sequence, 1001, 1030)
    clips = [
        resolve.clip(plate, 10, 8, at=0, saying="inclusive"),
        resolve.clip(plate, 0, 8, at=8),
        resolve.clip(plate, 40, 8, at=16, saying="shifted"),
        resolve.clip(plate, 20, 8, at=24, saying="unknown"),
        resolve.clip(plate, 6, 10, at=32, speed=2.0),
        resolve.clip(plate, 9, 10, at=42, speed=-1.0),
        resolve.clip(plate, 9, 10, at=52, speed=-1.0, saying="inclusive"),
        resolve.clip(plate, 30, 12, at=62, speed=0.5),
        resolve.clip(fast, 5, 12, at=74),
        resolve.clip(sequence, 12, 6, at=86),
    ]
    clips[1].exclusive_takes = True  # the end of a take: documented nowhere
    before = [resolve.timeline.numbers(item) for item in clips]
    assert before[5] == [118, 117, 116, 115, 114, 113, 112, 111, 110, 109]
    shots = run()
    assert states(shots) == ["done"] * len(clips)
    assert [resolve.timeline.numbers(item) for item in clips] == before
    for item, shot in zip(clips, shots, strict=True):
        assert item.selected == 2 and item.take is not None
        assert item.take.media.path == shot.path
    assert (clips[9].take.media.start, clips[9].take.media.frames) == (1010, 12)  # type: ignore[union-attr]
    assert resolve.project.pool.current.name == "Master"
    assert set(resolve.project.pool.root.tree()["AnyPortal"]["Cut 3"]) == {"v001"}


def test_media_may_be_called_anything(resolve: Resolve, stage: Set, run: Any, tmp_path: Path) -> None:
    clips = []
    for place, name in enumerate(("Take #3.mp4", "A001 [1-2].mp4", "50%d ü.mp4")):
        shutil.copy(stage.plate, tmp_path / name)
        clips.append(resolve.clip(MediaPoolItem(str(tmp_path / name)), 5 + place, 6, at=10 * place))
    (tmp_path / "[s010]").mkdir()
    for number in range(1001, 1031):
        shutil.copy(stage.sequence % number, tmp_path / "[s010]")
    clips.append(resolve.clip(MediaPoolItem(str(tmp_path / "[s010]/seq.%04d.png"), 1001, 1030), 4, 6, at=30))
    before = [resolve.timeline.numbers(item) for item in clips]
    assert states(run()) == ["done"] * 4
    assert [resolve.timeline.numbers(item) for item in clips] == before


@pytest.mark.parametrize("placement", ["take", "track"])
def test_at_the_end_of_the_media_and_where_no_take_has_the_length_resolve_renders(
    resolve: Resolve, stage: Set, run: Any, placement: str
) -> None:
    plate, fast = MediaPoolItem(stage.plate), MediaPoolItem(stage.fast)
    clips = [
        resolve.clip(fast, 1, 38),  # 25 frames a second: 39.6 frames of the 39 that are left
        resolve.clip(fast, 0, 38, at=40),
        resolve.clip(plate, 40, 15, at=80, speed=0.5),
        resolve.clip(plate, 40, 16, at=100, speed=0.5),
    ]
    before = [resolve.timeline.numbers(item) for item in clips]
    shots = run(placement=placement)
    assert states(shots) == ["done"] * 4
    assert [resolve.timeline.numbers(item) for item in clips] == before
    assert [shot.clip.bake for shot in shots] == [
        "it shows its media to the very end",
        "",
        "at 50% no take has 15 frames",
        "",
    ]
    assert [shot.said.split(";")[0][6:] for shot in shots] == (
        ["take 2", "take 2", "track V2", "take 2"] if placement == "take" else ["track V2"] * 4
    )


def test_a_rerun_adds_a_take_and_marks_the_clip_anew(resolve: Resolve, stage: Set, run: Any) -> None:
    item = resolve.clip(MediaPoolItem(stage.plate, **{"Input Color Space": "Rec.709"}), 10, 8)
    item.AddMarker(0, "Red", "mine", "", 1)
    before = resolve.timeline.numbers(item)
    [first] = run("current", seed=5)
    assert (first.state, first.said.split(";")[0]) == ("done", "v001: take 2")
    assert (tag(item)["version"], tag(item)["seed"], tag(item)["backdrop"]) == ("v001", 5, "#405060")
    assert tag(item)["job"].startswith("jobs/") and item.colour == "Teal"
    [second] = run("current", backdrop="#605040")  # with the result under the playhead: the plate is processed
    assert (second.state, second.said.split(";")[0]) == ("done", "v002: take 3")
    assert tag(item)["version"] == "v002"
    assert [marker["name"] for marker in item.markers.values()] == ["mine", "AnyPortal v002"]
    assert [take.media.path for take in item.takes] == [stage.plate, first.path, second.path]
    assert resolve.timeline.numbers(item) == before
    assert item.take.media.properties["Input Color Space"] == "Rec.709"  # type: ignore[union-attr]
    assert set(resolve.project.pool.root.tree()["AnyPortal"]["Cut 3"]) == {"v001", "v002"}
    assert len(resolve.timeline.tracks) == 1
    record = json.loads((Path(second.path).parent / "anyportal.json").read_text("utf-8"))
    assert (record["job"], record["host"]["clip"], record["wish"]["range"]) == (tag(item)["job"], item._id, "7-20")


def test_a_camera_s_log_comes_back_as_such_in_any_format(resolve: Resolve, stage: Set, run: Any) -> None:
    resolve.project.settings = {"colorScienceMode": "davinciYRGBColorManagedv2"}
    plate = MediaPoolItem(stage.sequence, 1001, 1030, **{"Input Color Space": "ARRI LogC4"})
    item = resolve.clip(plate, 4, 6)
    before = resolve.timeline.numbers(item)
    [shot] = run("current", format="exr")
    assert shot.state == "done" and "linear light" not in shot.said
    record = json.loads((Path(shot.path).parent / "anyportal.json").read_text("utf-8"))
    assert record["wish"]["colour_space"] == record["wish"]["out_colour_space"] == "ARRI LogC4"
    assert item.take.media.properties["Input Color Space"] == "ARRI LogC4"  # type: ignore[union-attr]
    assert resolve.timeline.numbers(item) == before  # the very code values
    [shot] = run("current", format="exr", out_colour_space="ACEScg")
    assert shot.state == "done" and "linear light" in shot.said


def test_on_a_track_directly_above_and_a_rerun_is_a_take_of_that(resolve: Resolve, stage: Set, run: Any) -> None:
    plate, fast = MediaPoolItem(stage.plate), MediaPoolItem(stage.fast)
    clips = [resolve.clip(plate, 10, 8), resolve.clip(fast, 5, 12, at=8), resolve.clip(plate, 4, 6, at=20, speed=2.0)]
    over = resolve.clip(plate, 0, 4, at=2, track=2)
    over.enabled = False
    before = [resolve.timeline.numbers(item) for item in clips]
    page = resolve.page
    assert states(run(placement="track")) == ["done"] * 3
    names = [track.name for track in resolve.timeline.tracks]
    assert names == ["Video 1", "AnyPortal", "Video 2"]  # directly above, one track for all
    above = sorted(resolve.timeline.tracks[1].items, key=lambda each: each.start)
    assert [(item.start, item.end) for item in above] == [(item.start, item.end) for item in clips]
    assert [resolve.timeline.numbers(item) for item in clips] == before
    assert resolve.timeline.audio == [] and resolve.page == page
    # The playhead is on a result now: what is meant is the clip below.
    [again] = run("current", placement="track", backdrop="#605040")
    assert (again.state, again.said.split(";")[0]) == ("done", "v002: take 2 on track V2")
    assert [len(track.items) for track in resolve.timeline.tracks] == [3, 3, 1]
    assert above[0].take is not None and above[0].take.media.path == again.path
    assert resolve.timeline.numbers(clips[0]) == before[0]
    assert states(run()) == ["done"] * 3  # our results are no clips to be processed


def test_a_pasted_clip_is_one_of_its_own_though_it_carries_the_marker(resolve: Resolve, stage: Set, run: Any) -> None:
    plate = MediaPoolItem(stage.plate)
    original = resolve.clip(plate, 5, 8)
    assert states(run(placement="track")) == ["done"]
    pasted = resolve.clip(plate, 25, 8, at=20)
    pasted.markers, pasted.colour = copy.deepcopy(original.markers), original.colour
    before = [resolve.timeline.numbers(item) for item in (original, pasted)]
    first, second = run(placement="track")
    assert [shot.said.split(";")[0] for shot in (first, second)] == ["v002: take 2 on track V2", "v001: track V2"]
    assert [resolve.timeline.numbers(item) for item in (original, pasted)] == before
    assert [item.start for item in resolve.timeline.tracks[1].items] == [original.start, pasted.start]
    assert tag(original)["shot"] != tag(pasted)["shot"]
    assert [state.split(":")[0] for state in states(run(placement="track"))] == ["done"] * 2
    assert [len(item.takes) for item in resolve.timeline.tracks[1].items] == [3, 2]


@pytest.mark.parametrize("how", ["moved", "replaced", "of another"])
def test_a_clip_that_is_no_longer_the_result_gets_no_take(resolve: Resolve, stage: Set, run: Any, how: str) -> None:
    item = resolve.clip(MediaPoolItem(stage.plate), 5, 8)
    before = resolve.timeline.numbers(item)
    assert states(run(placement="track")) == ["done"]
    [above] = resolve.timeline.tracks[1].items
    assert above.original is not None
    if how == "moved":
        above.start += 30
    elif how == "replaced":
        above.original.media = MediaPoolItem(stage.fast)
    else:
        [marker] = above.markers.values()
        marker["customData"] = json.dumps({**json.loads(marker["customData"]), "of": "uid-of-another"})
    [shot] = run(placement="track")
    assert (shot.state, shot.said.split(";")[0], above.takes) == ("done", "v002: track V2", [])
    above.enabled = False
    assert resolve.timeline.numbers(item) == before


def test_what_only_resolve_can_draw_is_rendered_first_and_everything_put_back(
    resolve: Resolve, stage: Set, run: Any
) -> None:
    plate = MediaPoolItem(stage.plate)
    compound, multicam = MediaPoolItem(kind="Compound"), MediaPoolItem(kind="Multicam")
    compound.parts, multicam.parts = [(plate, 0), (plate, 20)], [(plate, 30)]
    clips = [
        resolve.clip(compound, 0, 16),
        resolve.clip(multicam, 0, 8, at=16),
        resolve.clip(plate, 5, 12, at=24, ramp=(1.0, 2.0)),
        resolve.clip(plate, 7, 6, at=36, speed=0.0),
    ]
    over = resolve.clip(plate, 0, 42, track=2)
    over.enabled = False
    before = [resolve.timeline.numbers(item) for item in clips]
    resolve.timeline.tracks[1].enabled = False
    resolve.timeline.marks = {"video": {"in": 3, "out": 9}}
    project = resolve.project
    deliver = dict(project.deliver)
    was = (resolve.page, project.shape, project.mode, project.hidden, deliver, set(project.presets))
    shots = run()
    assert states(shots) == ["done"] * 4
    assert [resolve.timeline.numbers(item) for item in clips] == before
    assert (resolve.page, project.shape, project.mode, project.hidden, project.deliver, set(project.presets)) == was
    assert [track.enabled for track in resolve.timeline.tracks] == [True, True, False]
    assert resolve.timeline.marks == {"video": {"in": 3, "out": 9}}
    assert project.jobs == {}
    assert [shot.said.split(";")[0] for shot in shots] == [
        "v001: take 2",
        "v001: take 2",
        "v001: track V2",  # as a take it would change its speed twice
        "v001: track V2",
    ]
    assert [shot.clip.bake for shot in shots] == [
        "it is a compound clip",
        "it is a multicam clip",
        "its speed changes",
        "it is a freeze frame",
    ]


def test_one_that_fails_stops_no_other(resolve: Resolve, stage: Set, run: Any, tmp_path: Path) -> None:
    gone = house.movie(tmp_path, "gone.mp4", range(0, 20))
    offline, broken = MediaPoolItem(gone), MediaPoolItem(house.movie(tmp_path, "broken.mp4", range(0, 20)))
    Path(gone).unlink()
    (tmp_path / "broken.mp4").write_bytes(b"no movie")
    resolve.clip(offline, 0, 8)
    resolve.clip(None, 0, 8, at=8)
    resolve.clip(broken, 0, 8, at=16)
    good = resolve.clip(MediaPoolItem(stage.plate), 10, 8, at=24)
    offline_shot, title, broken_shot, last = run()
    assert offline_shot.state == "failed" and gone in offline_shot.message
    assert offline_shot.hint == "Relink the media in the media pool, then look again"
    assert title.state == "failed" and "title" in title.message
    assert broken_shot.state == "failed" and "broken.mp4" in broken_shot.message
    assert last.state == "done" and good.selected == 2
    assert not list((tmp_path / "results").glob("broken_*/v*"))  # what came to nothing uses up no version


def test_a_cancel_ends_what_is_at_work_and_what_waits(resolve: Resolve, stage: Set, tmp_path: Path) -> None:
    items = [resolve.clip(MediaPoolItem(stage.plate), 10, 8, at=8 * place) for place in range(5)]
    seen: list[str] = []
    shots = client.process(
        resolve,
        {"backdrop": "#102030", "mask": stage.mask},
        "timeline",
        folder=str(tmp_path / "results"),
        tell=lambda clip, values: seen.append(values["state"]) if "state" in values else None,
        cancelled=lambda: "waiting" in seen,
    )
    assert {shot.state for shot in shots} == {"cancelled"}
    assert all(item.takes == [] and item.markers == {} for item in items)
    assert resolve.project.pool.root.tree() == {}
    assert not list((tmp_path / "results").glob("*/v*"))


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("drops", "Resolve dropped the clip on track V2 without a word"),
        ("errs", "After saving, the clip with the result is gone from the timeline"),
        ("refuses", "Resolve would not import the result"),
    ],
)
def test_what_resolve_drops_silently_is_told_and_the_result_kept(
    resolve: Resolve, stage: Set, run: Any, how: str, word: str
) -> None:
    resolve.clip(MediaPoolItem(stage.plate), 10, 8)
    setattr(resolve.project.pool, how, True)
    [shot] = run(placement="track")
    assert (shot.state, shot.message.split(",")[0] in shot.message) == ("failed", True)
    assert word in shot.message and Path(shot.path).is_file()
    assert resolve.project.pool.current.name == "Master"


def test_a_take_that_resolve_does_not_add_is_told(resolve: Resolve, stage: Set, run: Any) -> None:
    item = resolve.clip(MediaPoolItem(stage.plate), 10, 8)
    item.deaf = True
    [shot] = run("current")
    assert (shot.state, shot.hint) == ("failed", "The result is in the bin AnyPortal")
    item.deaf = False
    [again] = run("current")
    assert (again.state, len(item.takes)) == ("done", 2)


def test_a_clip_that_was_trimmed_meanwhile_keeps_its_new_in_and_out(
    resolve: Resolve, stage: Set, tmp_path: Path
) -> None:
    item = resolve.clip(MediaPoolItem(stage.plate), 10, 8)

    def trim(clip: str, values: dict[str, Any]) -> None:
        if values.get("state") == "placing":
            assert item.original is not None
            item.original.first, item.start, item.duration = 12, item.start + 2, 7

    wish = {"backdrop": "#405060", "mask": stage.mask, "settings": house.EXACT, "handles": 3}
    [shot] = client.process(resolve, wish, folder=str(tmp_path / "r"), tell=trim)
    assert (shot.state, item.duration) == ("done", 7)
    assert resolve.timeline.numbers(item) == list(range(112, 119))


def test_a_project_that_was_closed_meanwhile_gets_nothing(resolve: Resolve, stage: Set, tmp_path: Path) -> None:
    item = resolve.clip(MediaPoolItem(stage.plate), 10, 8)
    project = resolve.project

    def close(clip: str, values: dict[str, Any]) -> None:
        if values.get("state") == "placing":
            resolve.manager.project = None

    wish = {"backdrop": "#405060", "mask": stage.mask}
    [shot] = client.process(resolve, wish, folder=str(tmp_path / "r"), tell=close)
    assert (shot.state, shot.message) == ("failed", "The project was closed while its clip was processed")
    assert (item.takes, item.markers, project.pool.root.tree()) == ([], {}, {})


def crash_when_queued(patch: pytest.MonkeyPatch) -> None:
    """The command dies with the job queued: nobody is left to say that it is not wanted."""
    poll = hostkit.Run.poll

    def crashing(work: Any, wait: float = 0.0) -> list[Any]:
        events: list[Any] = poll(work, wait)
        if any(event["event"] == "submitted" for event in events):
            work.kill()
        return events

    patch.setattr(hostkit.Run, "poll", crashing)


def test_a_result_of_a_session_that_crashed_is_brought_in_and_not_made_again(
    resolve: Resolve, stage: Set, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = resolve.clip(MediaPoolItem(stage.plate), 10, 8)
    before = resolve.timeline.numbers(item)
    crash_when_queued(monkeypatch)
    [shot] = run("current", placement="track")
    assert (shot.state, item.takes) == ("failed", [])
    monkeypatch.undo()
    [again] = run("current", backdrop="#ffffff")
    assert (again.state, again.said.split(";")[0]) == ("done", "v001: track V2")
    assert "from a session that ended before" in again.said
    assert tag(item)["backdrop"] == "#405060"  # that of the job, not what was asked for now
    assert resolve.timeline.numbers(item) == before
    [next_one] = run("current", backdrop="#ffffff")
    assert (next_one.said.split(";")[0], tag(item)["backdrop"]) == ("v002: take 2", "#ffffff")


@pytest.mark.parametrize("known", [True, False])
def test_an_earlier_result_that_cannot_be_had_again_is_made_anew(
    resolve: Resolve, stage: Set, run: Any, known: bool
) -> None:
    """Cancelled by the end of the session, or in a daemon that went with it."""
    item = resolve.clip(MediaPoolItem(stage.plate), 10, 8)
    before = resolve.timeline.numbers(item)
    assert states(run()) == ["done"]
    made = Path(tag(item)["shot"]) / "v001"
    record = json.loads((made / "anyportal.json").read_text("utf-8"))
    job = _cancelled_job(stage, made) if known else "jobs/0123456789abcdef"
    lost = made.with_name("v002")
    lost.mkdir()
    gone = {**record, "state": "submitted", "by": {}, "files": {}, "job": job, "wish": {"plate": "x"}}
    (lost / "anyportal.json").write_text(json.dumps(gone), "utf-8")
    [again] = run(backdrop="#ffffff")
    assert (again.state, again.message) == ("done", "")
    assert again.said.split(";")[0] == "v002: take 3"
    assert "is gone" in again.said and tag(item)["backdrop"] == "#ffffff"
    assert resolve.timeline.numbers(item) == before
    [after] = run(backdrop="#fffffe")
    assert (after.state, after.said.split(";")[0], "gone" in after.said) == ("done", "v003: take 4", False)


def test_a_result_that_went_with_its_daemon_is_made_anew(
    resolve: Resolve, stage: Set, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where no daemon runs the command starts one for the call, and its jobs end with it."""
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path / "state"))
    item = resolve.clip(MediaPoolItem(stage.plate), 10, 8)
    before = resolve.timeline.numbers(item)
    with monkeypatch.context() as patch:
        crash_when_queued(patch)
        assert run()[0].state == "failed"
    [again] = run(backdrop="#ffffff")
    assert (again.state, again.message) == ("done", "")
    assert "is gone (no daemon is running): made anew" in again.said and tag(item)["backdrop"] == "#ffffff"
    assert resolve.timeline.numbers(item) == before


def test_an_earlier_result_out_of_reach_is_waited_for(
    resolve: Resolve, stage: Set, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    item = resolve.clip(MediaPoolItem(stage.plate), 10, 8)
    assert states(run()) == ["done"]
    lost = Path(tag(item)["shot"]) / "v001"
    record = json.loads((lost / "anyportal.json").read_text("utf-8"))
    (lost / "anyportal.json").write_text(json.dumps({**record, "state": "submitted", "by": {}}), "utf-8")
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path / "state"))
    [shot] = run()
    assert (shot.state, "no daemon is running" in shot.message) == ("failed", True)
    assert shot.hint == f"start one: anyportal serve, or delete {lost}: it is made anew then"
    monkeypatch.undo()
    [again] = run()
    assert (again.state, again.said.split(";")[0]) == ("done", "v001: take 2")


def _cancelled_job(stage: Set, folder: Path) -> str:
    """A job that a session's end has cancelled."""
    wish = {"plate": stage.plate, "backdrop": "#010203", "mask": stage.mask, "range": "0-40"}
    work = hostkit.Work(str(folder.parents[1] / "other"), wish)
    while not work.job:
        work.poll(0.1)
    job = str(work.job)
    work.cancel()
    with pytest.raises(hostkit.Cancelled):
        work.result()
    return job
