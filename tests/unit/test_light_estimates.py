"""Normals from a matte, what a picture tells of its light, and the change of light between two places."""

from __future__ import annotations

import numpy as np
import pytest

from anyportal_core.method.illuminant import (
    FLOOR,
    LUMA,
    Subject,
    Surroundings,
    from_opponent,
    opponent,
    subject,
    surroundings,
)
from anyportal_core.method.irradiance import change, gain, held
from anyportal_core.method.normals import cushion
from anyportal_core.ops import opencv as ops

HEIGHT, WIDTH = 48, 72
EVERYWHERE = np.ones((HEIGHT, WIDTH), np.float32)


def disc(radius: float = 14) -> np.ndarray:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return np.clip(radius - np.hypot(columns - 36, rows - 24) + 0.5, 0, 1)


def test_a_cushion_faces_outwards_at_its_edge_and_the_camera_in_its_middle() -> None:
    across, below = cushion(disc(), ops)
    assert across[24, 24] < -0.7 and across[24, 48] > 0.7
    assert below[12, 36] < -0.7 and below[36, 36] > 0.7
    assert abs(across[24, 36]) < 0.05 and abs(below[24, 36]) < 0.05
    assert np.hypot(across, below).max() <= 1 + 1e-5


def test_a_cushion_is_symmetric() -> None:
    across, _ = cushion(disc()[:, 1:72], ops)
    np.testing.assert_allclose(across, -across[:, ::-1], atol=1e-4)


@pytest.mark.parametrize(
    "matte", [np.zeros((9, 16), np.float32), np.ones((9, 16), np.float32), np.ones((1, 16), np.float32)]
)
def test_a_matte_without_an_edge_has_a_cushion_all_the_same(matte: np.ndarray) -> None:
    for plane in cushion(matte, ops):
        assert plane.shape == matte.shape
        assert np.isfinite(plane).all()


def test_opponent_colours_lead_back() -> None:
    log = np.random.default_rng(0).normal(0, 1, (5, 3))
    np.testing.assert_allclose(from_opponent(opponent(log)), log, atol=1e-12)
    np.testing.assert_allclose(opponent(np.array([1.0, 1, 1])), [1, 0, 0], atol=1e-12)


def test_a_place_is_told_by_its_mean_light() -> None:
    light = np.full((HEIGHT, WIDTH, 3), 0.25, np.float32) * np.float32([2, 1, 0.5])
    found = surroundings(light, EVERYWHERE)
    assert found is not None
    assert found.level == pytest.approx(np.log(0.25 * (LUMA @ [2, 1, 0.5]) + FLOOR), abs=1e-6)
    assert found.evenly == pytest.approx(found.level)
    assert found.amber == pytest.approx(np.log(2), abs=0.02)
    np.testing.assert_allclose([found.side, found.lamps], 0, atol=1e-6)
    assert surroundings(light, 0 * EVERYWHERE) is None


def test_the_side_of_the_light_is_found() -> None:
    light = np.full((HEIGHT, WIDTH, 3), 0.1, np.float32)
    light[:, WIDTH // 2 :] = 0.4
    found = surroundings(light, EVERYWHERE)
    assert found is not None and found.side == pytest.approx(np.log(4), abs=0.05) and found.lamps > 0.2
    light[:, WIDTH // 2 :] = 0.1
    light[10:14, :4] = 1.0  # a small lamp that a mean hardly knows
    found = surroundings(light, EVERYWHERE)
    assert found is not None and found.lamps < -0.1


def test_a_subject_tells_which_side_it_was_lit_from() -> None:
    across, _ = cushion(disc(), ops)
    light = (0.2 * np.exp(0.5 * across))[..., None] * np.ones(3, np.float32)
    found = subject(light.astype(np.float32), disc(), across)
    assert found is not None and found.side == pytest.approx(0.5, abs=0.1)
    assert subject(light, 0 * disc(), across) is None


OLD = Surroundings(-1.8, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
FRONT = Subject(-1.8, -1.0, 0.16, -0.25, 0.0)


def test_places_that_look_alike_change_nothing() -> None:
    found = change(OLD, FRONT, OLD, OLD.level)
    np.testing.assert_array_equal(found.even, 0)
    np.testing.assert_array_equal(found.side, 0)


def test_the_darker_the_place_the_more_its_colour_is_that_of_light() -> None:
    """A yellow wall by day tints far less than a lamp at night."""
    lamp, wall = (change(OLD, FRONT, OLD._replace(level=x, evenly=x, amber=0.8), x) for x in (-3.0, -0.9))
    assert lamp.even[1] > 2 * max(wall.even[1], 0.1)


def test_a_cold_wall_tints_less_than_a_warm_lamp() -> None:
    warm, cold = (change(OLD, FRONT, OLD._replace(level=-2.5, amber=x), -2.5).even[1] for x in (0.9, -0.9))
    assert warm > 1.5 * -cold > 0


def test_what_is_bright_is_not_burnt_and_what_is_dark_not_killed() -> None:
    for level in (-3.0, -1.8, -0.5):
        old = OLD._replace(level=level, evenly=level)
        white = change(old, FRONT._replace(bright=-0.1), OLD._replace(level=-0.2, evenly=-0.2), -0.2)
        assert -0.4 < white.even[0] <= 0.2
    black = change(OLD, FRONT._replace(level=-4.0, bright=-3.0), OLD._replace(level=-5.0, evenly=-6.0), -5.0)
    assert -0.31 <= black.even[0] < 0


def test_a_foreground_lit_alone_before_a_dark_wall_is_not_lit_again() -> None:
    """A studio with a dark wall, or a black one: neither tells that there was less light on the foreground."""
    front, park = FRONT._replace(level=-1.6, bright=-0.6), OLD._replace(level=-1.5, evenly=-1.9)
    dark, black = (change(OLD._replace(level=x, evenly=x), front, park, -1.5).even[0] for x in (-3.7, -5.2))
    assert abs(dark - black) < 0.2
    assert max(dark, black) < 0


def test_a_plain_dark_wall_tells_less_of_the_dark_than_a_night() -> None:
    wall, night = (change(OLD, FRONT, OLD._replace(level=-4.0, evenly=x), -4.0).even[0] for x in (-4.0, -4.7))
    assert night < 1.5 * wall < 0


def test_white_walls_are_not_taken_for_light() -> None:
    old = OLD._replace(level=-1.2, evenly=-1.7)
    dull, grey, white, whiter = (
        change(old, FRONT, old._replace(level=x, evenly=x - 0.5), x).even[0] for x in (-2.2, -1.6, -0.7, -0.1)
    )
    assert 0 < whiter - white < 0.7 * (grey - dull)


def test_a_gain_follows_the_surface() -> None:
    across, below = cushion(disc(), ops)
    made = gain(np.array([0.5, 0, 0]), np.array([0.4, 0, 0]), np.zeros(3), np.zeros(3), across, below) @ LUMA
    assert made[24, 36] == pytest.approx(0.5, abs=0.03)
    assert made[24, 48] - made[24, 24] > 0.6


def test_held_is_odd_and_bounded() -> None:
    values = np.linspace(-50, 50, 101)
    np.testing.assert_allclose(held(values, 2.0), -held(-values, 2.0))
    assert np.abs(held(values, 2.0)).max() <= 2
    assert held(0.2, 2.0) == pytest.approx(0.2, abs=1e-3)
