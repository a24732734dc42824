"""What the daemon costs: a shot through client and daemon beside the same shot through the core in this process.

    python -m benchmarks.overhead [--frames 300] [--size 1280x720] [--rounds 3] [--format auto]

The daemon's child is warm, and so is this process: both have rendered a short shot before. Every run is cold otherwise:
a plate whose bytes nobody has seen, a seed of its own (so no stage result fits), an empty folder. The daemon's time is
the user's: hashing, uploading, queueing, rendering, fetching, until the last file is in its place. The two take turns;
the ratio is of the medians. Beside it the ratio of processor seconds, of all processes that take part, which hangs less
on what else the machine does. Prints and keeps one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil

from anyportal_client import Client, ShotRequest
from anyportal_client.discovery import Endpoint
from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.frames import FrameSet
from anyportal_core.media.writers import Written
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from benchmarks.memory import write_clip
from benchmarks.transfer import daemon_at, process

RESULTS = Path(__file__).parent / "results"
MOST = 1.05
LEAST_SECONDS = 20


class Silent:
    """Who is told nothing: what telling costs is the daemon's."""

    def started(self, frames: FrameSet, rate: Fraction) -> None: ...
    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None: ...
    def stage_done(self, stage: str, seconds: float, reused: bool) -> None: ...
    def files(self, written: Sequence[Written]) -> None: ...
    def log(self, text: str, warning: bool = False) -> None: ...
    def checkpoint(self) -> None: ...
    def record(self, what: object) -> None: ...


def processor_seconds(server: psutil.Process) -> float:
    """Of this process, the daemon and its children so far."""
    parties = [psutil.Process(), server, *server.children(recursive=True)]
    return sum(sum(party.cpu_times()[:2]) for party in parties)


class Sides:
    """Both ways to render a shot: the first so many frames of a plate in front of a still."""

    def __init__(self, folder: Path, plate: Path, endpoint: Endpoint, form: str) -> None:
        self._folder, self._plate, self._form = folder, plate.read_bytes(), form
        self._still = folder / "still.png"
        image = np.random.default_rng(1).integers(0, 255, (27, 48, 3), np.uint8).repeat(40, 0).repeat(40, 1)
        av.VideoFrame.from_ndarray(image, "rgb24").save(str(self._still))
        self._client = Client.connect(endpoint.address, endpoint.token, mappings={})
        self._catalogue = load_catalogue()
        self._runs = 0

    def close(self) -> None:
        self._client.close()

    def _fresh(self) -> tuple[Path, int]:
        """A plate of the same frames and other bytes (an empty box at its end), and a seed for it."""
        self._runs += 1
        path = self._folder / f"plate{self._runs}.mp4"
        path.write_bytes(self._plate + (16).to_bytes(4, "big") + b"free" + self._runs.to_bytes(8, "big"))
        return path, self._runs

    def core(self, frames: int) -> float:
        """Seconds in this process."""
        plate, seed = self._fresh()
        out = self._folder / f"core{seed}"
        out.mkdir()
        begun = time.perf_counter()
        request = RecipeRequest(BackdropChoice("still", "0" * 64), seed=seed)
        shot = Shot(MediaRef(plate), FrameSet.parse(f"0-{frames - 1}"), backdrop=MediaRef(self._still), name="shot")
        cache, observer = DirectoryCache(self._folder / f"cache{seed}"), Silent()
        recipe = resolve(request, self._catalogue, frozenset())
        render_shot(shot, recipe, Delivery(("comp",), self._form), out, cache, observer, self._catalogue)
        return time.perf_counter() - begun

    def daemon(self, frames: int) -> float:
        """Seconds from the request to the last file."""
        plate, seed = self._fresh()
        request = ShotRequest(
            plate, str(self._still), frames=f"0-{frames - 1}", seed=seed, name="shot", format=self._form
        )
        begun = time.perf_counter()
        job = self._client.submit(request)
        self._client.fetch(job.name, self._folder / f"daemon{seed}")
        seconds = time.perf_counter() - begun
        assert len(self._client.job(job.name).stage_seconds) > 1, "nothing was reused"
        return seconds


async def endpoint_of(state: Path) -> Endpoint:
    connection = await daemon_at(state)
    await connection.close()
    return connection.endpoint


def measure(folder: Path, frames: int, size: str, rounds: int, form: str) -> dict[str, object]:
    plate, state = folder / "plate.mp4", folder / "state"
    width, height = map(int, size.split("x"))
    write_clip(plate, frames, width, height)
    serve = ("-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--state", str(state), "--stop-with-stdin")
    with process(*serve) as server:
        sides = Sides(folder, plate, asyncio.run(endpoint_of(state)), form)
        ways: dict[str, Callable[[int], float]] = {"core": sides.core, "daemon": sides.daemon}
        for way in ways.values():
            way(8)  # to warm up
        taken: dict[str, list[float]] = {name: [] for name in ways}
        worked: dict[str, list[float]] = {name: [] for name in ways}
        party = psutil.Process(server.pid)
        for number in range(rounds):
            for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
                before = processor_seconds(party)
                taken[name].append(ways[name](frames))
                worked[name].append(processor_seconds(party) - before)
        sides.close()
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    return {
        "frames": frames,
        "size": size,
        "format": form,
        "rounds": rounds,
        "seconds": {name: [round(each, 2) for each in seconds] for name, seconds in taken.items()},
        "ratio": round(medians["daemon"] / medians["core"], 4),
        "ratio_of_the_fastest": round(min(taken["daemon"]) / min(taken["core"]), 4),
        "processor_seconds": {name: [round(each, 2) for each in seconds] for name, seconds in worked.items()},
        "ratio_of_processor_seconds": round(statistics.median(worked["daemon"]) / statistics.median(worked["core"]), 4),
        "most": MOST,
        "long_enough": medians["core"] >= LEAST_SECONDS,
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--format", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = measure(Path(name), arguments.frames, arguments.size, arguments.rounds, arguments.format)
    print(json.dumps(result, indent=1))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"overhead_{arguments.format}.json").write_text(json.dumps(result, indent=1) + "\n")
    ratio = result["ratio"]
    assert isinstance(ratio, float)
    return 0 if ratio <= MOST and result["long_enough"] else 1


if __name__ == "__main__":
    sys.exit(main())
