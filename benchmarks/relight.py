"""Rendered shots whose true relighting is known: how much of the way to it the relighting goes.

    python -m benchmarks.relight GIVEN [--own OWN] [--most 200] [--strength 1.0]

GIVEN is a folder of scenes with source/, target/, backdrop/ and matte/; OWN one that ``benchmarks.relight_scenes`` has
rendered, each of whose pairs of places is a scene. Prints, and keeps in benchmarks/results/relight.json, ``closed``:
the share of the CIEDE2000 gap between the naive composite and the best smooth gain. Beside it stands one global gain
a frame, by the mean logarithms of old and new background (colour to the power 0.7, luminance to 1.2).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio

from anyportal_core.evaluation.baselines import composite, global_gain
from anyportal_core.evaluation.truth import Truth, bounds, closed, difference
from anyportal_core.frames import ArraySource, Image
from anyportal_core.method.srgb import to_display
from anyportal_core.method.upsampling import guided_gain
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.draft.scene.harmonise import Light
from anyportal_core.plugins.draft.scene.specs import SCENE
from anyportal_core.roles import RoleContext
from anyportal_core.settings import Settings

RESULT = Path(__file__).parent / "results" / "relight.json"
GAP = 4.0
"""CIEDE2000 between naive and best below which a pair is left out: places that are lit alike."""


def picture(path: Path) -> Image:
    """Linear light ``(H, W, C)``."""
    pixels = np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT), np.float32)
    return np.maximum(pixels.reshape(*pixels.shape[:2], -1), 0)


def given(folder: Path, step: int = 1) -> Iterator[tuple[str, list[Truth]]]:
    """The scenes of a folder, every ``step``-th frame."""
    for scene in sorted(path for path in folder.iterdir() if (path / "target").is_dir()):
        frames = []
        for target in sorted((scene / "target").glob("*.exr"))[::step]:
            source, true, backdrop = (
                picture(scene / kind / target.name)[..., :3] for kind in ("source", "target", "backdrop")
            )
            matte = picture(scene / "matte" / f"{target.stem}.png")[..., 0]
            frames.append(Truth(source, true, backdrop, matte))
        yield scene.name, frames


def own(folder: Path) -> Iterator[tuple[str, list[Truth]]]:
    """Every pair of places that a subject was rendered in."""
    for subject in sorted(path for path in folder.iterdir() if (path / "matte").is_dir()):
        places = [path for path in sorted(subject.iterdir()) if any(path.glob("full/*.exr"))]
        for before in places:
            for after in places:
                names = sorted(path.name for path in (subject / "matte").glob("*.exr"))
                if before != after and all((p / "full" / n).is_file() for p in (before, after) for n in names):
                    yield f"{subject.name} {before.name} {after.name}", [_pair(before, after, n) for n in names]


def _pair(before: Path, after: Path, name: str) -> Truth:
    folders = before / "full", after / "full", after / "empty"
    source, target, backdrop = (picture(folder / name)[..., :3] for folder in folders)
    return Truth(source, target, backdrop, picture(before.parent / "matte" / name)[..., 3])


def relit(frames: Sequence[Truth]) -> list[Image]:
    """The gain ``(H, W, 3)`` of every frame, as the draft preset finds it and the finish enlarges it."""
    spec = next(spec for spec in SCENE if spec.name == "draft.light")
    context = RoleContext(
        Settings.check(spec.settings, {}, "harmonise"), np.random.default_rng, lambda: None, lambda text: None
    )
    plates, backdrops = (
        ArraySource(np.stack([np.asarray(to_display(np.clip(x, 0, 1)), np.float32) for x in pictures]))
        for pictures in ([frame.source for frame in frames], [frame.backdrop for frame in frames])
    )
    mattes = ArraySource(np.stack([frame.matte[..., None] for frame in frames]))
    coarse = np.concatenate([chunk["log_gain"] for chunk in Light().relight(plates, mattes, backdrops, context)])
    looks = (np.asarray(to_display(np.clip(frame.source, 0, 1)), np.float32).mean(-1) for frame in frames)
    return [guided_gain(g, look, frame.matte, ops) for g, look, frame in zip(coarse, looks, frames, strict=True)]


def score(frames: Sequence[Truth], strength: float, step: int) -> dict[str, float]:
    """``closed`` of ours and of the global gain, and the differences that it is a share of; means over frames."""
    gains = relit(frames)
    rows = []
    for frame, gain in list(zip(frames, gains, strict=True))[::step]:
        plain = global_gain(frame.source, frame.matte, frame.backdrop)
        made = (composite(frame.source, frame.matte, frame.backdrop, g) for g in (strength * gain, plain))
        rows.append([*bounds(frame), *(difference(frame, picture) for picture in made)])
    naive, oracle, ours, baseline = np.mean(rows, axis=0)
    figures = {
        "closed": closed(naive, oracle, ours),
        "global_gain": closed(naive, oracle, baseline),
        "naive": naive,
        "oracle": oracle,
        "ours": ours,
    }
    return {name: round(float(value), 3) for name, value in figures.items()}


def summary(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean, median, lowest, and the share of scenes below 0.15, of ours and of the global gain."""
    found: dict[str, float] = {"scenes": len(rows)}
    for name in ("closed", "global_gain"):
        values = np.array([row[name] for row in rows])
        figures = (values.mean(), np.median(values), values.min(), (values < 0.15).mean())
        for figure, value in zip(("mean", "median", "min", "below_0.15"), figures, strict=True):
            found[f"{name}_{figure}"] = round(float(value), 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("given", type=Path)
    parser.add_argument("--own", type=Path)
    parser.add_argument("--most", type=int, default=200)
    parser.add_argument("--strength", type=float, default=1.0)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    result: dict[str, dict[str, dict[str, float]]] = {"given": {}, "own": {}}
    for name, frames in given(asked.given):
        result["given"][name] = score(frames, asked.strength, 2)
        print(name, result["given"][name], flush=True)
    if asked.own:
        pairs = list(own(asked.own))
        random.Random(0).shuffle(pairs)
        for name, frames in pairs[: asked.most]:
            row = score(frames, asked.strength, 1)
            if row["naive"] - row["oracle"] > GAP:
                result["own"][name] = row
        rows = sorted(result["own"].items(), key=lambda item: item[1]["closed"])
        for name, row in rows:
            figures = (f"{key} {row[key]:6.2f}" for key in ("closed", "global_gain", "naive"))
            print(f"{name:30s}", *figures)
        result["own_summary"] = {"all": summary([row for _, row in rows])}
        print(result["own_summary"]["all"])
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
