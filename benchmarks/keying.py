"""The key against drawn truth: alpha, and the colours of a comp, off by how much; beside the bare colour difference.

    python -m benchmarks.keying [--height 360]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import cast

import cv2
import numpy as np

from anyportal_core.frames import Image
from anyportal_core.media.encoding import SRGB
from anyportal_core.method.keying import Limits, key, reduced
from anyportal_core.method.matting import estimate_foreground, levels
from anyportal_core.method.screens import ScreenKind, excess, screen_map, screen_share
from anyportal_core.ops import ImageOps, opencv
from anyportal_core.recipe import FINISH
from anyportal_core.settings import Settings
from anyportal_core.stages.edges import Edges
from anyportal_core.testing.screens import BLUE, Keyed, Set, drawn_key

OPS = cast(ImageOps, opencv)
SETS = {
    "brown hair": Set(),
    "black hair and coat": Set(hair="dark", shirt=(0.08, 0.08, 0.1)),
    "blond hair": Set(hair="blond"),
    "grey hair": Set(hair="grey", shirt=(0.7, 0.7, 0.7)),
    "olive shirt": Set(shirt=(0.30, 0.42, 0.28)),
    "blue screen, denim": Set(colour=BLUE, hair="blond", shirt=(0.3, 0.35, 0.5)),
    "smoke": Set(smoke=0.6),
    "folds, badly lit": Set(folds=0.4, uneven=0.8),
    "full colour": Set(grain=0.004, subsampled=False, hair="blond"),
    "much spill": Set(spill=0.4),
    "grain of 3 %": Set(grain=0.03),
}
BEHIND = {"dark": (0.05, 0.05, 0.06), "bright": (0.85, 0.85, 0.85), "between": (0.5, 0.35, 0.4)}

Found = tuple[Image, Image]


def plain(shot: Keyed, colour: Image) -> Found:
    """Vlahos' colour difference to the screen's mean, and nothing else."""
    channel = int(np.argmax(colour))
    alpha = cast(Image, levels(1 - excess(shot.plate, channel) / excess(colour, channel), 0.1, 0.9))
    return alpha, shot.plate


def ours(shot: Keyed, colour: Image) -> Found:
    small = reduced(shot.plate, OPS)
    alpha = cast(Image, key(shot.plate, small, screen_map(small, colour, None, OPS)[0], Limits(), OPS))
    foreground = cast(Image, estimate_foreground(shot.plate, alpha, OPS))
    Edges(Settings.check(FINISH, {}, "finish"), SRGB, OPS).despill(0, foreground, alpha, colour)
    return alpha, foreground


def lab(picture: Image) -> Image:
    return cast(Image, cv2.cvtColor(np.clip(picture, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB))


def scores(shot: Keyed, found: Found) -> list[float]:
    """Alpha over all and near the edge, in percent; the comp there before each of BEHIND, in CIELAB."""
    alpha, foreground = found
    disc = np.ones((9, 9), np.uint8)
    band = (cv2.dilate(shot.alpha, disc) > 0.01) & (cv2.erode(shot.alpha, disc) < 0.99)
    off = np.abs(alpha - shot.alpha)
    figures = [100 * float(off.mean()), 100 * float(off[band].mean())]
    for colour in BEHIND.values():
        comps = (lab(c * a[..., None] + np.float32(colour) * (1 - a[..., None])) for c, a in (
            (foreground, alpha), (shot.foreground, shot.alpha)
        ))  # fmt: skip
        figures.append(float(np.linalg.norm(next(comps) - next(comps), axis=-1)[band].mean()))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=360)
    height = parser.parse_args().height
    print(f"{'':22}{'':7}{'alpha %':>9}{'edge %':>9}" + "".join(f"{name:>9}" for name in BEHIND) + f"{'CPU ms':>9}")
    ways: dict[str, Callable[[Keyed, Image], Found]] = {"plain": plain, "ours": ours}
    for name, of in SETS.items():
        shot = drawn_key(of, height, height * 4 // 3)
        kind: ScreenKind = "blue" if of.colour == BLUE else "green"
        colour = screen_share(shot.plate, kind)[1]
        for way, found in ways.items():
            start = time.process_time()
            made = found(shot, colour)
            spent = 1e3 * (time.process_time() - start)
            print(f"{name:22}{way:7}" + "".join(f"{figure:9.2f}" for figure in scores(shot, made)) + f"{spent:9.0f}")


if __name__ == "__main__":
    main()
