"""The whole method at its published size: time, peak memory and arithmetic of every stage.

    python -m benchmarks.diffusion [--models DIR] [--work DIR] [--size 720x480] [--frames 49] [--tiny]

Renders one drawn shot by the preset ``anyportal``, each stage beginning with an empty device, and then refines it once
more with the codec on the foreground's box alone. The matte's networks run too, but what is rendered has the drawn
matte: random ones find nothing. Without --models random weights of the published sizes are written into the work folder
first (46 GB); real ones in the published layout do as well. Stages that a run before has finished in the same work
folder keep its numbers, so that a run that was cut off goes on. --tiny takes tiny models, a small clip and few steps:
for a processor, to see that all of it works. Prints and keeps one JSON object; ends with 1 where a network did not run.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.device import default_device
from anyportal_core.media.clip import open_clip
from anyportal_core.models import Models
from anyportal_core.pipeline import render_shot
from anyportal_core.plugins import loaded
from anyportal_core.plugins.passes import heard
from anyportal_core.recipe import BackdropChoice, Recipe, RecipeRequest, resolve
from anyportal_core.registry import Catalogue
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import write_images, write_movie
from anyportal_core.testing.counting import passes_by_network
from anyportal_core.testing.drawn import drawn_person

BEACH: Final = BackdropChoice("prompt", "a beach")
MATTE: Final = "matte.%04d.png"
RESULTS: Final = Path(__file__).parent / "results"
TINY: Final = {
    "first_frame.steps": 2,
    "background.steps": 2,
    "harmonise.steps": 2,
    "refine.steps": 4,
    "refine.dilate": 0,  # with more, the box would be the whole of so small a picture
    "tracks.points": 8,
}


@dataclass(frozen=True)
class Run:
    """One way through the stages.

    Args:
        prefix: comes before the names of its stages where numbers are kept.
        settings: besides those of every run.
        backdrop: what the shot is put before.
        with_matte: the drawn matte is given along.
        last: the stage it ends with; empty for all.
    """

    prefix: str
    settings: dict[str, Any]
    backdrop: BackdropChoice = BEACH
    with_matte: bool = True
    last: str = ""

    def recipe(self, catalogue: Catalogue, settings: dict[str, Any]) -> Recipe:
        given = frozenset({"matte"} if self.with_matte else ())
        return resolve(RecipeRequest(self.backdrop, "anyportal", settings=settings | self.settings), catalogue, given)


RUNS: Final = {
    # Before a colour, since a matte that holds everything or nothing is refused where a background is painted.
    "found": Run("found_", {}, BackdropChoice("colour", "#336699"), with_matte=False, last="matte"),
    "exact": Run("", {"refine.boxed": False}),
    "boxed": Run("boxed_", {"refine.boxed": True}),
}


class Enough(Exception):
    """The stage that was wanted is done."""


class Meter:
    """Observes runs: what each stage took. ``kept`` has the numbers of stages that ran, and is written at each end."""

    def __init__(self, device: str, flops: FlopCounterMode, file: Path) -> None:
        self._device, self._flops, self._file = device, flops, file
        self.kept: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        self._run, self._before, self._begun = Run("", {}), 0, time.perf_counter()

    def begin(self, run: Run) -> None:
        """The stages to come are those of a run."""
        self._run = run
        self._empty()

    def passed(self, name: str) -> None:
        passes = self.kept.setdefault("passes", {})
        passes[name] = passes.get(name, 0) + 1

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        if not reused:
            self.kept.setdefault("stages", {})[self._run.prefix + stage] = self._measured()
            self._file.write_text(json.dumps(self.kept), "utf-8")
        if stage == self._run.last:
            raise Enough
        self._empty()

    def _measured(self) -> dict[str, float]:
        cuda = self._device.startswith("cuda")
        if cuda:
            torch.cuda.synchronize()
        seconds, flops = time.perf_counter() - self._begun, self._flops.get_total_flops() - self._before
        # On a processor it is the most that the process ever had: the system tells no more.
        peak = torch.cuda.max_memory_allocated() if cuda else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "seconds": round(seconds, 3),
            "peak_gib": round(peak / 2**30, 3),
            "tflop": round(flops / 1e12, 6),
            "tflop_per_s": round(flops / 1e12 / seconds, 3),
        }

    def _empty(self) -> None:
        """Let go of all networks: a stage's peak is its own, and loading is part of its time."""
        loaded.forget()
        gc.collect()
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        self._before, self._begun = self._flops.get_total_flops(), time.perf_counter()

    def started(self, frames: object, rate: object) -> None:
        self._empty()

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None: ...

    def files(self, written: object) -> None: ...

    def log(self, text: str, warning: bool = False) -> None:
        print(text, file=sys.stderr)

    def checkpoint(self) -> None: ...


def main() -> int:
    arguments = _arguments()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    models = Models(arguments.models or work / "models")
    if arguments.models is None:
        _write_models(models.root, arguments.tiny, arguments.device)
    width, height = map(int, arguments.size.split("x"))
    folder = work / f"{arguments.size}_{arguments.frames}"
    _write_shot(folder, arguments.frames, height, width)
    result = measure(folder, work, models, arguments.device, TINY if arguments.tiny else {})
    weights = "as found" if arguments.models else "tiny, random" if arguments.tiny else "random, of the published sizes"
    result = {"frames": arguments.frames, "size": arguments.size, "weights": weights, **_machine(arguments), **result}
    print(json.dumps(result, indent=1))
    arguments.results.mkdir(parents=True, exist_ok=True)
    kind = "tiny" if arguments.tiny else result["device"].replace(" ", "_")
    kept = arguments.results / f"anyportal_{kind}_{arguments.size}_{arguments.frames}.json"
    kept.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    silent = [name for name, count in result["passes"].items() if not count]
    if silent:
        print(f"networks that did not run: {', '.join(silent)}", file=sys.stderr)
    return 1 if silent else 0


def measure(folder: Path, work: Path, models: Models, device: str, settings: dict[str, Any]) -> dict[str, Any]:
    """All runs: every stage's numbers, how often every network ran, and how far exact and boxed are apart.

    Args:
        folder: of ``plate.mp4`` and its matte.
    """
    catalogue, plate = load_catalogue(), MediaRef(folder / "plate.mp4")
    recipes = {name: run.recipe(catalogue, settings) for name, run in RUNS.items()}
    digest = recipes["exact"].digest
    with FlopCounterMode(display=False) as flops:
        meter = Meter(device, flops, folder / f"measured_{digest[:16]}.json")
        for name, run in RUNS.items():
            meter.begin(run)
            shot = Shot(plate, matte=MediaRef(folder / MATTE) if run.with_matte else None)
            out, cache = _emptied(folder / name), DirectoryCache(work / "stages")
            with heard(meter.passed), suppress(Enough):
                render_shot(shot, recipes[name], Delivery(format="exr"), out, cache, meter, catalogue, models, device)
    stages = meter.kept["stages"]
    named = {name for role, choice in recipes["found"].roles.items() for name in _models(catalogue, choice, role)}
    told = (name for name, count in meter.kept.get("passes", {}).items() for _ in range(count))
    return {
        "stages": stages,
        "seconds": round(sum(stage["seconds"] for name, stage in stages.items() if not name.startswith("boxed")), 3),
        "boxed_is_faster_by": round(stages["refine"]["seconds"] / stages["boxed_refine"]["seconds"], 3),
        "boxed_differs": _difference(folder / "exact", folder / "boxed"),
        "passes": passes_by_network(told, models, named),
        "recipe_digest": digest,
    }


def _write_shot(folder: Path, frames: int, height: int, width: int) -> None:
    folder.mkdir(exist_ok=True)
    scene = drawn_person(frames, height, width)
    write_movie(folder / "plate.mp4", scene.plate)
    # Not a movie: where that leaves a trace of a matte, the box would have to hold it.
    write_images(folder / MATTE, np.repeat(scene.matte[..., None], 3, axis=-1), 0)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _models(catalogue: Catalogue, choice: Any, role: Any) -> tuple[str, ...]:
    return catalogue.plugin(choice.plugin, role).models


def _difference(exact: Path, boxed: Path) -> dict[str, float]:
    """Between the comps, in linear light: the mean and the greatest of any value."""
    both = []
    for folder in (exact, boxed):
        first = min(folder.glob("*.exr"))
        with open_clip(MediaRef(first.with_name(_pattern(first.name)))) as clip:
            both.append(np.stack([frame.pixels for frame in clip.frames()]))
    apart = np.abs(both[0].astype(np.float64) - both[1])
    return {"mean": float(apart.mean()), "most": float(apart.max())}


def _pattern(name: str) -> str:
    stem, number, ending = name.rsplit(".", 2)
    return f"{stem}.%0{len(number)}d.{ending}"


def _write_models(root: Path, tiny: bool, device: str) -> None:
    begun = time.monotonic()
    if tiny:
        from anyportal_core.testing.tiny.everything import write_all as write_tiny

        if not root.exists():
            write_tiny(root)
    else:
        from benchmarks.real_sizes import write_all

        write_all(root, device)
    print(f"models: {time.monotonic() - begun:.0f} s", file=sys.stderr)


def _machine(arguments: argparse.Namespace) -> dict[str, Any]:
    cuda = arguments.device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(arguments.device) if cuda else platform.machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="real weights instead of random ones")
    parser.add_argument("--work", type=Path, default=Path("anyportal_benchmark"), help="models, stages and pictures")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON goes")
    parser.add_argument("--size", help="of the shot; 720x480, or 256x128 with --tiny")
    parser.add_argument("--frames", type=int, help="of the shot; 49, or 9 with --tiny")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--tiny", action="store_true", help="tiny models, a small clip, few steps")
    arguments = parser.parse_args()
    arguments.size = arguments.size or ("256x128" if arguments.tiny else "720x480")
    arguments.frames = arguments.frames or (9 if arguments.tiny else 49)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
