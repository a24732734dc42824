"""An edge moved and softened by hand, and a screen's light taken off: where they act, and where nothing may."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from anyportal_core.media.encoding import LINEAR, SRGB, Encoding, from_linear
from anyportal_core.method.edges import continued, refined, shifted, softened
from anyportal_core.ops import ImageOps, opencv
from anyportal_core.recipe import FINISH
from anyportal_core.settings import Settings
from anyportal_core.stages.edges import Edges

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


@pytest.mark.parametrize("encoding", [SRGB, LINEAR, Encoding("pq", "bt2020")])
def test_a_screens_light_comes_off_in_light(encoding: Encoding) -> None:
    """Of any encoding alike; reds, blues and greys keep their bits, and 0 leaves all alone."""
    light = np.random.default_rng(0).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    given, screen = from_linear(light, encoding), np.array([0.1, 0.6, 0.2], np.float32)
    clean, half, none = (given.copy() for _ in range(3))
    edges(encoding).despill(1, clean, screen)
    edges(encoding, despill=0.5).despill(1, half, screen)
    edges(encoding, despill=0).despill(1, none, screen)
    green = given[..., 1] > np.maximum(given[..., 0], given[..., 2])
    assert none.tobytes() == given.tobytes() and clean[~green].tobytes() == given[~green].tobytes()
    over = (clean[..., 1] - np.maximum(clean[..., 0], clean[..., 2]))[green]
    assert np.abs(over).max() < 1e-3
    off = [(given - made)[green][:, 1] for made in (half, clean)]
    assert (off[0] > 0).all() and (off[1] > off[0]).all()


def test_a_grey_screen_spills_nothing() -> None:
    given = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    made = given.copy()
    edges().despill(1, made, np.full(3, 0.5, np.float32))
    assert made.tobytes() == given.tobytes()
