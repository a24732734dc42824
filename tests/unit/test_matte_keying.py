"""The chroma key."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import pytest

from anyportal_core.errors import ShotError
from anyportal_core.frames import ArraySource, Image
from anyportal_core.method.keying import Limits, key, reduced
from anyportal_core.method.matting import estimate_foreground
from anyportal_core.method.screens import ScreenKind, excess, screen_map, screen_share
from anyportal_core.ops import ImageOps, opencv
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.testing.clips import Scene, moving_scene
from anyportal_core.testing.drawn import drawn_person
from anyportal_core.testing.matte_contract import MatteCase, joined
from anyportal_core.testing.screens import BLUE, Keyed, Set, drawn_key

OPS = cast(ImageOps, opencv)
SPEC = next(spec for spec in MATTES if spec.name == "draft.key")
GREEN = (30, 180, 70)


def keyed(image: Image, screen: Image, limits: Limits = Limits()) -> Image:  # noqa: B008
    small = reduced(image, OPS)
    return cast(Image, key(image, small, screen_map(small, screen, None, OPS)[0], limits, OPS))


def found(shot: Keyed, kind: ScreenKind = "green", limits: Limits = Limits()) -> Image:  # noqa: B008
    share, colour = screen_share(shot.plate, kind)
    assert share > 0.5
    return keyed(shot.plate, colour, limits)


def noisy(image: Image, amount: float = 0.01) -> Image:
    noise = np.random.default_rng(0).normal(0, amount, image.shape)
    return np.clip(image + noise, 0, 1).astype(np.float32)


def test_excess_is_what_the_screen_has_over_the_other_channels() -> None:
    pixels = np.array([[0.2, 0.9, 0.3], [0.9, 0.9, 0.9], [0.8, 0.6, 0.5]], np.float32)
    assert excess(pixels, 1) == pytest.approx([0.6, 0.0, -0.2])


@pytest.mark.parametrize(("kind", "wall"), [("green", GREEN), ("blue", (30, 60, 200))])
def test_a_screen_is_recognised_with_its_colour(kind: ScreenKind, wall: tuple[int, int, int]) -> None:
    scene = drawn_person(count=1, wall=wall)
    share, colour = screen_share(noisy(scene.plate[0]), kind)
    assert share == pytest.approx(np.mean(scene.matte[0] < 0.5), abs=0.03)
    assert colour == pytest.approx(scene.background[0].mean((0, 1)), abs=0.03)


def test_scenery_is_no_screen() -> None:
    for seed in range(4):
        picture = moving_scene(count=1, seed=seed).plate[0]
        assert screen_share(picture, "green")[0] < 0.05 and screen_share(picture, "blue")[0] < 0.05


def test_an_unevenly_lit_noisy_screen_is_clear_and_the_foreground_solid() -> None:
    scene = drawn_person(count=1, wall=GREEN)
    light = np.linspace(0.65, 1.1, scene.plate.shape[2], dtype=np.float32)[:, None]
    uneven = scene.plate[0] + (1 - scene.matte[0, ..., None]) * scene.background[0] * (light - 1)
    _, colour = screen_share(noisy(uneven), "green")
    alpha = keyed(noisy(uneven), colour)
    disc = np.ones((9, 9), np.uint8)
    assert (alpha[cv2.erode(scene.matte[0], disc) == 1] == 1).mean() > 0.995
    assert (alpha[cv2.dilate(scene.matte[0], disc) == 0] == 0).mean() > 0.99
    assert np.abs(alpha - scene.matte[0]).mean() < 0.01


def test_no_green_rim_is_left_around_brown_hair() -> None:
    """Colour difference alone takes mixed pixels of a warm colour for solid; their green would stay."""
    y, x = np.mgrid[0:160, 0:200].astype(np.float32)
    alpha = np.clip((50 - np.hypot(x - 100, y - 80)) / 6 + 0.5, 0, 1)[..., None].astype(np.float32)
    brown, green = np.array([0.35, 0.22, 0.12], np.float32), np.array([0.1, 0.6, 0.2], np.float32)
    picture = brown * alpha + green * (1 - alpha)
    found = keyed(picture, green)
    assert np.abs(found - alpha[..., 0]).max() < 0.1
    comp = estimate_foreground(picture, found, OPS) * found[..., None] + (1 - found[..., None]) * 0.1
    assert excess(comp, 1).max() < 0.02


def test_the_picked_colour_is_taken_instead_of_an_estimate() -> None:
    red = drawn_person(count=2, height=90, width=120, wall=(30, 30, 210))
    shifted = Scene(red.plate[..., ::-1].copy(), red.matte, red.background[..., ::-1].copy())
    settings = {"screen": "picked", "screen_colour": "#d21e1e"}
    alpha = joined(MatteCase(SPEC, shifted, settings=settings).find())["alpha"]
    assert np.abs(alpha - shifted.matte).mean() < 0.02


@pytest.mark.parametrize("screen", ["auto", "blue"])
def test_a_shot_without_a_screen_is_refused_with_the_other_ways(screen: str) -> None:
    wall = (128, 128, 128) if screen == "auto" else GREEN
    case = MatteCase(SPEC, drawn_person(count=2, wall=wall), settings={"screen": screen})
    with pytest.raises(ShotError, match="screen") as refused:
        case.find()
    assert "--matte" in refused.value.hint and "--mask" in refused.value.hint


def test_a_screen_seen_late_in_the_shot_is_found() -> None:
    scene = drawn_person(count=6, height=60, width=80, wall=GREEN)
    plate = scene.plate.copy()
    plate[:3] = 0.5
    alpha = joined(MatteCase(SPEC, scene).find(plate=ArraySource(plate)))["alpha"]
    assert (alpha[:3] == 1).all() and np.abs(alpha[3:] - scene.matte[3:]).mean() < 0.02


SETS = {
    "brown hair": (Set(), 0.051),
    "black hair, black coat": (Set(hair="dark", shirt=(0.08, 0.08, 0.1)), 0.03),
    "blond hair": (Set(hair="blond"), 0.06),
    "every colour recorded": (Set(hair="blond", grain=0.004, subsampled=False), 0.023),
    "a wrinkled, badly lit screen": (Set(folds=0.25, uneven=0.6), 0.063),
    "much spill": (Set(spill=0.4), 0.065),
    "a shirt with green in it": (Set(shirt=(0.3, 0.42, 0.28)), 0.058),
    "a blue screen": (Set(colour=BLUE, hair="blond"), 0.05),
}


@pytest.mark.parametrize("name", SETS)
def test_loose_hair_and_a_moving_arm_are_keyed(name: str) -> None:
    """Bounds on the mean error within four pixels of the edge, a tenth above what is reached."""
    of, most = SETS[name]
    shot = drawn_key(of)
    alpha = found(shot, "blue" if of.colour == BLUE else "green")
    disc = np.ones((9, 9), np.uint8)
    most_of, least_of = cv2.dilate(shot.alpha, disc), cv2.erode(shot.alpha, disc)
    off = np.abs(alpha - shot.alpha)
    assert off[(most_of > 0.01) & (least_of < 0.99)].mean() < most
    assert (alpha[least_of >= 1] == 1).mean() > 0.94 and (alpha[most_of <= 0] == 0).mean() > 0.99


def test_smoke_stays_as_thin_as_it_is() -> None:
    shot = drawn_key(Set(smoke=0.6))
    alpha = found(shot)
    puff = (slice(40, 180), slice(0, 90))
    there = shot.alpha[puff] > 0.15
    slope, _ = np.polyfit(shot.alpha[puff][there], alpha[puff][there], 1)
    assert 0.85 < slope < 1.15
    assert np.abs(alpha - shot.alpha)[puff][there].mean() < 0.06


def test_clothes_with_green_in_them_are_solid_unless_asked_otherwise() -> None:
    shot = drawn_key(Set(shirt=(0.3, 0.42, 0.28)))
    chest = (slice(200, 235), slice(140, 180))
    assert found(shot)[chest].mean() > 0.995
    assert found(shot, limits=Limits(core=1.0))[chest].mean() < 0.95


def test_dense_hair_is_no_core() -> None:
    """Three pixels of hair for each of the screen, over a wide place: more foreground than ``core``, and no cloth."""
    truth = np.zeros((240, 320), np.float32)
    truth[80:180, 100:220] = np.arange(120) % 4 > 0
    brown, green = np.array([0.35, 0.22, 0.12], np.float32), np.array([0.1, 0.6, 0.2], np.float32)
    picture = np.where(truth[..., None] > 0, brown, green)
    assert np.abs(keyed(picture, green) - truth)[90:170, 110:210].mean() < 0.05


def test_limits_clip_and_leave_the_middle() -> None:
    shot = drawn_key(Set(subsampled=False, grain=0.0))
    usual, hard = found(shot), found(shot, limits=Limits(black=0.2, white=0.8))
    assert (hard[usual < 0.15] == 0).mean() > 0.999 and (hard[usual > 0.85] == 1).mean() > 0.999
    middle = (usual > 0.42) & (usual < 0.58)
    assert np.median(np.abs(hard - usual)[middle]) < 0.03


def test_the_matte_is_as_steady_as_the_foreground() -> None:
    """Over frames with new grain, on a screen that the person hides in turn."""
    shots = [drawn_key(Set(), time=time) for time in range(5)]
    scene = Scene(*(np.stack([getattr(s, name) for s in shots]) for name in ("plate", "alpha", "screen")))
    stored = joined(MatteCase(SPEC, scene).find())
    unsteady, true = (np.abs(np.diff(a, 2, axis=0)).mean() for a in (stored["alpha"], scene.matte))
    assert unsteady < 1.3 * true
    assert np.abs(np.diff(stored["behind"].astype(np.float32), axis=0)).max() < 0.01


def test_a_grey_is_no_screen() -> None:
    case = MatteCase(SPEC, drawn_person(count=1), settings={"screen": "picked", "screen_colour": "#808080"})
    with pytest.raises(ShotError, match="greys") as refused:
        case.find()
    assert refused.value.where == "recipe.settings.matte.screen_colour"
