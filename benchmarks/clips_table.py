"""Real clips before real backdrops: what the relighting keeps of the plate, beside a naive composite.

    python -m benchmarks.clips_table CLIPS BACKDROPS [--clips 01,06] [--backdrops N] [--frames 49] [--out FOLDER]

CLIPS holds NN_input.mp4 and NN_matte.mp4, BACKDROPS pictures. Every clip goes through the draft preset twice, with
relight_strength as the preset has it and with 0, and is delivered as H.264 at crf 12. Prints the figures of
``anyportal_core.evaluation.clips`` and keeps them in benchmarks/results/clips_table.json. The naive composite keeps
the plate's own pixels: its figures are the bound.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.evaluation.clips import FIGURES, Plate, evaluate, medians
from anyportal_core.frames import FrameSet
from anyportal_core.media.writers import Written
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot

RESULT = Path(__file__).parent / "results" / "clips_table.json"
WAYS: Mapping[str, Mapping[str, object]] = {"naive": {"relight_strength": 0}, "ours": {}}


class Silent:
    """An observer that keeps the time of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def started(self, frames: FrameSet, rate: Fraction) -> None: ...

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None: ...

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self.seconds[stage] = round(seconds, 2)

    def files(self, written: Sequence[Written]) -> None: ...

    def log(self, text: str, warning: bool = False) -> None: ...

    def checkpoint(self) -> None: ...


def render(
    clip: Path, matte: Path, backdrop: Path, settings: Mapping[str, object], folder: Path
) -> tuple[Path, Silent]:
    """The comp of a clip before a backdrop."""
    choice = BackdropChoice("still", hashlib.sha256(backdrop.read_bytes()).hexdigest())
    recipe = resolve(RecipeRequest(choice, settings=settings), load_catalogue(), frozenset({"matte"}))
    shot = Shot(MediaRef(clip), matte=MediaRef(matte), backdrop=MediaRef(backdrop))
    observer = Silent()
    render_shot(shot, recipe, Delivery(("comp",), "mp4"), folder, DirectoryCache(folder.parent / "cache"), observer)
    return next(folder.rglob("*.mp4")), observer


def read(path: Path, most: int, one: bool = False) -> np.ndarray:
    """A clip's frames, RGB; of a matte one channel."""
    opened = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    while len(frames) < most:
        there, frame = opened.read()
        if not there:
            break
        frames.append(frame[..., 1] if one else cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    return np.stack(frames)


def line(name: str, row: Mapping[str, float]) -> str:
    return f"{name:34s}" + "".join(f"{row[figure]:13.3f}" for figure in FIGURES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clips_folder", type=Path)
    parser.add_argument("backdrops_folder", type=Path)
    parser.add_argument("--clips", default="")
    parser.add_argument("--backdrops", type=int, default=99, help="how many for each clip, another start for each")
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--out", type=Path, default=Path("clips_table_out"))
    asked = parser.parse_args()
    pictures = sorted(asked.backdrops_folder.glob("*.jpg"))
    names = [path.name.split("_")[0] for path in sorted(asked.clips_folder.glob("*_input.mp4"))]
    rows: dict[str, dict[str, dict[str, float]]] = {way: {} for way in WAYS}
    print(" " * 34 + "".join(f"{figure:>13s}" for figure in FIGURES))
    for number, name in enumerate(names):
        if asked.clips and name not in asked.clips.split(","):
            continue
        source, matte = (asked.clips_folder / f"{name}_{kind}.mp4" for kind in ("input", "matte"))
        plate = Plate.read(read(source, asked.frames), read(matte, asked.frames, one=True))
        chosen = [pictures[(3 * number + 2 * i) % len(pictures)] for i in range(min(asked.backdrops, len(pictures)))]
        for backdrop in chosen:
            for way, settings in WAYS.items():
                folder = asked.out / f"{name}_{backdrop.stem}" / way
                start = time.monotonic()
                made, _ = render(source, matte, backdrop, settings, folder)
                rendered = time.monotonic() - start
                row = evaluate(plate, read(made, asked.frames)) | {"seconds": rendered}
                rows[way][f"{name} {backdrop.stem}"] = row
                print(line(f"{name} {backdrop.stem} {way}", row), flush=True)
    result = {way: {"pairs": pairs, "medians": medians(list(pairs.values()))} for way, pairs in rows.items()}
    for way, pairs in rows.items():
        print(line(f"median {way}", medians(list(pairs.values()))))
    plain = json.loads(
        json.dumps(result), parse_float=lambda text: round(float(text), 4), parse_constant=lambda _: None
    )
    RESULT.write_text(json.dumps(plain, indent=1) + "\n")


if __name__ == "__main__":
    main()
