"""A shot of 4096x2160 half-float EXR with the draft preset: memory and time of the worker, frame by frame.

    python -m benchmarks.finish_4k [--frames 24] [--size 4096x2160] [--layers comp] [--mattes supplied,found]

The plate moves, has grain, lights of 40 and values below 0, and a foreground with thin strands; its matte is supplied
as files, or found from a mask of one frame. A process of its own renders the shot as the worker does, while its
proportional set size is sampled (Linux only). Beside it stands a plain loop over the same frames: decoded by the same
reader, written by the same writer, nothing done to them, before and after the shot. Prints and keeps one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import multiprocessing as mp
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import LAYERS, Delivery
from anyportal_core.frames import FrameSet, Image
from anyportal_core.media.clip import open_clip
from anyportal_core.media.writers import Written, open_writer
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import write_image

RESULTS = Path(__file__).parent / "results"
FIRST = 1001
LIMIT_MIB = 4096
LIMIT_RATIO = 4.0
WARM = 4
"""Frames at the beginning that a slope leaves out: memory is taken from the system once."""


Clock = tuple[float, float]
"""Seconds on the wall, and of processors that this process took."""


def now() -> Clock:
    return time.monotonic(), time.process_time()


@dataclass
class Times:
    """An observer that notes when each frame was finished, and how long each stage took."""

    frames: list[Clock] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)

    def started(self, frames: FrameSet, rate: Fraction) -> None: ...

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None: ...

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self.stages[stage] = round(seconds, 2)

    def files(self, written: Sequence[Written]) -> None:
        self.frames.extend(now() for _ in written)

    def log(self, text: str, warning: bool = False) -> None: ...

    def checkpoint(self) -> None: ...


class Media:
    """The files of the synthetic shot."""

    def __init__(self, folder: Path, frames: int, width: int, height: int) -> None:
        self.folder, self.count = folder, frames
        self.plate, self.matte = folder / "plate.%04d.exr", folder / "matte.%04d.png"
        self.mask, self.backdrop = folder / "mask.png", folder / "backdrop.png"
        generator = np.random.default_rng(0)
        self._wall = _clouds(generator, height, width + 4 * frames, (0.3, 0.4, 0.55))
        self._cloth = _clouds(generator, height, width, (0.6, 0.35, 0.2))
        write_image(self.backdrop, _clouds(generator, height, width, (0.5, 0.4, 0.3)), "uint16")
        for index in range(frames):
            pixels, alpha = self._frame(generator, index)
            write_image(Path(str(self.plate) % (FIRST + index)), pixels, "half")
            cover = np.repeat(alpha[..., None], 3, axis=-1)
            write_image(Path(str(self.matte) % (FIRST + index)), cover, "uint16")
            if index == 0:
                write_image(self.mask, (cover > 0.5).astype(np.float32), "uint8")

    def _frame(self, generator: np.random.Generator, index: int) -> tuple[Image, Image]:
        height, width = self._cloth.shape[:2]
        alpha = silhouette(height, width, index)
        cover = alpha[..., None]
        pixels = self._cloth * cover + self._wall[:, 4 * index : 4 * index + width] * (1 - cover)
        pixels += generator.standard_normal(pixels.shape, np.float32) * np.float32(0.02)
        side = height // 40
        pixels[height // 2 : height // 2 + side, width // 2 : width // 2 + side] = 40.0
        pixels[-side:, width // 2 : width // 2 + side] = -0.05
        return pixels, alpha


def silhouette(height: int, width: int, index: int) -> Image:
    """A body that sways, with strands that stand off it: ``(H, W)``."""
    alpha = np.zeros((height, width), np.uint8)
    centre = np.array([width * (0.5 + 0.05 * np.sin(index / 6)), height * 0.62])
    axes = (int(width * 0.14), int(height * 0.42))
    cv2.ellipse(alpha, tuple(int(v) for v in centre), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    for strand in range(160):
        angle = np.pi * (1.1 + 0.8 * strand / 160)
        root = centre + np.array(axes) * (np.cos(angle), np.sin(angle)) * 0.98
        tip = root + height * 0.06 * np.array([np.cos(angle + 0.3 * np.sin(strand)), np.sin(angle)])
        thick = 1 + strand % 3
        cv2.line(alpha, tuple(root.astype(int)), tuple(tip.astype(int)), 255, thick, cv2.LINE_AA)
    return cv2.GaussianBlur(alpha.astype(np.float32) / 255, (0, 0), height / 2160)


def _clouds(generator: np.random.Generator, height: int, width: int, tint: tuple[float, ...]) -> Image:
    """Texture of all sizes."""
    made = np.zeros((height, width), np.float32)
    for octave in range(2, 9):
        coarse = generator.standard_normal((height * 2**octave // 1024 + 2, width * 2**octave // 1024 + 2), np.float32)
        made += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / octave
    return np.asarray(np.exp(0.4 * made)[..., None] * np.float32(tint), np.float32)


def plain(media: Media, out: Path, with_matte: bool) -> list[Clock]:
    """When each frame had been read, and written again as the comp."""
    done = []
    with open_clip(MediaRef(media.plate)) as clip, open_clip(MediaRef(media.matte)) as mattes:
        writer = open_writer("exr", out, "plain", ("comp",), clip.info, Fraction(24), {}, clip.windows)
        covers: Iterator[Any] = mattes.frames() if with_matte else iter(range(media.count))
        for frame, _ in zip(clip.frames(), covers, strict=True):
            writer.write(frame.number, {"comp": frame.pixels})
            done.append(now())
    return done


def shot(media: Media, out: Path, matte: str, layers: tuple[str, ...]) -> tuple[list[Clock], dict[str, float]]:
    """When each frame was delivered, and the seconds of every stage."""
    refs = {"matte": MediaRef(media.matte)} if matte == "supplied" else {"mask": MediaRef(media.mask)}
    choice = BackdropChoice("still", hashlib.sha256(media.backdrop.read_bytes()).hexdigest())
    recipe = resolve(RecipeRequest(choice), load_catalogue(), frozenset(refs))
    times = Times()
    asked = Shot(MediaRef(media.plate), backdrop=MediaRef(media.backdrop), **refs)
    render_shot(asked, recipe, Delivery(layers, "exr"), out, DirectoryCache(out / "cache"), times)
    return times.frames, times.stages


def _child(pipe: Connection, task: Callable[..., Any], *arguments: object) -> None:
    pipe.send(now())
    pipe.send(task(*arguments))


class Sampler(threading.Thread):
    """Samples a process's proportional set size: ``(when, MiB)``."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._file, self.samples = Path(f"/proc/{pid}/smaps_rollup"), list[tuple[float, float]]()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            try:
                lines = self._file.read_text().splitlines()
            except OSError:
                return
            size = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
            self.samples.append((time.monotonic(), size / 1024))


def in_child(task: Callable[..., Any], *arguments: object) -> tuple[Clock, Any, list[tuple[float, float]]]:
    """When a task began in a fresh process, what it gave, and the samples of that process's memory."""
    context = mp.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_child, args=(there, task, *arguments))
    process.start()
    there.close()
    sampler = Sampler(process.pid or 0)
    try:
        begun = here.recv()
        sampler.start()
        found = here.recv()
    finally:
        sampler.done.set()
        process.join()
    return begun, found, sampler.samples


def per_frame(done: Sequence[Clock]) -> Clock:
    """Median seconds between frames, by both clocks."""
    wall, processors = np.median(np.diff(done, axis=0), axis=0)
    return float(wall), float(processors)


def peaks(done: Sequence[Clock], samples: Sequence[tuple[float, float]]) -> list[float]:
    """The most memory that was held while each frame but the first was made."""
    at, size = np.array(samples).T
    spans = itertools.pairwise(wall for wall, _ in done)
    return [float(size[(at > start) & (at <= stop)].max(initial=0)) for start, stop in spans]


def slope(values: Sequence[float]) -> float:
    """MiB a frame by which memory grows, warming up left out: the median over all pairs of frames, as peaks scatter."""
    kept = values[WARM:]
    pairs = itertools.combinations(enumerate(kept), 2)
    return float(np.median([(late - early) / (there - here) for (here, early), (there, late) in pairs] or [0.0]))


def measure(media: Media, matte: str, layers: tuple[str, ...]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=media.folder) as name:
        out = Path(name)
        with_matte = matte == "supplied"
        first = in_child(plain, media, out, with_matte)[1]
        begun, (done, stages), samples = in_child(shot, media, out, matte, layers)
        second = in_child(plain, media, out, with_matte)[1]
        loops = per_frame(first), per_frame(second)
        finish = per_frame(done)
        whole = tuple((end - start) / media.count for end, start in zip(done[-1], begun, strict=True))
        by_frame = peaks(done, samples)
        stored = sum(file.stat().st_size for file in (out / "cache").rglob("*") if file.is_file())
        return {
            "matte": matte,
            "layers": list(layers),
            "plain_read_and_write": [_seconds(loop) for loop in loops],
            "finish": _seconds(finish) | _ratios(finish, loops),
            "whole_shot": _seconds(whole) | _ratios(whole, loops),
            "seconds_of_stages": stages,
            "peak_pss_mib": round(max(size for _, size in samples), 1),
            "peak_pss_mib_by_frame": [round(value, 1) for value in by_frame],
            "slope_mib_a_frame": round(slope(by_frame), 3),
            "stored_stage_results_mib": round(stored / 2**20, 1),
            "samples": len(samples),
        }


def _seconds(clock: Sequence[float]) -> dict[str, float]:
    """Of a frame."""
    return {"seconds": round(clock[0], 3), "processor_seconds": round(clock[1], 3)}


def _ratios(clock: Sequence[float], loops: Sequence[Clock]) -> dict[str, float]:
    """To the plain loop: by the mean of the two on the wall, since other work on the machine comes and goes."""
    wall, processors = np.mean(loops, axis=0)
    return {"ratio": round(clock[0] / wall, 2), "processor_ratio": round(clock[1] / processors, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", default="4096x2160")
    parser.add_argument("--layers", default="comp", help="comma-separated, or 'all'")
    parser.add_argument("--mattes", default="supplied,found")
    parser.add_argument("--keep", type=Path, default=RESULTS / "finish_4k.json", help="where the result goes")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    every = ("comp", "foreground", "background", "matte", "gain")
    layers = tuple(name for name in LAYERS if name in every) if arguments.layers == "all" else ()
    with tempfile.TemporaryDirectory() as name:
        media = Media(Path(name), arguments.frames, width, height)
        chosen = layers or tuple(arguments.layers.split(","))
        runs = [measure(media, matte, chosen) for matte in arguments.mattes.split(",")]
    result = {
        "size": arguments.size,
        "frames": arguments.frames,
        "limits": {"peak_pss_mib": LIMIT_MIB, "ratio": LIMIT_RATIO},
        "runs": runs,
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {psutil.virtual_memory().total >> 30} GiB",
    }
    text = json.dumps(result, indent=1)
    print(text)
    arguments.keep.parent.mkdir(exist_ok=True)
    arguments.keep.write_text(text + "\n")
    good = all(run["peak_pss_mib"] < LIMIT_MIB and run["whole_shot"]["ratio"] < LIMIT_RATIO for run in runs)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
