"""Does a long shot show where one window of it ends and the next begins?

    python -m benchmarks.seams [--frames 500] [--size 160x90] [--tiny-frames 60] [--tiny-models FOLDER] [--results FILE]

A synthetic scene is rendered by the draft preset; and, where torch is there, a shorter one by the anyportal preset with
tiny random models, in windows as small as those take. Measured is the mean second difference in time at the borders of
windows over that elsewhere: 1 where nothing is to be seen. Goal: within a tenth. The draft preset has no windows, but
reads and keeps frames by eights, so every eighth frame counts as a border of it. Random models paint noise, another for
every frame, so theirs is no picture of what a trained model does; that a drift of light leaves no seam is what
`tests/unit/test_carry.py` holds. Prints and keeps one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.models import Models
from anyportal_core.overlaps import chain
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.stages.results import Result
from anyportal_core.testing.clips import moving_scene, write_images
from anyportal_core.testing.seams import seam
from anyportal_core.windows import Window, cut
from tests.integration.core_house import Heard, read, recipe_for

RESULTS = Path(__file__).parent / "results"
BY_EIGHTS = 8
PAINTED, REFINED = (13, 4), (17, 4)
"""Windows of the tiny models and their overlaps: of the background, and of the refinement."""


def written_shot(folder: Path, count: int, height: int, width: int) -> Shot:
    """A scene whose camera pans slowly, its matte, and a still to put behind it."""
    scene = moving_scene(count, height, width, pan=0.15)
    write_images(folder / "plate.%04d.png", scene.plate, 1, "uint16")
    write_images(folder / "matte.%04d.png", np.repeat(scene.matte[..., None], 3, -1), 1, "uint16")
    write_images(folder / "still.1.png", moving_scene(1, 2 * height, 2 * width, seed=7).background)
    matte, still = MediaRef(folder / "matte.%04d.png"), MediaRef(folder / "still.1.png")
    return Shot(MediaRef(folder / "plate.%04d.png"), matte=matte, backdrop=still)


def draft(folder: Path, count: int, height: int, width: int) -> dict[str, Any]:
    """The layers as they are delivered."""
    shot, begun = written_shot(folder, count, height, width), time.monotonic()
    out, still = folder / "out", folder / "still.1.png"
    out.mkdir()
    layers = ("comp", "foreground", "background", "gain")
    delivery = Delivery(layers, "png")
    render_shot(shot, recipe_for(still), delivery, out, DirectoryCache(folder / "stages"), Heard())
    windows = [_run(start, min(start + BY_EIGHTS, count)) for start in range(0, count, BY_EIGHTS)]
    made = {layer: seam(_layer(out, layer), windows) for layer in layers}
    return {"frames": count, "seconds": round(time.monotonic() - begun, 1), **_rounded(made)}


def tiny(folder: Path, count: int, height: int, width: int, models: Path | None) -> dict[str, Any]:
    """What the stages store, by stage."""
    from anyportal_core.testing.tiny.everything import write_all

    if models is None:
        models = folder / "models"
        write_all(models)
    shot, begun, catalogue = written_shot(folder, count, height, width), time.monotonic(), load_catalogue()
    settings = {"first_frame.steps": 4, "background.steps": 4, "harmonise.steps": 4, "refine.steps": 8}
    settings |= {"tracks.window": PAINTED[0], "tracks.overlap": PAINTED[1]}
    settings |= {"refine.window": REFINED[0], "refine.overlap": REFINED[1]}
    request = RecipeRequest(BackdropChoice("prompt", "a beach"), "anyportal", settings=settings)
    recipe, heard = resolve(request, catalogue, frozenset({"matte"})), Heard()
    (folder / "out").mkdir()
    cache = DirectoryCache(folder / "stages")
    render_shot(shot, recipe, Delivery(), folder / "out", cache, heard, catalogue, Models(models))
    windows = {"background": chain(count, *PAINTED), "refine": cut(count, *REFINED)}
    made = {stage: seam(_stored(cache, heard.keys[stage]), each) for stage, each in windows.items()}
    seconds = round(time.monotonic() - begun, 1)
    return {"frames": count, "seconds": seconds, "windows": _lengths(windows), **_rounded(made)}


def _lengths(windows: dict[str, list[Window]]) -> dict[str, int]:
    return {stage: len(each) for stage, each in windows.items()}


def _run(start: int, stop: int) -> Window:
    return Window(start, stop, tuple(range(start, stop)))


def _layer(out: Path, layer: str) -> np.ndarray:
    return read(out / ("plate.%04d.png" if layer == "comp" else f"plate_{layer}.%04d.png"))


def _stored(cache: DirectoryCache, key: str) -> np.ndarray:
    path = cache.find(key, lambda: None)
    assert path is not None, "what a run has stored is there"
    result = Result(path)
    try:
        return np.asarray(result.read("frames", 0, result.count))
    finally:
        result.close()


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--size", default="160x90", help="width x height of the draft preset's plate")
    parser.add_argument("--tiny-frames", type=int, default=60)
    parser.add_argument("--tiny-models", type=Path, help="a folder of tiny models; written anew where it is left out")
    parser.add_argument("--results", type=Path, default=RESULTS / "seams.json")
    given = parser.parse_args(arguments)
    width, height = map(int, given.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {"draft": draft(_made(folder, "draft"), given.frames, height, width)}
        if find_spec("torch") and given.tiny_frames:
            found["tiny"] = tiny(_made(folder, "tiny"), given.tiny_frames, 40, 60, given.tiny_models)
    found["machine"] = platform.machine()
    given.results.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


def _made(folder: str, name: str) -> Path:
    made = Path(folder) / name
    made.mkdir()
    return made


if __name__ == "__main__":
    main()
