"""The light of a new place: estimates from pictures, and the gain they become."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.evaluation.baselines import composite
from anyportal_core.evaluation.truth import Truth, bounds, closed, difference
from anyportal_core.frames import ArraySource, Image
from anyportal_core.method.illuminant import LUMA
from anyportal_core.method.srgb import to_display, to_light
from anyportal_core.plugins.draft.scene.harmonise import Light
from anyportal_core.plugins.draft.scene.specs import SCENE
from anyportal_core.roles import RoleContext
from anyportal_core.settings import Settings

SPEC = next(spec for spec in SCENE if spec.name == "draft.light")
HEIGHT, WIDTH = 48, 72


def disc(x: float = 36, y: float = 26, radius: float = 14) -> Image:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return np.clip(radius - np.hypot(columns - x, rows - y) + 0.5, 0, 1)[..., None]


def grey(level: float, colour: tuple[float, float, float] = (1, 1, 1), seed: int = 0, variety: float = 0.4) -> Image:
    """A place of mixed surfaces under one light, display-referred."""
    surfaces = np.random.default_rng(seed).uniform(1 - variety, 1 + variety, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return to_display(level * surfaces * np.float32(colour))


def relight(
    plate: Image, matte: Image, background: Image, count: int = 3, whole: Image | None = None, **values: object
) -> np.ndarray:
    """The gain of a shot of equal frames; inputs may also be ``(T, H, W, C)``."""
    sources = [ArraySource(x if x.ndim == 4 else np.stack([x] * count)) for x in (plate, matte, background)]
    settings = Settings.check(SPEC.settings, values, "harmonise")
    around = None if whole is None else ArraySource(np.stack([whole] * count))
    context = RoleContext(settings, np.random.default_rng, lambda: None, lambda text: None, surroundings=around)
    return np.concatenate([chunk["log_gain"] for chunk in Light().relight(*sources, context)])


def mean(gain: np.ndarray) -> np.ndarray:
    return gain.reshape(-1, 3).mean(0)


PLATE = grey(0.2)


def test_the_same_light_asks_for_no_change() -> None:
    gain = relight(PLATE, disc(), grey(0.2 * np.exp(0.25 * 0.25), seed=4))
    assert np.abs(gain).max() < 0.25
    assert np.abs(mean(gain)).max() < 0.12


def test_exposure_follows_the_background_within_limits() -> None:
    levels = [0.01, 0.05, 0.1, 0.2, 0.4, 0.9]
    rises = [float(mean(relight(grey(0.1), disc(), grey(level, variety=1))) @ LUMA) for level in levels]
    assert all(a < b for a, b in itertools.pairwise(rises))
    assert -3.0 <= rises[0] < -0.8
    assert 0.6 < rises[-1] <= 3.0


def test_a_dark_subject_is_not_killed_and_a_light_one_not_burnt() -> None:
    dark = PLATE * (1 - disc()) + grey(0.025) * disc()
    assert float(mean(relight(dark, disc(), grey(0.002))) @ LUMA) > -0.6
    light = PLATE * (1 - disc()) + grey(0.55) * disc()
    assert float(mean(relight(light, disc(), grey(0.95))) @ LUMA) < 0.3


def test_warm_surroundings_warm_the_subject() -> None:
    red, _, blue = mean(relight(PLATE, disc(), grey(0.2, (1.4, 0.95, 0.5))))
    assert red - blue > 0.4


def test_a_cast_that_subject_and_old_place_share_is_taken_off() -> None:
    warm = (1.4, 0.95, 0.5)
    shared = mean(relight(grey(0.2, warm), disc(), grey(0.2)))
    own = mean(relight(grey(0.2, warm) * (1 - disc()) + grey(0.2) * disc(), disc(), grey(0.2)))
    assert shared[2] - shared[0] > 0.3
    assert 0 <= own[2] - own[0] < 0.6 * (shared[2] - shared[0])


def test_a_blue_wall_tints_far_less_than_an_amber_light() -> None:
    blue = mean(relight(PLATE, disc(), grey(0.2, (0.3, 0.7, 1.6))))
    amber = mean(relight(PLATE, disc(), grey(0.2, (1.6, 0.7, 0.3))))
    assert 0.1 < blue[2] - blue[0] < 0.6 * (amber[0] - amber[2])


def test_a_background_of_many_colours_has_no_cast() -> None:
    half = np.where(np.arange(WIDTH)[None, :, None] < WIDTH / 2, grey(0.2, (2, 0.6, 0.3)), grey(0.2, (0.3, 0.6, 2)))
    gain = mean(relight(PLATE, disc(), half.astype(np.float32), direction=0))
    assert abs(gain[0] - gain[2]) < 0.2


@pytest.mark.parametrize("side", ["left", "right"])
def test_light_from_one_side_differs_by_a_third_across_the_subject(side: str) -> None:
    fall = np.linspace(1, 0, WIDTH, dtype=np.float32)[None, :, None] ** 2
    lit = to_display(0.02 + 0.6 * (fall if side == "left" else fall[:, ::-1]) * np.ones((HEIGHT, 1, 3), np.float32))
    gain = relight(PLATE, disc(), lit)[0]
    gain = cv2.resize(gain, (WIDTH, HEIGHT)) @ LUMA
    left, right = gain[20:32, 24:28].mean(), gain[20:32, 44:48].mean()
    ratio = np.exp(left - right) if side == "left" else np.exp(right - left)
    assert 1.3 <= ratio < 4
    flat = relight(PLATE, disc(), lit, direction=0)[0]
    np.testing.assert_allclose(flat, np.broadcast_to(flat[0, 0], flat.shape), atol=1e-6)


def test_what_the_framing_cuts_off_gives_its_light_too() -> None:
    shown = grey(0.1)
    window = np.concatenate([np.ones((HEIGHT, WIDTH // 2, 3), np.float32), shown], axis=1)
    plain, lit = (relight(PLATE, disc(), shown, whole=whole)[0] @ LUMA for whole in (None, window))
    assert lit.mean() - plain.mean() > 0.3
    assert np.ptp(lit) > 0.3 > 2 * np.ptp(plain)


def test_the_gain_is_smooth_and_small() -> None:
    busy = np.random.default_rng(2).uniform(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32)
    gain = relight(busy[::-1], disc(), busy)
    assert gain.dtype == np.float32
    assert max(gain.shape[1:3]) <= 96
    assert np.abs(np.diff(gain, axis=1)).max() < 0.1
    assert np.abs(np.diff(gain, axis=2)).max() < 0.1


def test_the_artist_has_the_last_word() -> None:
    plain = relight(PLATE, disc(), grey(0.1))
    brighter = relight(PLATE, disc(), grey(0.1), exposure=1)
    np.testing.assert_allclose(brighter - plain, np.log(2), atol=1e-5)
    warmer = relight(PLATE, disc(), grey(0.1), warmth=1) - plain
    assert warmer[..., 0].min() > 0 > warmer[..., 2].max()
    animated = relight(PLATE, disc(), grey(0.1), exposure={"0": 0, "2": 2}) - plain
    np.testing.assert_allclose(animated[:, 0, 0, 1] / np.log(2), [0, 1, 2], atol=1e-5)
    uncoloured = mean(relight(PLATE, disc(), grey(0.2, (1.4, 0.95, 0.5)), colour=0, direction=0))
    np.testing.assert_allclose(uncoloured, uncoloured[0], atol=1e-6)


@pytest.mark.parametrize(("angle", "lighter"), [(90, "right"), (-90, "left"), (0, "top"), (180, "bottom")])
def test_the_artist_sets_a_key_light(angle: float, lighter: str) -> None:
    plain = relight(PLATE, disc(), grey(0.1), direction=0)
    keyed = cv2.resize(
        (relight(PLATE, disc(), grey(0.1), direction=0, key=2, key_angle=angle) - plain)[0], (WIDTH, HEIGHT)
    )
    parts = {"left": keyed[26, 24], "right": keyed[26, 47], "top": keyed[14, 36], "bottom": keyed[37, 36]}
    assert max(parts, key=lambda name: float(parts[name].sum())) == lighter
    assert (
        1.2
        < (max(float(x @ LUMA) for x in parts.values()) - min(float(x @ LUMA) for x in parts.values())) / np.log(2)
        <= 2
    )


def test_a_rim_lights_all_edges_and_not_the_middle() -> None:
    plain = relight(PLATE, disc(), grey(0.1), direction=0)
    rim = cv2.resize((relight(PLATE, disc(), grey(0.1), direction=0, rim=2) - plain)[0], (WIDTH, HEIGHT)) @ LUMA
    edges = [rim[26, 24], rim[26, 48], rim[14, 36], rim[38, 36]]
    assert abs(rim[26, 36]) < 0.1
    assert np.log(2) < min(edges) <= max(edges) <= 2 * np.log(2) + 1e-6


def test_a_subject_that_was_lit_from_one_side_is_lit_from_the_other() -> None:
    """The old light's side is taken back, as far as the subject itself shows it."""
    shade = np.linspace(0.3, 1.7, WIDTH, dtype=np.float32)[None, :, None]
    lit = to_display(0.15 * shade * np.ones((HEIGHT, 1, 3), np.float32)) * disc() + PLATE * (1 - disc())
    there = grey(0.1, (1.1, 1, 0.9), seed=5)
    left, right = (cv2.resize(relight(lit, disc(), there)[0], (WIDTH, HEIGHT))[26, x] @ LUMA for x in (25, 46))
    assert right < left - 0.1


def test_a_flash_in_one_frame_does_not_become_a_flash_of_the_gain() -> None:
    count = 40
    background = np.stack([grey(0.1)] * count)
    background[21] = grey(0.9)
    gain = relight(PLATE, disc(), background, count=count, direction=0)[:, 0, 0, 1]
    assert np.abs(np.diff(gain)).max() < 0.02


def test_light_that_changes_for_good_is_followed() -> None:
    count = 160
    background = np.stack([grey(0.1)] * 80 + [grey(0.4)] * 80)
    gain = relight(PLATE, disc(), background, count=count)[:, 0, 0, 1]
    steady = relight(PLATE, disc(), grey(0.4))[0, 0, 0, 1]
    assert gain[0] < steady - 0.5
    assert gain[-1] == pytest.approx(steady, abs=0.1)


EXTREMES = {
    "no foreground": (PLATE, 0 * disc(), grey(0.2)),
    "only foreground": (PLATE, 0 * disc() + 1, grey(0.2)),
    "black plate": (0 * PLATE, disc(), grey(0.2)),
    "black background": (PLATE, disc(), 0 * PLATE),
    "all black": (0 * PLATE, disc(), 0 * PLATE),
    "white plate": (0 * PLATE + 1, disc(), grey(0.2)),
    "a speck": (PLATE, disc(radius=0.4), grey(0.2)),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_give_a_finite_and_bounded_gain(name: str) -> None:
    gain = relight(*EXTREMES[name])
    assert np.isfinite(gain).all()
    assert np.abs(gain).max() < 3


def test_without_a_foreground_nothing_is_relit() -> None:
    np.testing.assert_array_equal(relight(PLATE, 0 * disc(), grey(0.9)), 0)


def test_a_foreground_of_a_single_frame_is_relit() -> None:
    matte = np.stack([0 * disc()] * 7)
    matte[4] = disc()
    gain = relight(PLATE, matte, grey(0.05), count=7)[4]
    assert (gain < -0.3).all()


def test_frames_without_a_foreground_take_the_light_of_their_neighbours() -> None:
    matte = np.stack([disc()] * 7)
    matte[3:] = 0
    gain = relight(PLATE, matte, grey(0.05), count=7, direction=0)
    np.testing.assert_allclose(gain[5], gain[0], atol=5e-3)


def _rendered(scene: Path, name: str) -> Image:
    """A rendered sequence at half its size, every third frame, display-referred; mattes as they are."""
    frames = []
    for file in sorted((scene / name).iterdir())[::3]:
        image = oiio.ImageBuf(str(file)).get_pixels(oiio.FLOAT)
        if file.suffix == ".exr":
            image = to_display(image[..., :3].clip(0, 1))
        small = cv2.resize(image, (216, 144), interpolation=cv2.INTER_AREA)
        frames.append(small.reshape(144, 216, -1).astype(np.float32))
    return np.stack(frames)


@pytest.mark.parametrize("name", ["scene2", "scene3"])
def test_rendered_truth(shared: Path, name: str) -> None:
    """Most of the way from the naive composite to the best smooth gain is gone."""
    scene = shared / "data" / "relight_truth" / name
    if not scene.is_dir():
        pytest.skip(f"the rendered scene {name} is not here")
    source, target, backdrop, matte = (_rendered(scene, part) for part in ("source", "target", "backdrop", "matte"))
    gains = relight(source, matte, backdrop)
    rows = []
    for index, gain in enumerate(gains):
        light = [np.asarray(to_light(x[index]), np.float32) for x in (source, target, backdrop)]
        truth = Truth(*light, matte[index, ..., 0])
        made = composite(truth.source, truth.matte, truth.backdrop, cv2.resize(gain, (216, 144)))
        rows.append([*bounds(truth), difference(truth, made)])
    assert closed(*np.mean(rows, axis=0)) > 0.62
