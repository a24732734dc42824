"""Renders subjects in environments with Cycles, so that every pair of environments is a relighting with its truth.

    python -m benchmarks.relight_scenes OUT [--samples 48] [--frames 4] [--subjects ...] [--places ...]

Needs Blender as a Python module (bpy 5.0). Writes scene-linear half-float EXR, Rec.709:

    OUT/SUBJECT/PLACE/empty/NNNN.exr  the place without anybody
    OUT/SUBJECT/PLACE/full/NNNN.exr   the subject in it, with its shadow and the light that the place throws back
    OUT/SUBJECT/matte/NNNN.exr        its coverage

The camera and the subject move alike everywhere. ``benchmarks.relight`` puts the pairs together.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.relight_places import (
    PLACES,
    Colour,
    Surface,
    Thing,
    aim,
    ball,
    bpy,
    drawn,
    material,
    pole,
    striped,
)

WIDTH, HEIGHT = 216, 144


def bust(skin: Colour, hair: Colour, shirt: Surface) -> list[Thing]:
    """Head and shoulders, large in the picture."""
    flesh, dark = material(skin, 0.45), material(hair, 0.5, grain=0.6, scale=25)
    parts = [ball((0, 0, 1.62), (0.3, 0.34, 0.4), flesh), pole((0, 0.02, 1.2), (0.13, 0.13, 0.2), flesh)]
    parts.append(ball((0, -0.34, 1.58), (0.05, 0.07, 0.09), flesh))
    parts.append(ball((0, 0.1, 1.76), (0.35, 0.36, 0.36), dark))
    parts += [ball((x, 0.12, 1.45), (0.12, 0.2, 0.4), dark) for x in (-0.27, 0.27)]
    parts.append(ball((0, 0.05, 0.72), (0.62, 0.32, 0.52), shirt))
    parts += [ball((x, 0, 0.75), (0.2, 0.22, 0.45), shirt) for x in (-0.6, 0.6)]
    return parts + [ball((x, -0.29, 1.69), (0.045, 0.03, 0.03), material((0.8, 0.8, 0.8), 0.2)) for x in (-0.11, 0.11)]


def woman() -> list[Thing]:
    return bust((0.55, 0.34, 0.24), (0.16, 0.08, 0.04), striped((0.2, 0.5, 0.5), (0.7, 0.7, 0.65), 14))


def man() -> list[Thing]:
    return bust((0.18, 0.09, 0.055), (0.02, 0.015, 0.012), material((0.55, 0.55, 0.52), grain=0.2))


def walker() -> list[Thing]:
    """A whole figure, small in the picture."""
    flesh, shirt = material((0.5, 0.3, 0.2), 0.5), striped((0.6, 0.1, 0.08), (0.7, 0.65, 0.6), 9)
    jeans, shoe = material((0.05, 0.1, 0.28), grain=0.4, scale=30), material((0.02, 0.02, 0.02), 0.3)
    parts = [ball((0, 0, 1.66), (0.13, 0.14, 0.17), flesh), ball((0, 0.02, 1.73), 0.15, material((0.05, 0.03, 0.02)))]
    parts.append(ball((0, 0, 1.22), (0.23, 0.15, 0.34), shirt))
    for x in (-1, 1):
        parts.append(pole((0.12 * x, 0.1 * x, 0.5), (0.09, 0.1, 0.45), jeans, (0.15 * x, 0, 0)))
        parts.append(ball((0.12 * x, 0.16 * x - 0.05, 0.06), (0.07, 0.14, 0.06), shoe))
        parts.append(pole((0.3 * x, -0.05 * x, 1.18), (0.06, 0.06, 0.3), shirt, (-0.3 * x, 0.2 * x, 0)))
        parts.append(ball((0.36 * x, -0.14 * x, 0.87), 0.06, flesh))
    return parts


def robot() -> list[Thing]:
    """Metal and lacquer: what it shows is its surroundings."""
    steel, red = material((0.75, 0.75, 0.77), 0.18, 1.0), material((0.55, 0.02, 0.02), 0.08)
    parts = [ball((0, 0, 1.55), 0.34, steel), pole((0, 0, 0.75), (0.42, 0.42, 0.42), red)]
    parts += [ball((x, 0, 0.95), (0.18, 0.18, 0.18), steel) for x in (-0.5, 0.5)]
    parts += [pole((x, -0.05, 0.6), (0.09, 0.09, 0.32), steel) for x in (-0.55, 0.55)]
    parts += [ball((x, -0.3, 1.6), 0.06, material((0.02, 0.02, 0.02), 0.1)) for x in (-0.12, 0.12)]
    return parts


def dog() -> list[Thing]:
    fur, dark = material((0.42, 0.27, 0.13), grain=0.6, scale=18), material((0.03, 0.025, 0.02), 0.4)
    parts = [ball((0.1, 0, 0.62), (0.55, 0.24, 0.27), fur), ball((-0.5, -0.1, 0.95), (0.2, 0.2, 0.2), fur)]
    parts += [ball((-0.66, -0.2, 0.88), (0.14, 0.1, 0.09), fur), ball((-0.78, -0.26, 0.9), 0.04, dark)]
    parts += [pole((x, y, 0.22), (0.07, 0.07, 0.24), fur) for x in (-0.25, 0.5) for y in (-0.13, 0.13)]
    parts += [ball((-0.42, y, 1.08), (0.07, 0.04, 0.14), dark) for y in (-0.27, 0.08)]
    parts.append(pole((0.75, 0, 0.85), (0.04, 0.04, 0.22), fur, (0, 0.7, 0)))
    return parts + [ball((-0.62, y, 0.99), 0.03, dark) for y in (-0.27, -0.02)]


SUBJECTS: dict[str, tuple[Callable[[], list[Thing]], float, float]] = {
    "woman": (woman, 3.1, 1.25),
    "man": (man, 3.3, 1.3),
    "walker": (walker, 5.6, 1.1),
    "robot": (robot, 3.8, 1.0),
    "dog": (dog, 3.6, 0.75),
}
"""How a subject is built, how far the camera is from it, and how high it looks."""


def prepare(samples: int) -> Any:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", samples, True
    scene.cycles.max_bounces, scene.cycles.seed = 5, 1
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_mode, scene.render.image_settings.color_depth = "RGBA", "16"
    scene.view_settings.view_transform = "Raw"
    random.seed(7)
    return scene


def film(scene: Any, distance: float, height: float, time: float) -> None:
    """The camera at a time of 0..1: it drifts sideways, and looks where the subject is."""
    if scene.camera is None:
        camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        camera.data.lens = 40
        scene.collection.objects.link(camera)
        scene.camera = camera
    at = (0.5 * (time - 0.5), -distance, height + 0.15)
    scene.camera.location = at
    scene.camera.rotation_euler = aim(at, (0.3 * (time - 0.5), 0, height))


def turn(parts: Sequence[Thing], time: float) -> None:
    """The subject turns on the spot and steps aside."""
    if not parts:
        return
    root = parts[0].parent
    if root is None:
        root = bpy.data.objects.new("root", None)
        bpy.context.scene.collection.objects.link(root)
        for part in parts:
            part.parent = root
    root.rotation_euler = (0, 0, math.radians(50 * (time - 0.5)))
    root.location = (0.3 * (time - 0.5), 0, 0)


def render(scene: Any, folder: Path, parts: Sequence[Thing], view: tuple[float, float], frames: int) -> None:
    for frame in range(frames):
        time = frame / max(frames - 1, 1)
        turn(parts, time)
        film(scene, view[0], view[1], time)
        scene.render.filepath = str(folder / f"{frame + 1:04d}.exr")
        if not Path(scene.render.filepath).exists():
            bpy.ops.render.render(write_still=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--subjects", default=",".join(SUBJECTS))
    parser.add_argument("--places", default=",".join(PLACES), help="names, or r1, r2, ... for places drawn by chance")
    wanted = parser.parse_args()
    for name in wanted.subjects.split(","):
        build, distance, height = SUBJECTS[name]
        view = (distance, height)
        scene = prepare(16)
        scene.render.film_transparent, scene.cycles.use_denoising = True, False
        render(scene, wanted.out / name / "matte", build(), view, wanted.frames)
        for place in wanted.places.split(","):
            scene = prepare(wanted.samples)
            (PLACES[place] if place in PLACES else drawn(int(place[1:])))()
            render(scene, wanted.out / name / place / "empty", [], view, wanted.frames)
            render(scene, wanted.out / name / place / "full", build(), view, wanted.frames)


if __name__ == "__main__":
    main()
