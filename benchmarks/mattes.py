"""Mattes against supplied ones, and masks carried through sports footage.

    python -m benchmarks.mattes [--data ../shared/data] [--clips 01 06 07 16] [--frames 0]

For each clip of people: the mean absolute difference of the raw selfie model and of ours to the supplied matte, over
the whole picture and within 8 pixels of its edge (a band of 16), and the temporal second difference in shares of the
supplied matte's. For DAVIS tennis: the mean overlap (IoU) with its masks from the first one alone, and with three more
at even distances. CPU time a frame at 1280x720, all threads together. Prints a table and keeps it as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import ArraySource, Image
from anyportal_core.models import Models
from anyportal_core.plugins.draft.matte.selfie import raw
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.registry import PluginSpec, create
from anyportal_core.roles import Prompts, RoleContext
from anyportal_core.roles.matte import MatteHints, MattePlugin
from anyportal_core.settings import Settings
from anyportal_core.sizes import work_size

RESULTS = Path(__file__).parent / "results"
BAND = 8
LONG_SIDE = 640
Bytes = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--clips", nargs="+", default=["01", "06", "07", "16"])
    parser.add_argument("--frames", type=int, default=0, help="of each clip; 0: all")
    given = parser.parse_args()
    found: dict[str, Any] = {"clips": {}, "davis": {}}
    for name in given.clips:
        found["clips"][name] = clip(given.data / "clips", name, given.frames or None)
        print(name, _told(found["clips"][name]), flush=True)
    for keys in ((0,), (0, 23, 46, 69)):
        found["davis"][str(len(keys))] = davis(given.data / "davis", keys)
        print(f"tennis, {len(keys)} masks:", _told(found["davis"][str(len(keys))]), flush=True)
    found["speed"] = speed(given.data / "clips" / f"{given.clips[0]}_input.mp4")
    print("1280x720:", _told(found["speed"]))
    (RESULTS / "mattes.json").write_text(json.dumps(found, indent=2) + "\n")


def clip(folder: Path, name: str, count: int | None) -> dict[str, float]:
    """The raw model's figures and ours on one clip."""
    plate = read(folder / f"{name}_input.mp4", count)
    truth = read(folder / f"{name}_matte.mp4", count)[..., 0].astype(np.float32) / 255
    first = raw()
    model = np.stack([first(frame.astype(np.float32) / 255) for frame in plate])
    ours, _ = made("draft.person", plate, MatteHints())
    return {**scores("raw", model, truth), **scores("ours", ours, truth)}


def davis(folder: Path, keys: tuple[int, ...]) -> dict[str, float]:
    """The overlap that is kept when the masks of some frames are carried through all."""
    plate = np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted((folder / "tennis").glob("*.jpg"))])
    painted = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted((folder / "tennis_mask").glob("*.png"))]
    masks = [(mask > 0).astype(np.float32) for mask in painted]
    size = _work(plate)
    given = {key: cv2.resize(masks[key], size[::-1], interpolation=cv2.INTER_AREA) for key in keys}
    ours, _ = made("draft.propagate", plate, MatteHints(corrections=given))
    kept = [overlap(a, b) for a, b in zip(ours, masks, strict=True)]
    return {"mean": float(np.mean(kept)), "least": min(kept), "last": kept[-1]}


def speed(path: Path) -> dict[str, float]:
    """CPU milliseconds a frame at 1280x720, for the stage and for the finish's part."""
    plate = np.stack([cv2.resize(frame, (1280, 720)) for frame in read(path, 24)])
    _, seconds = made("draft.person", plate, MatteHints())
    return {name: 1000 * value / len(plate) for name, value in seconds.items()}


def made(name: str, plate: Bytes, hints: MatteHints) -> tuple[Image, dict[str, float]]:
    """Alphas at the plate's own size by a plug-in with its defaults, and the CPU seconds of both its steps."""
    spec = next(spec for spec in MATTES if spec.name == name)
    plugin: MattePlugin = create(spec)
    context, size = _context(spec), _work(plate)
    small = np.stack([cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA) for frame in plate])
    begun = time.process_time()
    chunks = list(plugin.find(ArraySource(small.astype(np.float32) / 255), hints, context))
    between = time.process_time()
    stored = {key: np.concatenate([chunk[key] for chunk in chunks]) for key in chunks[0]}
    frames = (frame.astype(np.float32) / 255 for frame in plate)
    alphas = [
        plugin.render(frame, {key: values[index] for key, values in stored.items()}, None, context)
        for index, frame in enumerate(frames)
    ]
    return np.stack(alphas), {"find_ms": between - begun, "render_ms": time.process_time() - between}


def scores(who: str, alpha: Image, truth: Image) -> dict[str, float]:
    off, edge = np.abs(alpha - truth), np.stack([_edge(matte) for matte in truth])
    return {
        f"{who}_mean": float(off.mean()),
        f"{who}_edge": float(off[edge].mean()),
        f"{who}_unsteady": _unsteadiness(alpha) / _unsteadiness(truth),
    }


def overlap(a: Image, b: Image) -> float:
    """Intersection over union."""
    inside, there = a > 0.5, b > 0.5
    return float((inside & there).sum() / max(1, (inside | there).sum()))


def read(path: Path, count: int | None) -> Bytes:
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if count is not None and len(frames) == count:
                break
            frames.append(frame.to_ndarray(format="rgb24"))
    return np.stack(frames)


def _work(plate: Bytes) -> tuple[int, int]:
    return work_size(plate.shape[2], plate.shape[1], LONG_SIDE)


def _context(spec: PluginSpec) -> RoleContext:
    settings = Settings.check(spec.settings, {}, spec.name)
    models = Models.configured()
    return RoleContext(
        settings, np.random.default_rng, lambda: None, lambda text: print(" ", text), Prompts(), models, "cpu"
    )


def _edge(matte: Image) -> NDArray[np.bool_]:
    square = np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    return np.asarray(cv2.dilate(matte, square) - cv2.erode(matte, square) > 0.5)


def _unsteadiness(alpha: Image) -> float:
    return float(np.abs(np.diff(alpha, n=2, axis=0)).mean())


def _told(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())


if __name__ == "__main__":
    main()
