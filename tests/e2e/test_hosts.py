"""The way of the host scripts: `anyportal_hostkit` drives the real command, which drives a real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from anyportal_core.testing.clips import moving_scene, write_movie

sys.path.append(str(Path(__file__).parents[2] / "clients/hostkit"))
import anyportal_hostkit as hostkit

COMMAND = [sys.executable, "-m", "anyportal_client.cli"]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("ANYPORTAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path / "state"))
    serve = [*COMMAND, "serve", "--listen", "127.0.0.1:0", "--json", "--stop-with-stdin"]
    process = subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "serving"
    yield
    process.communicate(timeout=30)


@pytest.mark.usefixtures("daemon")
def test_a_shot_goes_out_and_comes_back_and_another_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # hosts.md: hosts set these for their own interpreter; with them the command would not start.
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    plate = write_movie(tmp_path / "plate.mp4", moving_scene(count=24).plate)
    seen: list[Any] = []
    run = hostkit.submit(plate, "#405060", tmp_path / "out", "4-11", name="sh_v001", command=COMMAND)
    done = run.follow(seen.append)
    assert done["frames"] == "4-11"
    with av.open(done["files"]["comp"]) as movie:
        assert sum(1 for _ in movie.decode(video=0)) == 8
    assert {"submitted", "state", "progress", "file"} <= {event["event"] for event in seen}

    second = hostkit.submit(plate, "#405061", tmp_path / "again", command=COMMAND)
    with pytest.raises(hostkit.Cancelled):
        second.follow(cancelled=lambda: True)
    assert not list((tmp_path / "again").glob("*.mp4"))
