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
import numpy as np
import pytest

from anyportal_core.testing.clips import moving_scene, write_image, write_movie

sys.path.append(str(Path(__file__).parents[2] / "clients/hostkit"))
import anyportal_hostkit as hostkit

KIT = Path(__file__).parents[2] / "clients/hostkit"
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
    wish = {"plate": plate, "backdrop": "#405060", "range": "4-11", "name": "sh_v001"}
    run = hostkit.Run(hostkit.arguments_of(wish, tmp_path / "out"), COMMAND)
    done = run.follow(seen.append)
    assert done["frames"] == "4-11"
    with av.open(done["files"]["comp"]) as movie:
        assert sum(1 for _ in movie.decode(video=0)) == 8
    assert {"submitted", "state", "progress", "file"} <= {event["event"] for event in seen}

    again = hostkit.Work(str(tmp_path / "shot"), {"plate": plate, "backdrop": "#405061"}, command=COMMAND)
    with pytest.raises(hostkit.Cancelled):
        again.follow(cancelled=lambda: True)
    assert list((tmp_path / "shot").iterdir()) == []  # nothing came of it: the version is free


@pytest.mark.usefixtures("daemon")
def test_a_version_is_made_and_one_whose_host_died_is_brought_home(tmp_path: Path) -> None:
    plate = write_movie(tmp_path / "plate.mp4", moving_scene(count=12).plate)
    wish = {"plate": str(plate), "backdrop": "#405060", "range": [2, 3, 5], "format": "png", "name": "sh_{version}"}
    wish["settings"] = {"relight_strength": 0.5}
    shot = tmp_path / "shot"
    work = hostkit.Work(str(shot), wish, {"name": "nuke"}, command=COMMAND)
    done = work.follow()
    kept = hostkit.record.read(str(shot / "v001"))
    assert (kept["state"], kept["job"], kept["frames"]) == ("done", work.job, "2-3,5")
    assert kept["recipe_digest"] == done["recipe_digest"]
    assert hostkit.paths.present(kept["files"]["comp"]) == [2, 3, 5]
    assert Path(kept["files"]["comp"]).name.startswith("sh_v001")

    host = (
        f"import os, sys\nsys.path.append({str(KIT)!r})\nimport anyportal_hostkit as h\n"
        f"work = h.Work({str(shot)!r}, {dict(wish, range='')!r}, command={COMMAND!r})\n"
        "while not work.job: work.poll(0.1)\n"
        "os.kill(work._process.pid, 9)\nos.kill(os.getpid(), 9)"  # as when the machine loses its power
    )
    subprocess.run([sys.executable, "-c", host], timeout=120)
    assert hostkit.record.unfinished(str(tmp_path)) == [str(shot / "v002")]
    hostkit.Fetch(str(shot / "v002"), COMMAND).follow()
    kept = hostkit.record.read(str(shot / "v002"))
    assert hostkit.paths.present(kept["files"]["comp"]) == list(range(12))
    assert hostkit.record.unfinished(str(tmp_path)) == []
    assert hostkit.record.previous(str(shot / "v002")) == str(shot / "v001")
    jobs = hostkit.ask(["jobs"], COMMAND)
    assert {job["job"] for job in jobs} == {work.job, kept["job"]}
    running = next(check for check in hostkit.doctor.checks(command=COMMAND) if check[0] == "running")
    assert running[1] == "ok" and "127.0.0.1" in running[2]


@pytest.mark.usefixtures("daemon")
def test_a_job_that_failed_is_told_and_uses_up_no_version(tmp_path: Path) -> None:
    plate = write_movie(tmp_path / "plate.mp4", moving_scene(count=4).plate)
    nobody = write_image(tmp_path / "nobody.png", np.zeros((*moving_scene(count=1).plate.shape[1:3], 3), np.float32))
    seen: list[Any] = []
    work = hostkit.Work(
        str(tmp_path / "shot"), {"plate": plate, "backdrop": "#405060", "mask": nobody}, command=COMMAND
    )
    with pytest.raises(hostkit.CommandFailed) as caught:
        work.follow(seen.append)
    assert [event["state"] for event in seen if event["event"] == "state"][-1] == "failed"
    assert f"Job: {work.job}" in hostkit.report.text_of(caught.value)
    assert list((tmp_path / "shot").iterdir()) == []
