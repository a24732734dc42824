"""A cut of many clips: how long its plan takes before and after its media have been looked at.

    python -m benchmarks.plan [--clips 1000] [--runs 5]

Writes that many clips into a timeline, each with media of its own: half of them movies with timecode, half image
sequences of 24 frames. Then calls what `anyportal batch --plan` calls, from reading the file to the shots that are one
job: first with an empty cache of probes, then with a full one, in processes of their own as users have them. Prints and
keeps one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import opentimelineio as otio

from anyportal_client.otio.batch import Wish, planned_batch

RESULTS = Path(__file__).parent / "results"
GOAL_SECONDS = 3.0
FRAMES = 24
HOUR = 3600 * 24
LONG_AGO = 1_600_000_000


def write_cut(folder: Path, clips: int) -> Path:
    """A timeline with media beside it; all files are the same movie, or empty: only headers and names are looked at."""
    movie = _movie(folder / "movie.mov")
    time, track = otio.opentime.RationalTime, otio.schema.Track("Video 1")
    for number in range(clips):
        place = folder / f"reel{number:05}"
        place.mkdir()
        start = HOUR if number % 2 else 1001
        if number % 2:
            shutil.copyfile(movie, place / "a.mov")
            os.utime(place / "a.mov", (LONG_AGO, LONG_AGO))
            reference: Any = otio.schema.ExternalReference((place / "a.mov").as_uri())
        else:
            for frame in range(1001, 1001 + FRAMES):
                (place / f"p.{frame}.exr").touch()
            os.utime(place, (LONG_AGO, LONG_AGO))
            reference = otio.schema.ImageSequenceReference(
                f"{place}/", "p.", ".exr", 1001, rate=24, frame_zero_padding=4
            )
        source = otio.opentime.TimeRange(time(start + 4, 24), time(12, 24))
        track.append(otio.schema.Clip(f"sh{number:05}", reference, source))
    path = folder / "cut.otio"
    otio.adapters.write_to_file(otio.schema.Timeline("cut", tracks=[track]), str(path))
    return path


def _movie(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.metadata["timecode"] = "01:00:00:00"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def plan_once(timeline: Path) -> float:
    """Seconds from the file to the plan. The cache lies where the environment says."""
    began = time.perf_counter()
    with planned_batch(Wish(timeline, None, {"backdrop": "#102030", "handles": 4}), unpack=False) as ready:
        seconds = time.perf_counter() - began
    assert all(not shot.problem for shot in ready.plan.shots)
    return seconds


def measure(clips: int, runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        timeline = write_cut(folder, clips)
        env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        command = [sys.executable, "-m", "benchmarks.plan", "--once", str(timeline)]
        taken = [float(subprocess.check_output(command, env=env, text=True)) for _ in range(runs + 1)]
    return {
        "clips": clips,
        "seconds": {
            "never_looked_at": round(taken[0], 3),
            "median": round(statistics.median(taken[1:]), 3),
            "worst": round(max(taken[1:]), 3),
        },
        "goal_seconds": GOAL_SECONDS,
        "runs": runs,
        "machine": {"python": platform.python_version(), "cpus": os.cpu_count(), "system": platform.platform()},
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--once", type=Path, metavar="TIMELINE", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.once:
        print(plan_once(asked.once))
        return
    found = measure(asked.clips, asked.runs)
    text = json.dumps(found, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"plan_{asked.clips}.json").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
