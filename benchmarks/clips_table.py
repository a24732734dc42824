"""Real clips before real backdrops: what the relighting keeps of the plate, beside a naive composite.

    python -m benchmarks.clips_table CLIPS BACKDROPS [--clips 01,06] [--backdrops 7] [--frames 49]
        [--mattes supplied,automatic] [--resume] [--out FOLDER]

CLIPS holds NN_input.mp4 and NN_matte.mp4, BACKDROPS pictures. Every clip goes through the draft preset twice, with
relight_strength as the preset has it and with 0, and is delivered as H.264 at crf 12; with the supplied matte, and with
one that the preset finds, where it finds a person. All are held against the supplied matte. Prints the figures of
``anyportal_core.evaluation.clips`` and keeps them in benchmarks/results/clips_table.json, pair by pair; --resume goes
on from there. The naive composite keeps the plate's own pixels: its figures are the bound. Medians stand there over all
pairs, and over those that are relit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import AnyPortalError
from anyportal_core.evaluation.clips import FIGURES, Plate, evaluate, is_relit, medians
from anyportal_core.frames import FrameSet
from anyportal_core.media.writers import Written
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot

RESULT = Path(__file__).parent / "results" / "clips_table.json"
WAYS: Mapping[str, Mapping[str, object]] = {"naive": {"relight_strength": 0}, "ours": {}}


@dataclass(frozen=True)
class Pair:
    """A clip before a backdrop, with one kind of matte."""

    number: str
    clip: Path
    backdrop: Path
    kind: str

    @property
    def name(self) -> str:
        return f"{self.number} {self.backdrop.stem} {self.kind}"


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
    clip: Path, matte: Path | None, backdrop: Path, settings: Mapping[str, object], folder: Path
) -> tuple[Path, Silent]:
    """The comp of a clip before a backdrop; without a matte the preset finds one."""
    choice = BackdropChoice("still", hashlib.sha256(backdrop.read_bytes()).hexdigest())
    given = frozenset({"matte"}) if matte else frozenset()
    recipe = resolve(RecipeRequest(choice, settings=settings), load_catalogue(), given)
    shot = Shot(MediaRef(clip), matte=MediaRef(matte) if matte else None, backdrop=MediaRef(backdrop))
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
    return f"{name:42s}" + "".join(f"{row[figure]:13.3f}" for figure in FIGURES)


def measured(plate: Plate, pair: Pair, matte: Path | None, out: Path) -> dict[str, dict[str, float]]:
    """The figures of each way."""
    rows = {}
    for way, settings in WAYS.items():
        start = time.monotonic()
        made, _ = render(pair.clip, matte, pair.backdrop, settings, out / pair.name.replace(" ", "_") / way)
        rendered = time.monotonic() - start
        rows[way] = evaluate(plate, read(made, len(plate.frames))) | {"seconds": rendered}
        print(line(f"{pair.name} {way}", rows[way]), flush=True)
    return rows


def pairs_of(asked: argparse.Namespace) -> Iterator[list[Pair]]:
    """For each clip, its pairs with backdrops, another start for each clip, and with mattes."""
    pictures = sorted(asked.backdrops_folder.glob("*.jpg"))
    for number, clip in enumerate(sorted(asked.clips_folder.glob("*_input.mp4"))):
        name = clip.name.split("_")[0]
        if asked.clips and name not in asked.clips.split(","):
            continue
        chosen = [pictures[(3 * number + 2 * i) % len(pictures)] for i in range(min(asked.backdrops, len(pictures)))]
        yield [Pair(name, clip, backdrop, kind) for kind in asked.mattes.split(",") for backdrop in chosen]


def told(rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, object]:
    """Medians for each kind of matte, over all pairs and over the relit ones, printed and as they are kept."""
    found: dict[str, object] = {}
    for kind in sorted({name.split()[-1] for name in rows}):
        every = {name: row for name, row in rows.items() if name.split()[-1] == kind}
        for which, chosen in (("all", every), ("relit", {n: r for n, r in every.items() if is_relit(r["ours"])})):
            for way in WAYS if chosen else ():
                middle = medians([row[way] for row in chosen.values()])
                found[f"{kind} {which} {way}"] = middle | {"pairs": len(chosen)}
                print(line(f"median {kind} {which} ({len(chosen)}) {way}", middle))
    return found


def kept(rows: Mapping[str, object], found: Mapping[str, object]) -> None:
    """Write the result as it stands."""
    text = json.dumps({"medians": found, "pairs": rows})
    plain = json.loads(text, parse_float=lambda figure: round(float(figure), 4), parse_constant=lambda _: None)
    RESULT.write_text(json.dumps(plain, indent=1) + "\n")


def known(asked: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """The pairs of an earlier run that is gone on with; what could not be told is nan again."""
    if not (asked.resume and RESULT.is_file()):
        return {}
    pairs = json.loads(RESULT.read_text())["pairs"]
    return {
        name: {way: {k: float("nan") if v is None else v for k, v in row.items()} for way, row in ways.items()}
        for name, ways in pairs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clips_folder", type=Path)
    parser.add_argument("backdrops_folder", type=Path)
    parser.add_argument("--clips", default="")
    parser.add_argument("--backdrops", type=int, default=7, help="how many for each clip, another start for each")
    parser.add_argument("--mattes", default="supplied,automatic")
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--resume", action="store_true", help="keep the pairs that the results hold already")
    parser.add_argument("--out", type=Path, default=Path("clips_table_out"))
    asked = parser.parse_args()
    rows = known(asked)
    print(" " * 42 + "".join(f"{figure:>13s}" for figure in FIGURES))
    for pairs in pairs_of(asked):
        missing = [pair for pair in pairs if pair.name not in rows]
        if not missing:
            continue
        matte = missing[0].clip.with_name(missing[0].clip.name.replace("_input", "_matte"))
        plate = Plate.read(read(missing[0].clip, asked.frames), read(matte, asked.frames, one=True))
        for pair in missing:
            try:
                rows[pair.name] = measured(plate, pair, matte if pair.kind == "supplied" else None, asked.out)
            except AnyPortalError as error:  # a cat is no person
                print(f"{pair.name}: {error}")
                continue
            kept(rows, {})
    kept(rows, told(rows))


if __name__ == "__main__":
    main()
