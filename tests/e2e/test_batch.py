"""The batch as editors and pipelines meet it: a real daemon, the real command, real footage through the method."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import OpenImageIO as oiio
import opentimelineio as otio
import pytest

from anyportal_client import Client
from anyportal_core.testing.clips import moving_scene, numbered_frames, read_number, write_images, write_movie

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "clients/anyportal_client/cli/events.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
COMMAND = [sys.executable, "-m", "anyportal_client.cli"]
UNCHANGED = {"backdrop": "#607080", "settings": {"relight_strength": 0}}


@dataclass
class Daemon:
    """A daemon in a process of its own, and the environment that leads to it."""

    env: dict[str, str]

    def batch(self, *arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
        """Run the batch; gives its exit code and its events, each checked by the schema."""
        command = [*COMMAND, "batch", *map(str, arguments), "--json"]
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.env, timeout=150
        )
        assert "Traceback" not in run.stderr, run.stderr
        events = [json.loads(line) for line in run.stdout.splitlines()]
        for event in events:
            VALIDATOR.validate(event)
        return run.returncode, events


@contextmanager
def serving(state: Path, *options: str) -> Iterator[Daemon]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
    env |= {"ANYPORTAL_STATE": str(state), "XDG_CACHE_HOME": str(state / "cache")}
    serve = [*COMMAND, "serve", "--listen", "127.0.0.1:0", "--json", "--stop-with-stdin", *options]
    process = subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "serving"
    yield Daemon(env)
    process.communicate(timeout=30)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with serving(tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a movie, a sequence from 1001 whose frames carry their numbers, and their mattes."""
    folder = tmp_path_factory.mktemp("footage")
    scene = moving_scene(count=24)
    write_movie(folder / "plate.mp4", scene.plate)
    write_movie(folder / "matte.mp4", np.repeat(scene.matte[..., None], 3, axis=-1))
    numbers = numbered_frames(1025)[1001:]
    write_images(folder / "seq.%04d.png", numbers)
    write_images(folder / "ones.%04d.png", np.ones_like(numbers))
    return folder


def clip(reference: Any, name: str, start: float, count: float, rate: float = 24, **request: Any) -> Any:
    time = otio.opentime.RationalTime
    source = otio.opentime.TimeRange(time(start, rate), time(count, rate))
    return otio.schema.Clip(name, reference, source, metadata={"anyportal": request})


def movie(footage: Path) -> Any:
    return otio.schema.ExternalReference((footage / "plate.mp4").as_uri())


def sequence(footage: Path) -> Any:
    time = otio.opentime.RationalTime
    return otio.schema.ImageSequenceReference(
        f"{footage}/", "seq.", ".png", 1001, rate=24, frame_zero_padding=4,
        available_range=otio.opentime.TimeRange(time(86400, 24), time(24, 24)),
    )  # fmt: skip


def write_cut(path: Path, *clips: Any) -> Path:
    track = otio.schema.Track("Video 1", children=list(clips))
    otio.adapters.write_to_file(otio.schema.Timeline(path.stem, tracks=[track]), str(path))
    return path


def clips_of(path: Path) -> dict[str, Any]:
    return {clip.name: clip for clip in otio.adapters.read_from_file(str(path)).find_clips()}


def of_shot(events: list[dict[str, Any]], name: str) -> list[str]:
    return [event["event"] for event in events if event.get("shot") == name]


def test_a_cut_comes_back_with_versions_and_a_report(daemon: Daemon, footage: Path, tmp_path: Path) -> None:
    matte = {"matte": str(footage / "matte.mp4")}
    whole = {**UNCHANGED, "matte": str(footage / "ones.%04d.png"), "handles": 3}
    cut = write_cut(
        tmp_path / "cut.otio",
        clip(movie(footage), "sh010", 6, 8, **UNCHANGED, **matte, handles=2),
        clip(sequence(footage), "sh020", 86402, 10, **whole),
        clip(otio.schema.ExternalReference("gone.mov"), "sh030", 0, 10, **UNCHANGED),
        clip(movie(footage), "sh040", 6, 8, backdrop="a foggy harbour", **matte),
        clip(movie(footage), "sh050", 6, 8, **UNCHANGED, **matte, handles=2),
    )
    out = tmp_path / "out"
    code, events = daemon.batch(cut, "--out", out)
    assert code == 9
    assert events[0]["event"] == "plan"
    done = next(event for event in events if event["event"] == "batch_done")
    assert done["states"] == {"sh010": "done", "sh020": "done", "sh030": "skipped", "sh040": "failed", "sh050": "done"}
    assert of_shot(events, "sh040")[-1] == "error"
    assert of_shot(events, "sh010")[-1] == "done"
    assert of_shot(events, "sh050") == []  # it takes the result of sh010
    assert (events[-1]["event"], events[-1]["code"], events[-1]["exit_code"]) == ("error", "BATCH", 9)

    clips = clips_of(out / "cut_anyportal.otio")
    assert [clip.active_media_reference_key for clip in clips.values()] == [
        "anyportal_v001", "anyportal_v001", "DEFAULT_MEDIA", "DEFAULT_MEDIA", "anyportal_v001",
    ]  # fmt: skip
    result = clips["sh020"].media_reference
    assert clips["sh020"].media_references()["DEFAULT_MEDIA"].start_frame == 1001
    assert (result.available_range.start_time.value, result.available_range.duration.value) == (86400, 15)
    # What the clip shows of the result is what it shows of the plate: frame 1003, read off its pixels.
    shown = result.start_frame + clips["sh020"].source_range.start_time.value - result.available_range.start_time.value
    path = f"{result.target_url_base}{result.name_prefix}{int(shown):04d}{result.name_suffix}"
    assert read_number(oiio.ImageBuf(path).get_pixels(oiio.FLOAT)[..., :3]) == 1003
    assert result.metadata["anyportal"]["job"].startswith("jobs/")
    assert len(result.metadata["anyportal"]["recipe_digest"]) == 64
    warned = [text for text in result.metadata["anyportal"]["warnings"] if "the matte is white all over" in text]
    assert len(warned) == 1 and warned[0] in (out / "report.html").read_text(encoding="utf-8")

    page = (out / "report.html").read_text("utf-8")
    assert page.count('type="range"') == 9
    assert "gone.mov is not there" in page
    assert page.count("<dt title=") == 6  # flicker and detail of each that is done
    assert not list(out.rglob("*.part"))
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["sh010", "sh020"]


def test_a_second_run_redoes_nothing_unless_it_is_asked_to(daemon: Daemon, footage: Path, tmp_path: Path) -> None:
    cut = write_cut(tmp_path / "cut.otio", clip(movie(footage), "sh010", 6, 4, matte=str(footage / "matte.mp4")))
    for version, state, more in ((1, "done", []), (1, "reused", []), (2, "done", ["--again"])):
        asked = ["--backdrop", "#405060", "--set", "relight_strength=0.5", *more]
        code, events = daemon.batch(cut, "--out", tmp_path, *asked)
        assert code == 0
        assert events[-1]["states"] == {"sh010": state}
        found = clips_of(tmp_path / "cut_anyportal.otio")["sh010"]
        assert found.active_media_reference_key == f"anyportal_v00{version}"
    assert list(found.media_references()) == ["DEFAULT_MEDIA", "anyportal_v001", "anyportal_v002"]
    one, two = ((tmp_path / f"sh010/v00{v}/sh010_v00{v}.mp4").read_bytes() for v in (1, 2))
    assert one == two


def test_a_recut_runs_the_changed_shots_and_no_other(daemon: Daemon, footage: Path, tmp_path: Path) -> None:
    matte = {**UNCHANGED, "matte": str(footage / "matte.mp4")}

    def shot(name: str, start: float, count: float) -> Any:
        return clip(movie(footage), name, start, count, **matte)

    def run(*clips: Any) -> tuple[dict[str, str], list[str]]:
        out = tmp_path / "out"
        code, events = daemon.batch(write_cut(tmp_path / "cut.otio", *clips), "--out", out)
        assert code == 0
        return events[-1]["states"], [event["shot"] for event in events if event["event"] == "submitted"]

    states, sent = run(shot("a", 0, 3), shot("b", 4, 3), shot("c", 8, 3))
    assert (set(states.values()), sent) == ({"done"}, ["a", "b", "c"])

    moved = [shot("c", 8, 3), otio.schema.Gap(source_range=clip(None, "", 0, 9).source_range), shot("a", 0, 3)]
    states, sent = run(*moved, shot("b", 4, 3))
    assert (states, sent) == ({"c": "reused", "a": "reused", "b": "reused"}, [])

    # b is trimmed, and a new clip called like a, of frames that a shows too, lies before it
    states, sent = run(shot("c", 8, 3), shot("a", 1, 3), shot("a", 0, 3), shot("b", 4, 2))
    assert states == {"c": "reused", "a": "done", "a_2": "reused", "b": "done"}
    assert sent == ["a", "b"]
    new, old, trimmed = list(otio.adapters.read_from_file(str(tmp_path / "out/cut_anyportal.otio")).find_clips())[1:]
    assert (old.active_media_reference_key, trimmed.active_media_reference_key) == ("anyportal_v001", "anyportal_v002")
    assert [ref.available_range.duration.value for ref in list(trimmed.media_references().values())[1:]] == [3, 2]
    assert old.media_reference.target_url.endswith("a/v001/a_v001.mp4")
    assert new.media_reference.target_url.endswith("a/v002/a_v002.mp4")

    os.utime(footage / "matte.mp4")  # somebody has worked on it
    states, _ = run(shot("a", 0, 3))
    assert states == {"a": "done"}


def test_overlapping_frames_are_processed_once_and_seen_by_each(daemon: Daemon, footage: Path, tmp_path: Path) -> None:
    whole = {**UNCHANGED, "matte": str(footage / "ones.%04d.png")}
    cut = write_cut(
        tmp_path / "cut.otio",
        clip(sequence(footage), "late", 86408, 6, **whole),
        clip(sequence(footage), "early", 86403, 6, **whole),
    )
    code, events = daemon.batch(cut, "--out", tmp_path / "out")
    assert code == 0
    assert [event["shot"] for event in events if event["event"] == "submitted"] == ["late"]
    files = sorted(path.name for path in (tmp_path / "out/late/v001").glob("*.png"))
    assert (files[0], files[-1], len(files)) == ("late_v001.1004.png", "late_v001.1014.png", 11)
    for found in clips_of(tmp_path / "out/cut_anyportal.otio").values():
        result, start = found.media_reference, found.source_range.start_time.value
        number = int(result.start_frame + start - result.available_range.start_time.value)
        picture = oiio.ImageBuf(f"{tmp_path}/out/late/v001/late_v001.{number:04d}.png")
        assert read_number(picture.get_pixels(oiio.FLOAT)[..., :3]) == 1001 + start - 86400
    _, again = daemon.batch(cut, "--out", tmp_path / "out")
    assert again[-1]["states"] == {"late": "reused", "early": "reused"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_batch_that_was_killed_goes_on_with_its_job(daemon: Daemon, footage: Path, tmp_path: Path) -> None:
    scene = moving_scene(count=40, seed=zlib.crc32(b"killed"))
    write_movie(tmp_path / "long.mp4", scene.plate)
    long = otio.schema.ExternalReference("long.mp4")
    request = {"backdrop": "#112233", "settings": {"matte.plugin": "draft.person"}}
    cut = write_cut(tmp_path / "cut.otio", clip(long, "sh010", 0, 40, **request))
    command = [*COMMAND, "batch", str(cut), "--out", str(tmp_path / "out"), "--json"]
    run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=daemon.env)
    assert run.stdout is not None
    for line in run.stdout:
        event = json.loads(line)
        if event["event"] == "progress":
            run.kill()
    run.wait(60)
    code, events = daemon.batch(cut, "--out", tmp_path / "out")
    assert code == 0
    assert not [event for event in events if event["event"] == "submitted"]
    [log] = [event["text"] for event in events if event["event"] == "log" and "goes on with" in event["text"]]
    found = clips_of(tmp_path / "out/cut_anyportal.otio")["sh010"]
    assert found.media_reference.metadata["anyportal"]["job"] in log
    assert sorted(path.name for path in (tmp_path / "out/sh010").iterdir()) == ["v001"]
    assert sorted(path.name for path in (tmp_path / "out/sh010/v001").iterdir()) == ["sh010_v001.mp4", "shot.json"]


def test_a_quota_that_is_full_is_waited_for(footage: Path, tmp_path: Path) -> None:
    (tmp_path / "daemon.toml").write_text("[jobs]\nqueued = 1\n")
    matte = {**UNCHANGED, "matte": str(footage / "matte.mp4")}
    cut = write_cut(tmp_path / "cut.otio", *(clip(movie(footage), f"sh{n}", 4 * n, 3, **matte) for n in range(5)))
    with serving(tmp_path / "state", "--config", str(tmp_path / "daemon.toml")) as daemon:
        code, events = daemon.batch(cut, "--out", tmp_path / "out", "--jobs", "5")
    assert (code, set(events[-1]["states"].values())) == (0, {"done"})
    assert [event for event in events if event["event"] == "log" and "as many jobs are waiting" in event["text"]]
    assert [event["shot"] for event in events if event["event"] == "submitted"] == [f"sh{n}" for n in range(5)]


def test_what_a_format_cannot_carry_is_told_before_anything_is_sent(
    daemon: Daemon, footage: Path, tmp_path: Path
) -> None:
    whole = {**UNCHANGED, "matte": str(footage / "ones.%04d.png")}
    ramp = clip(sequence(footage), "ramp", 86412, 6, **whole)
    ramp.effects.append(otio.schema.TimeEffect(effect_name="Wobble"))
    cut = write_cut(tmp_path / "cut.otio", clip(sequence(footage), "sh010", 86402, 4, **whole), ramp)
    code, events = daemon.batch(cut, "--out", tmp_path / "out", "--export", "edl")
    assert (code, [event["event"] for event in events]) == (2, ["error"])
    assert "EDL" in events[0]["message"] and "fcp7" in events[0]["hint"]
    assert not (tmp_path / "out").exists()

    cut = write_cut(tmp_path / "cut.otio", clip(sequence(footage), "sh010", 86402, 4, **whole))
    code, events = daemon.batch(cut, "--out", tmp_path / "out", "--export", "edl,clip1,fcp7")
    assert code == 0
    losses = {each["format"]: each["losses"] for each in events[0]["exports"]}
    assert "1 of 2 media references" in losses["edl"] and "the 2 image sequences" not in losses["clip1"]
    names = [Path(path).name for path in events[-1]["exports"]]
    assert names == ["cut_anyportal_v001.edl", "cut_anyportal_v001.otio", "cut_anyportal_v001.xml"]
    old = json.loads((tmp_path / "out/cut_anyportal_v001.otio").read_text("utf-8"))
    assert old["tracks"]["children"][0]["children"][0]["OTIO_SCHEMA"] == "Clip.1"
    assert "sh010_v001.[1003-1006].png" in (tmp_path / "out/cut_anyportal_v001.edl").read_text("utf-8")


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP on this system")
def test_what_another_batch_wrote_meanwhile_is_kept(daemon: Daemon, footage: Path, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    matte = {"matte": str(footage / "matte.mp4")}
    clips = [clip(movie(footage), "a", 6, 2, **UNCHANGED, **matte), clip(movie(footage), "b", 9, 2, **UNCHANGED)]
    clips[1].metadata["anyportal"]["matte"] = str(tmp_path / "gone.mp4")  # skipped here
    cut, out = write_cut(tmp_path / "cut.otio", *clips), tmp_path / "out"
    command = [*COMMAND, "batch", str(cut), "--out", str(out), "--json"]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=daemon.env)
    assert run.stdin is not None
    assert run.stdout is not None
    assert json.loads(run.stdout.readline())["event"] == "plan"
    run.send_signal(signal.SIGSTOP)
    clips[1].metadata["anyportal"].update(matte)
    code, _ = daemon.batch(write_cut(tmp_path / "two" / "cut.otio", *clips), "--out", out)
    run.send_signal(signal.SIGCONT)
    events = [json.loads(line) for line in run.stdout]
    assert (code, run.wait(60), events[-1]["event"]) == (0, 9, "error")
    found = clips_of(out / "cut_anyportal.otio")
    versions = {name: list(each.media_references())[1:] for name, each in found.items()}
    assert versions == {"a": ["anyportal_v001", "anyportal_v002"], "b": ["anyportal_v001"]}
    assert found["b"].active_media_reference_key == "anyportal_v001"


@pytest.mark.parametrize("wish", ["signal", "line", "end of input"])
def test_a_wish_to_end_cancels_what_runs_and_keeps_what_is_done(
    daemon: Daemon, footage: Path, tmp_path: Path, wish: str
) -> None:
    for name in ("a", "b"):  # enough work that the end comes in the middle of it, and none that was done before
        scene = moving_scene(count=40, seed=zlib.crc32(f"{name} {wish}".encode()))
        write_movie(tmp_path / f"{name}.mp4", np.tile(scene.plate, (12, 1, 1, 1)))
    matte = {"matte": str(footage / "matte.mp4")}
    clips = [clip(movie(footage), "short", 0, 2, backdrop="#112233", **matte)]
    for name in ("a", "b"):
        long = otio.schema.ExternalReference(f"{name}.mp4")
        clips.append(clip(long, name, 0, 480, backdrop="#112233", settings={"matte.plugin": "draft.person"}))
    cut = write_cut(tmp_path / "cut.otio", *clips)
    command = [*COMMAND, "batch", str(cut), "--out", str(tmp_path / "out"), "--json"]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=daemon.env)
    assert run.stdin is not None
    assert run.stdout is not None
    events: list[dict[str, Any]] = []
    for line in run.stdout:
        events.append(json.loads(line))
        if events[-1].get("shot") == "short" and events[-1]["event"] == "done":
            if wish == "signal":
                run.send_signal(signal.SIGINT)
            elif wish == "line":
                run.stdin.write('{"cancel": true}\n')
                run.stdin.flush()
            else:
                run.stdin.close()
    assert run.wait(60) == 130
    assert events[-1]["event"] == "cancelled"
    done = next(event for event in events if event["event"] == "batch_done")
    assert done["states"] == {"short": "done", "a": "cancelled", "b": "cancelled"}
    assert clips_of(tmp_path / "out/cut_anyportal.otio")["short"].active_media_reference_key == "anyportal_v001"
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["short"]
    _, again = daemon.batch(cut, "--out", tmp_path / "out", "--plan")  # a second call goes on from here
    assert [bool(shot["reused"]) for shot in again[0]["shots"]] == [True, False, False]
    jobs = {event["shot"]: event["job"] for event in events if event["event"] == "submitted"}
    assert list(jobs) == ["short", "a", "b"][: len(jobs)]  # in the timeline's order
    with Client.connect(state_dir=Path(daemon.env["ANYPORTAL_STATE"]), start=False) as client:
        for name in jobs.keys() - {"short"}:
            for _ in client.watch(jobs[name]):
                pass
            assert client.job(jobs[name]).state == "cancelled"


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["--set", "relight_strenght=1"], "UNKNOWN_NAME", "did you mean relight_strength?"),
        (["--set", "finish.relight_strength=7"], "RECIPE", ""),
        (["--preset", "drafty"], "UNKNOWN_NAME", "did you mean draft?"),
        (["--layers", "comp,foregruond"], "UNKNOWN_NAME", "did you mean foreground"),
        (["--format", "mpeg5"], "UNKNOWN_NAME", ""),
    ],
)
def test_a_mistake_on_the_command_line_ends_the_batch_at_once(
    daemon: Daemon, footage: Path, tmp_path: Path, arguments: list[str], code: str, hint: str
) -> None:
    clips = [clip(movie(footage), "sh010", 6, 2, backdrop="#405060", matte=str(footage / "matte.mp4"))]
    clips.append(clip(movie(footage), "sh020", 6, 2, **UNCHANGED, preset="draft", layers=["matte"], format="png"))
    cut = write_cut(tmp_path / "cut.otio", *clips)
    got, events = daemon.batch(cut, "--out", tmp_path / "out", *arguments)
    assert (got, events[-1]["event"], events[-1]["code"], events[-1]["exit_code"]) == (4, "error", code, 4)
    assert hint in events[-1]["hint"] and not [event for event in events if "shot" in event]
    assert [path.name for path in tmp_path.iterdir()] == ["cut.otio"]


def test_a_person_reads_why_shots_are_not_there(daemon: Daemon, footage: Path, tmp_path: Path) -> None:
    own = {**UNCHANGED, "settings": {"relight_strenght": 1}}
    gone = clip(otio.schema.ExternalReference("gone.mov"), "sh020", 0, 10, **UNCHANGED)
    cut = write_cut(tmp_path / "cut.otio", clip(movie(footage), "sh010", 6, 2, **own), gone)
    command = [*COMMAND, "batch", str(cut), "--out", str(tmp_path / "out"), "--set", "relight_strength=0.5"]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=daemon.env, timeout=150)
    assert run.returncode == 9
    lines = run.stderr.splitlines()
    assert f"sh020: skipped: {tmp_path / 'gone.mov'} is not there" in lines
    [failed] = [line for line in lines if line.startswith("sh010: failed: ")]
    assert "no setting 'relight_strenght'" in failed and failed.endswith("→ did you mean relight_strength?")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file name is Unicode")
@pytest.mark.parametrize("option", ["--out", "--backdrop", "--preset"])
def test_what_a_timeline_cannot_name_is_refused(footage: Path, tmp_path: Path, option: str) -> None:
    cut = write_cut(tmp_path / "cut.otio", clip(movie(footage), "sh010", 6, 8, **UNCHANGED))
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    got, events = Daemon({**os.environ, "ANYPORTAL_STATE": str(tmp_path / "state")}).batch(
        cut, "--out", tmp_path / "out", option, odd
    )
    assert (got, events[-1]["code"]) == (2, "USAGE") and "is not UTF-8" in events[-1]["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["cut.otio"]


def test_a_plan_writes_nothing_and_needs_no_daemon(footage: Path, tmp_path: Path) -> None:
    cut = write_cut(tmp_path / "cut.otio", clip(movie(footage), "sh010", 6, 8))
    nowhere = Daemon({**os.environ, "ANYPORTAL_STATE": str(tmp_path / "state"), "ANYPORTAL_DAEMON": "127.0.0.1:1"})
    code, events = nowhere.batch(cut, "--plan", "--backdrop", "#405060", "--handles", "3")
    assert code == 0
    [plan] = events
    assert plan["shots"][0]["frames"] == "3-16"
    assert [path.name for path in tmp_path.iterdir()] == ["cut.otio"]
    command = [*COMMAND, "batch", str(cut), "--plan", "--backdrop", "#405060"]
    own = {"seed": 7, "settings": {"relight_strength": 0.5}, "layers": ["comp", "matte"]}
    write_cut(cut, clip(movie(footage), "sh010", 6, 8, **own), clip(movie(footage), "sh020", 9, 8, **own))
    said = subprocess.run(command, capture_output=True, text=True, env=nowhere.env, timeout=60).stdout.splitlines()
    asked = "layers comp+matte (clip), seed 7 (clip), relight_strength 0.5 (clip)"
    assert said[-4:] == [
        f"sh010: {asked}",
        "sh010: frames 6-16 are processed: others take them as well",
        f"sh020: {asked}",
        "sh020: takes the result of sh010: it shows frames of the same media, asked for alike",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["cut.otio", "--out", "out"], 2, "no clip asks"),
        (["cut.otio", "--backdrop", "#405060"], 2, "where shall the results go"),
        (["gone.otio", "--out", "out"], 3, "no such timeline"),
        (["broken.otio", "--out", "out"], 3, "cannot be read"),
        (["notes.xyz", "--out", "out"], 3, "cannot be read"),
        (["empty.aaf", "--out", "out"], 3, "cannot be read"),
        (["marker.otio", "--out", "out"], 3, "no timeline in it"),
        (["cut.otio", "--out", "out", "--backdrop", "gone.jpg"], 3, "no such backdrop"),
        (["cut.otio", "--plan", "--backdrop", "gone.jpg"], 3, "no such backdrop"),
        (["cut.otio", "--out", "out", "--backdrop", "notes.xyz"], 3, "the backdrop is no movie"),
        (["cut.otio", "--out", "out", "--backdrop", "#abc"], 4, "is no colour"),
        (["cut.otio", "--out", "out", "--backdrop", "#405060", "--layers", ","], 2, "no layer"),
        (["cut.otio", "--out", "out", "--backdrop", "#405060", "--daemon", "127.0.0.1:1"], 5, ""),
    ],
)
def test_bad_calls_say_what_is_wrong_and_write_no_timeline(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, word: str
) -> None:
    bare = clip(movie(footage), "sh010", 6, 8)
    del bare.metadata["anyportal"]
    write_cut(tmp_path / "cut.otio", bare)
    (tmp_path / "broken.otio").write_text('{"OTIO_SCHEMA": ')
    (tmp_path / "notes.xyz").write_text("notes")
    (tmp_path / "empty.aaf").touch()
    otio.adapters.write_to_file(otio.schema.Marker("m"), str(tmp_path / "marker.otio"))
    monkeypatch.chdir(tmp_path)
    got, events = Daemon({**os.environ, "ANYPORTAL_STATE": str(tmp_path / "state")}).batch(*arguments)
    assert (got, events[-1]["event"]) == (code, "error")
    assert word in events[-1]["message"]
    assert not (tmp_path / "out").exists()
