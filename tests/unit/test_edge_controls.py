"""An edge moved and softened by hand, and a screen's light taken off: where they act, and where nothing may."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from anyportal_core.media.encoding import LINEAR, SRGB, Encoding, from_linear
from anyportal_core.method.despill import Own, despill
from anyportal_core.method.edges import continued, refined, shifted, softened
from anyportal_core.method.matting import estimate_foreground
from anyportal_core.method.screens import excess
from anyportal_core.ops import ImageOps, opencv
from anyportal_core.recipe import FINISH
from anyportal_core.settings import Settings
from anyportal_core.stages.edges import Edges
from anyportal_core.testing.screens import Set, drawn_key

OPS = cast(ImageOps, opencv)
HEIGHT, WIDTH = 120, 160


def edges(encoding: Encoding = SRGB, **asked: object) -> Edges:
    return Edges(Settings.check(FINISH, asked, "finish"), encoding, OPS)


def ramp(at: float, soft: float = 6.0) -> np.ndarray:
    """Foreground left of ``at``, with an edge ``soft`` pixels wide."""
    x = np.arange(WIDTH, dtype=np.float32)
    return np.broadcast_to(np.clip((at - x) / soft + 0.5, 0, 1), (HEIGHT, WIDTH)).astype(np.float32)


def place(alpha: np.ndarray) -> float:
    """Where the edge of the middle row is, to a part of a pixel."""
    return float(alpha[HEIGHT // 2].sum())


@pytest.mark.parametrize("pixels", [-7.0, -1.0, -0.4, 0.25, 1.0, 2.6, 9.5])
def test_an_edge_moves_by_parts_of_a_pixel_and_keeps_its_profile(pixels: float) -> None:
    alpha = ramp(80)
    moved = shifted(alpha, pixels, OPS)
    assert place(moved) - place(alpha) == pytest.approx(pixels, abs=0.01)
    assert np.abs(moved - ramp(80 + pixels)).max() < 0.05
    assert (moved[:, :60] == 1).all() and (moved[:, 100:] == 0).all()


def test_a_softened_edge_stays_in_place_and_leaves_the_rest() -> None:
    alpha = ramp(80, 1.0)
    soft = softened(alpha, 3.0, OPS)
    assert place(soft) == pytest.approx(place(alpha), abs=0.01)
    assert np.ptp(np.flatnonzero((soft[60] > 0.1) & (soft[60] < 0.9))) >= 6
    assert (soft[:, :60] == 1).all() and (soft[:, 100:] == 0).all()


def test_both_together_reach_as_far_as_they_have_to() -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[50:70, 60:100] = 1
    whole = softened(shifted(alpha, 6.5, OPS), 4.0, OPS)
    np.testing.assert_allclose(refined(alpha, 6.5, 4.0, OPS), whole, atol=2e-3)
    assert not refined(0 * alpha, 6.5, 4.0, OPS).any()


def test_nothing_asked_is_nothing_done() -> None:
    alpha, colours = ramp(80), np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    untouched = edges()
    assert untouched.moved(7, alpha) is alpha
    assert untouched.continued(colours, alpha, alpha) is colours


def test_a_table_of_frames_is_followed() -> None:
    keyed = edges(edge_shift={1: 0.0, 11: 5.0})
    before, half, after = (place(keyed.moved(number, ramp(80))) for number in (1, 6, 11))
    assert before == pytest.approx(80.5, abs=0.01)
    assert half - before == pytest.approx(0.025 * HEIGHT, abs=0.05) and after - before == pytest.approx(0.05 * HEIGHT)


def test_a_grown_edge_shows_the_foregrounds_colours() -> None:
    """Not black, nor what was beside it; and what was there keeps its bits."""
    before = ramp(80)
    red = np.where(before[..., None] > 0, np.float32([0.8, 0.2, 0.1]), np.float32(0))
    after = shifted(before, 8.0, OPS)
    found = continued(red, before, after, OPS)
    assert found[before > 0].tobytes() == red[before > 0].tobytes()
    np.testing.assert_allclose(found[after > 0], np.broadcast_to([0.8, 0.2, 0.1], found[after > 0].shape), atol=0.01)


NONE = Own(np.float32(0), np.float32(0))
GREEN = np.array([0.1, 0.6, 0.2], np.float32)


def test_spill_comes_off_and_what_has_none_is_left_alone() -> None:
    """Skin in green light, far above 1 as well; grey hair; a red coat; a half strength."""
    pixels = np.array([[0.5, 0.7, 0.4], [5.0, 7.0, 4.0], [0.4, 0.5, 0.4], [0.8, 0.1, 0.1]], np.float32)
    clean, half = despill(pixels, 1, NONE, 1.0), despill(pixels, 1, NONE, 0.5)
    assert excess(clean, 1)[:3] == pytest.approx(0, abs=1e-6), "no green is left, and none is lacking"
    assert clean[0] == pytest.approx([0.557, 0.557, 0.457], abs=1e-3) and clean[1] == pytest.approx(10 * clean[0])
    assert np.ptp(clean[2]) < 1e-6, "grey hair is grey"
    assert clean[3].tobytes() == pixels[3].tobytes()
    assert half == pytest.approx((pixels + clean) / 2)


def test_what_is_green_deep_within_is_spared_unless_it_is_asked_for() -> None:
    """An olive coat in a screen's light: green stays in its middle, and comes off at its edge as far as it is added."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    alpha = np.clip((50 - np.hypot(x - WIDTH / 2, y - HEIGHT / 2)) / 2 + 0.5, 0, 1).astype(np.float32)
    olive = np.broadcast_to(np.float32([0.30, 0.36, 0.25]), (HEIGHT, WIDTH, 3))
    rim = opencv.gaussian(1 - alpha, 1.5)[..., None]
    lit = np.asarray(olive + rim * np.float32([0.05, 0.4, 0.1]), np.float32)
    made, all_off = lit.copy(), lit.copy()
    edges().despill(1, made, alpha, GREEN)
    edges(despill=2).despill(1, all_off, alpha, GREEN)
    middle, edge = np.hypot(x - WIDTH / 2, y - HEIGHT / 2) < 40, (alpha > 0.5) & (alpha < 1)
    assert made[middle].tobytes() == lit[middle].tobytes()
    left, was, own = (excess(colours, 1)[edge].mean() for colours in (made, lit, olive))
    assert was > 3 * own and own < left < 2 * own
    assert np.abs(excess(all_off, 1)[middle]).max() < 1e-3


@pytest.mark.parametrize("hair", ["grey", "dark"])
def test_hair_before_a_screen_takes_its_own_colour(hair: str) -> None:
    """By the true matte: what is left of the screen's colour is nearly nothing, and it does not turn to magenta."""
    shot = drawn_key(Set(hair=hair))
    found = estimate_foreground(shot.plate, shot.alpha, OPS)
    clean = found.copy()
    edges().despill(1, clean, shot.alpha, GREEN)
    strands = (shot.alpha > 0.2) & (shot.alpha < 1)
    strands[140:] = False
    before, after, true = (excess(colours, 1)[strands].mean() for colours in (found, clean, shot.foreground))
    assert before - true > 0.02 and abs(after - true) < 0.4 * (before - true)
    assert after > true - 0.01


@pytest.mark.parametrize("encoding", [SRGB, LINEAR, Encoding("pq", "bt2020")])
def test_a_screens_light_comes_off_in_light(encoding: Encoding) -> None:
    """Of any encoding alike; reds, blues and greys keep their bits, and 0 leaves all alone."""
    light = np.random.default_rng(0).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    given, screen = from_linear(light, encoding), np.array([0.1, 0.6, 0.2], np.float32)
    clean, half, none = (given.copy() for _ in range(3))
    alpha = np.ones((HEIGHT, WIDTH), np.float32)
    edges(encoding, despill=2).despill(1, clean, alpha, screen)
    edges(encoding, despill=0.5).despill(1, half, alpha, screen)
    edges(encoding, despill=0).despill(1, none, alpha, screen)
    green = given[..., 1] > np.maximum(given[..., 0], given[..., 2])
    assert none.tobytes() == given.tobytes() and clean[~green].tobytes() == given[~green].tobytes()
    over = (clean[..., 1] - np.maximum(clean[..., 0], clean[..., 2]))[green]
    assert np.abs(over).max() < 1e-3
    off = [(given - made)[green][:, 1] for made in (half, clean)]
    assert (off[0] >= 0).all() and off[0].mean() > 0 and (off[1] > off[0]).all()


def test_a_grey_screen_spills_nothing() -> None:
    given = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    made = given.copy()
    edges().despill(1, made, np.ones((8, 8), np.float32), np.full(3, 0.5, np.float32))
    assert made.tobytes() == given.tobytes()
