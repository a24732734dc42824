"""A mask carried through the shot."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import ArraySource, Image
from anyportal_core.plugins.draft.matte.colours import Colours
from anyportal_core.plugins.draft.matte.pile import Pile
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.roles.matte import MatteHints
from anyportal_core.testing.clips import Scene
from anyportal_core.testing.drawn import drawn_person
from anyportal_core.testing.matte_contract import MatteCase, joined

SPEC = next(spec for spec in MATTES if spec.name == "draft.propagate")


def overlap(found: Image, truth: Image) -> float:
    """Intersection over union."""
    a, b = found > 0.5, truth > 0.5
    return float((a & b).sum() / (a | b).sum())


def carried(scene: Scene, index: int, mask: Image | None = None) -> Image:
    mask = (scene.matte[index] > 0.5).astype(np.float32) if mask is None else mask
    case = MatteCase(SPEC, scene, lambda scene, count: MatteHints(mask=mask, mask_index=index))
    return joined(case.find())["alpha"].astype(np.float32)


@pytest.mark.parametrize("index", [0, 13, 23])
def test_the_mask_follows_a_moving_person_both_ways(index: int) -> None:
    scene = drawn_person(count=24, height=90, width=160, drift=3.0)
    found = carried(scene, index)
    assert min(overlap(a, b) for a, b in zip(found, scene.matte, strict=True)) > 0.93
    assert overlap(scene.matte[0], scene.matte[-1]) < 0.5  # standing still would not do


def test_a_mask_need_not_be_exact() -> None:
    """A mask painted three pixels too wide settles on the person's own edge."""
    scene = drawn_person(count=6, height=120, width=160)
    wide = cv2.dilate((scene.matte[0] > 0.5).astype(np.float32), np.ones((7, 7), np.uint8))
    found = carried(scene, 0, wide)
    assert overlap(wide, scene.matte[0]) < 0.9 < 0.96 < overlap(found[-1], scene.matte[-1])


def test_no_mask_and_an_empty_mask_are_refused() -> None:
    scene = drawn_person(count=2, height=60, width=80)
    with pytest.raises(ShotError, match="no mask") as refused:
        MatteCase(SPEC, scene).find()
    assert "--mask" in refused.value.hint
    with pytest.raises(NoForegroundError, match="empty"):
        carried(scene, 0, np.zeros((60, 80), np.float32))


def test_a_mask_of_everything_stays_everything() -> None:
    scene = drawn_person(count=3, height=60, width=80)
    assert (carried(scene, 1, np.ones((60, 80), np.float32)) > 0.99).mean() > 0.99


def test_colours_tell_inside_from_around() -> None:
    scene = drawn_person(count=1)
    colours = Colours()
    colours.learn(scene.plate[0], scene.matte[0])
    evidence = colours.evidence(scene.plate[0])
    assert np.median(evidence[scene.matte[0] == 1]) > 2 and np.median(evidence[scene.matte[0] == 0]) < -2


def test_a_pile_gives_back_last_to_first_from_memory_and_from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    alphas = np.random.default_rng(0).uniform(0, 1, (5, 30, 40)).astype(np.float32)
    for limit in (1 << 20, 1000):
        monkeypatch.setattr("anyportal_core.plugins.draft.matte.pile._IN_MEMORY", limit)
        with Pile(30, 40) as pile:
            for alpha in alphas:
                pile.push(alpha)
            found = np.stack(list(pile.unpile()))
        assert found.dtype == np.float32 and np.abs(found - alphas[::-1]).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("clip", ["10", "16"])
def test_real_footage_keeps_its_matte(shared: Path, clip: str) -> None:
    """A cat whose fur meets plants; a man filmed by a moving camera into the sun. 18 frames, small."""
    plate, matte = (_read(shared / "data" / "clips" / f"{clip}_{name}.mp4") for name in ("input", "matte"))
    found = carried(Scene(plate, matte[..., 0], plate), 0)
    assert np.mean([overlap(a, b) for a, b in zip(found, matte[..., 0], strict=True)]) > 0.95


def _read(path: Path, count: int = 18) -> Image:
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(count), strict=False)]
    small = [cv2.resize(f, (320, 214), interpolation=cv2.INTER_AREA) for f in frames]
    return np.stack(small).astype(np.float32) / 255


def test_sources_are_never_read_backwards_frame_by_frame() -> None:
    """Going back is expensive in a movie: the way back is read in runs."""
    scene = drawn_person(count=40, height=45, width=60)
    source, starts = ArraySource(scene.plate), []

    class Counted(ArraySource):
        def read(self, start: int, stop: int) -> Image:
            starts.append(start)
            return source.read(start, stop)

    mask = (scene.matte[39] > 0.5).astype(np.float32)
    case = MatteCase(SPEC, scene, lambda scene, count: MatteHints(mask=mask, mask_index=39))
    case.find(plate=Counted(scene.plate))
    assert sum(b < a for a, b in pairwise(starts)) <= 3
