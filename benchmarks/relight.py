"""Rendered shots whose true relighting is known: how much of the way to it the relighting goes.

    python -m benchmarks.relight GIVEN [--own OWN] [--most 200] [--strength 1.0]

GIVEN is a folder of scenes with source/, target/, backdrop/ and matte/; OWN one that ``benchmarks.relight_scenes`` has
rendered, each of whose pairs of places is a scene. Prints, and keeps in benchmarks/results/relight.json, ``closed``:
the share of the CIEDE2000 gap between the naive composite and the best smooth gain. Beside it stands one global gain
a frame, by the mean logarithms of old and new background (colour to the power 0.7, luminance to 1.2). ``sides`` is
by how much the gain to the subject's right differs from that to its left, beside the true one's and the backdrop's.
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

from anyportal_core.evaluation.baselines import composite, global_gain, oracle_gain
from anyportal_core.evaluation.truth import ORACLE_BLUR, Truth, bounds, closed, difference
from anyportal_core.frames import ArraySource, Image
from anyportal_core.method.illuminant import LUMA
from anyportal_core.method.srgb import to_display, to_light
from anyportal_core.method.upsampling import guided_gain
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.draft.scene.harmonise import Light
from anyportal_core.plugins.draft.scene.specs import SCENE
from anyportal_core.roles import RoleContext
from anyportal_core.settings import Settings

RESULT = Path(__file__).parent / "results" / "relight.json"
GAP = 4.0
"""CIEDE2000 between naive and best below which a pair is left out: places that are lit alike."""
SIDE_LIT = 2.0
"""How much lighter one half of a backdrop is than the other where it counts as lit from that side."""


def picture(path: Path) -> Image:
    """Linear light ``(H, W, C)``."""
    pixels = np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT), np.float32)
    return np.maximum(pixels.reshape(*pixels.shape[:2], -1), 0)


def given(folder: Path) -> Iterator[tuple[str, list[Truth], Image | None]]:
    """The scenes of a folder, each also with the still instead of the moving backdrop, as linear light."""
    for scene in sorted(path for path in folder.iterdir() if (path / "target").is_dir()):
        frames = []
        for target in sorted((scene / "target").glob("*.exr")):
            source, true, backdrop = (
                picture(scene / kind / target.name)[..., :3] for kind in ("source", "target", "backdrop")
            )
            matte = picture(scene / "matte" / f"{target.stem}.png")[..., 0]
            frames.append(Truth(source, true, backdrop, matte))
        yield scene.name, frames, None
        yield f"{scene.name} still", frames, np.asarray(to_light(picture(scene / "backdrop_still.png")[..., :3]))


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


def relit(frames: Sequence[Truth], still: Image | None = None) -> list[Image]:
    """The gain ``(H, W, 3)`` of every frame, as the draft preset finds it and the finish enlarges it.

    Args:
        still: the new place, linear light, instead of the moving backdrop.
    """
    spec = next(spec for spec in SCENE if spec.name == "draft.light")
    context = RoleContext(
        Settings.check(spec.settings, {}, "harmonise"), np.random.default_rng, lambda: None, lambda text: None
    )
    plates, backdrops = (
        ArraySource(np.stack([np.asarray(to_display(np.clip(x, 0, 1)), np.float32) for x in pictures]))
        for pictures in (
            [frame.source for frame in frames],
            [frame.backdrop if still is None else still for frame in frames],
        )
    )
    mattes = ArraySource(np.stack([frame.matte[..., None] for frame in frames]))
    coarse = np.concatenate([chunk["log_gain"] for chunk in Light().relight(plates, mattes, backdrops, context)])
    looks = (np.asarray(to_display(np.clip(frame.source, 0, 1)), np.float32).mean(-1) for frame in frames)
    return [guided_gain(g, look, frame.matte, ops) for g, look, frame in zip(coarse, looks, frames, strict=True)]


def sides(log_gain: Image, matte: Image) -> float:
    """Light right over light left: of a gain within the outer quarters of a subject."""
    level = log_gain @ LUMA
    columns = np.nonzero(matte > 0.5)[1]
    left, right = np.quantile(columns, [0.25, 0.75])
    across, inside = np.arange(matte.shape[1])[None, :], matte > 0.5
    return float(np.exp(level[inside & (across >= right)].mean() - level[inside & (across <= left)].mean()))


def _differences(frame: Truth, gain: Image, still: Image | None) -> list[float]:
    new = frame.backdrop if still is None else still
    plain = global_gain(frame.source, frame.matte, new)
    made = (composite(frame.source, frame.matte, frame.backdrop, g) for g in (gain, plain))
    true = oracle_gain(frame.source, frame.target, frame.matte, ORACLE_BLUR * frame.matte.shape[1])
    halves = [half.mean() for half in np.array_split(np.clip(new, 0, 1) @ LUMA, 2, axis=1)]
    lit = (sides(gain, frame.matte), sides(true, frame.matte), halves[1] / halves[0])
    return [*bounds(frame), *(difference(frame, picture) for picture in made), *lit]


def score(frames: Sequence[Truth], strength: float, step: int, still: Image | None = None) -> dict[str, float]:
    """``closed`` of ours and of the global gain, and the differences that it is a share of; means over frames."""
    gains = relit(frames, still)
    pairs = list(zip(frames, gains, strict=True))[::step]
    rows = [_differences(frame, strength * gain, still) for frame, gain in pairs]
    naive, oracle, ours, baseline = np.mean(rows, axis=0)[:4]
    lit = np.exp(np.log(rows).mean(axis=0)[4:])
    figures = {
        "closed": closed(naive, oracle, ours),
        "global_gain": closed(naive, oracle, baseline),
        "naive": naive,
        "oracle": oracle,
        "ours": ours,
        **dict(zip(("sides", "sides_true", "sides_backdrop"), lit, strict=True)),
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
    return found | side_lit(rows)


def side_lit(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of the scenes whose backdrop is lit from a side: by how much our gain, and the true one, differ that way."""
    ways = [(row, 1 if row["sides_backdrop"] > 1 else -1) for row in rows]
    chosen = [(row, way) for row, way in ways if row["sides_backdrop"] ** way >= SIDE_LIT]
    found: dict[str, float] = {"side_lit": len(chosen)}
    for name in ("sides", "sides_true"):
        values = np.array([row[name] ** way for row, way in chosen] or [1.0])
        found[f"{name}_median"] = round(float(np.median(values)), 3)
        found[f"{name}_above_1.3"] = round(float((values >= 1.3).mean()), 3)
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
    for name, frames, still in given(asked.given):
        result["given"][name] = score(frames, asked.strength, 2, still)
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
            figures = (f"{key} {row[key]:6.2f}" for key in ("closed", "global_gain", "naive", "sides", "sides_true"))
            print(f"{name:30s}", *figures)
        result["own_summary"] = {"all": summary([row for _, row in rows])}
        print(result["own_summary"]["all"])
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
