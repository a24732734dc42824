"""The veil over a picture: found where nothing is black that ought to be, not believed where it may be otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from anyportal_core.frames import ArraySource, Image
from anyportal_core.method.srgb import to_display
from anyportal_core.method.veil import anchored, new_veil, old_veil, through_veil
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.draft.scene.harmonise import Light
from anyportal_core.plugins.draft.scene.specs import SCENE
from anyportal_core.roles import RoleContext
from anyportal_core.settings import Settings

SPEC = next(spec for spec in SCENE if spec.name == "draft.light")
HEIGHT, WIDTH, COUNT = 96, 144, 16
HAZE = np.float32([0.05, 0.055, 0.05])


def scene(seed: int, level: float = 0.2) -> Image:
    """Surfaces of all shades, black ones too, in linear light."""
    shades = np.random.default_rng(seed).uniform(0, 1, (HEIGHT // 4, WIDTH // 4, 1)).astype(np.float32)
    large = ops.resize(np.repeat(shades, 3, -1), HEIGHT, WIDTH, "linear")
    return np.asarray(3 * level * large**2, np.float32)


def cover() -> Image:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return np.clip(30 - np.hypot(columns - 72, rows - 52) + 0.5, 0, 1)


def found(
    plate: Image, background: Image, count: int = COUNT, screened: bool = False, **values: object
) -> tuple[np.ndarray, np.ndarray]:
    """``log_gain`` and ``veil`` of a shot, from linear light; of one frame, or of each."""
    every = [x if x.ndim == 4 else np.stack([x] * count) for x in (plate, background)]
    shown = [ArraySource(np.asarray(to_display(np.clip(x, 0, 1)), np.float32)) for x in every]
    matte = ArraySource(np.stack([cover()[..., None]] * count))
    settings = Settings.check(SPEC.settings, values, "")
    context = RoleContext(settings, np.random.default_rng, lambda: None, print, screened=screened)
    made = list(Light().relight(shown[0], matte, shown[1], context))
    gain, veil = (np.concatenate([chunk[name] for chunk in made]) for name in ("log_gain", "veil"))
    return gain, veil


def test_a_veil_over_a_plate_is_found_and_never_more_of_it() -> None:
    veil = old_veil(scene(1) + HAZE, cover())
    assert veil is not None
    assert (veil > 0.5 * HAZE).all() and (veil < 1.1 * HAZE).all()


@pytest.mark.parametrize("black", ["everywhere", "behind", "in front"])
def test_where_anything_is_black_there_is_no_veil(black: str) -> None:
    clear, hazy, front = scene(1), scene(1) + HAZE, cover()[..., None] > 0
    light = {"everywhere": clear, "behind": np.where(front, hazy, clear), "in front": np.where(front, clear, hazy)}
    veil = old_veil(light[black], cover())
    assert veil is not None and not veil.any()


def test_what_has_nothing_dark_tells_of_no_veil() -> None:
    white = (0.3 + 0.2 * scene(2)).astype(np.float32)
    assert not np.any(old_veil(white, cover()))
    assert not new_veil(white, ops).any()
    wall = np.full((HEIGHT, WIDTH, 3), 0.1, np.float32)
    wall[:, :8] = 0.025
    assert not new_veil(wall, ops).any(), "a wall with a dark corner was taken for fog"


def test_too_little_of_a_foreground_or_of_its_surroundings_tells_nothing() -> None:
    hazy = scene(1) + HAZE
    assert old_veil(hazy, np.zeros((HEIGHT, WIDTH), np.float32)) is None
    assert old_veil(hazy, np.ones((HEIGHT, WIDTH), np.float32)) is None


def test_a_coloured_place_is_no_coloured_veil() -> None:
    fog = new_veil(scene(3) + np.float32([0.3, 0.06, 0.06]), ops)
    assert fog.max() <= 1.5 * fog.min() + 1e-9


def test_through_a_veil_nothing_gets_below_zero_and_highlights_stay() -> None:
    light = np.float32([[[40.0, 0.5, 0.01], [-0.05, 0.0, 1e-6]]])
    made = through_veil(light, np.full_like(light, np.log(0.5)), np.full(3, 0.03), np.zeros(3))
    np.testing.assert_allclose(made[0, 0, :2], [0.5 * (40 - 0.03), 0.5 * (0.5 - 0.03)], rtol=5e-3)
    assert made[0, 0, 2] > 0 and made[0, 1, 2] > 0
    np.testing.assert_allclose(made[0, 1, :2], [-0.025, 0.0])
    ramp = np.linspace(0, 1, 300, dtype=np.float32)[None, :, None] * np.ones(3, np.float32)
    bent = through_veil(ramp, np.zeros_like(ramp), np.full(3, 0.03), np.full(3, 0.01))
    assert (np.diff(bent[0, :, 0]) > 0).all(), "two shades became one"


def test_the_middle_of_the_foreground_keeps_its_exposure() -> None:
    old, new, gain = np.full(3, 0.03), np.full(3, 0.01), 0.5
    made = (0.1 - 0.03) * gain * np.exp(anchored(old, new, 0.1, gain)) + 0.01
    assert made == pytest.approx(0.1 * gain)


def test_without_a_veil_the_light_is_what_it_is_without_the_setting() -> None:
    (gain, veil), (off, none) = (found(scene(1), scene(4, 0.1), haze=haze) for haze in (1, 0))
    assert not veil.any() and not none.any()
    assert gain.tobytes() == off.tobytes()


def test_the_plates_veil_and_the_places_go_by_the_setting() -> None:
    plate, fog = scene(1) + HAZE, scene(4, 0.1) + 0.04
    full, half, off = (found(plate, fog, haze=haze) for haze in (1, 0.5, 0))
    assert (full[1][:, 0] > 0.5 * HAZE).all() and (full[1][:, 1] > 0.02).all()
    np.testing.assert_allclose(half[1], full[1] / 2, rtol=1e-6)
    assert not off[1].any()
    animated = found(plate, fog, haze={"0": 0, "15": 1})[1]
    assert not animated[0].any() and animated[-1].any()


def test_off_a_keyed_plate_no_veil_is_taken_and_the_places_is_laid_on() -> None:
    front, grey = scene(1) + HAZE, np.float32(0.3)
    keyed = np.where(cover()[..., None] > 0, front, grey)
    fog = scene(4, 0.1) + np.float32(0.04)
    believed, veil = (found(keyed, fog, screened=screened)[1] for screened in (False, True))
    assert believed[:, 0].any()
    assert not veil[:, 0].any() and (veil[:, 1] > 0.02).all()


def test_a_veil_that_goes_is_followed_smoothly() -> None:
    share = np.clip((10 - np.arange(COUNT)) / 4, 0, 1).astype(np.float32)[:, None, None, None]
    noise = np.random.default_rng(5).normal(0, 0.001, (COUNT, HEIGHT, WIDTH, 3)).astype(np.float32)
    veil = found(scene(1) + share * HAZE + noise, scene(4, 0.1))[1][:, 0, 1]
    assert veil[0] > 0.5 * HAZE[1] and veil[-1] < 0.2 * HAZE[1]
    assert np.abs(np.diff(veil)).max() < 0.2 * HAZE[1]
