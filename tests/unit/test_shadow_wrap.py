"""Contact shadow and light wrap: where they are, where they are exactly nothing, and how strong."""

from __future__ import annotations

import numpy as np
import pytest

from anyportal_core.method.shadow import contact_shadow
from anyportal_core.method.wide import wide_blur
from anyportal_core.method.wrap import wrap_light
from anyportal_core.ops import opencv as ops


def standing(height: int = 200, width: int = 300, bottom: int = 170) -> np.ndarray:
    """Somebody on two legs."""
    matte = np.zeros((height, width), np.float32)
    matte[60:120, 120:180] = 1
    matte[120:bottom, 122:140] = 1
    matte[120:bottom, 160:178] = 1
    return ops.gaussian(matte, 1.0)


@pytest.mark.parametrize("sigma", [2.0, 9.0, 40.0])
def test_a_wide_blur_is_the_blur(sigma: float) -> None:
    image = np.random.default_rng(0).random((240, 320, 3), np.float32)
    image[60:180, 100:220] += 2
    assert np.abs(wide_blur(image, sigma, ops) - ops.gaussian(image, sigma)).max() < 0.04


def test_the_shadow_lies_at_the_feet() -> None:
    shadow = contact_shadow(standing(), 1.0, 1.0, ops)
    assert shadow.shape == (200, 300)
    assert shadow.min() < 0.4
    row, column = np.unravel_index(shadow.argmin(), shadow.shape)
    assert 155 < row < 180
    assert 118 < column < 182
    assert (shadow[:60] > 0.99).all()
    assert (shadow[:, :60] > 0.99).all()
    assert shadow[166, 131] < shadow[166, 150]  # between the legs it is lighter


def test_its_strength_is_linear_and_none_at_0() -> None:
    full, half = (contact_shadow(standing(), strength, 1.0, ops) for strength in (1.0, 0.5))
    np.testing.assert_allclose(1 - half, (1 - full) / 2, atol=1e-6)
    assert (contact_shadow(standing(), 0.0, 1.0, ops) == 1).all()


def test_who_is_cut_off_by_the_frame_throws_none() -> None:
    assert (contact_shadow(standing(bottom=200), 1.0, 1.0, ops) == 1).all()
    assert (contact_shadow(np.zeros((20, 30), np.float32), 1.0, 1.0, ops) == 1).all()
    assert (contact_shadow(np.ones((1, 1), np.float32), 1.0, 1.0, ops) == 1).all()


def test_the_shadow_is_the_same_at_every_size() -> None:
    small = contact_shadow(standing(), 1.0, 1.0, ops)
    large = contact_shadow(ops.resize(standing(), 800, 1200, "linear"), 1.0, 1.0, ops)
    assert np.abs(ops.resize(large, 200, 300, "area") - small).max() < 0.05


def test_it_moves_as_the_foreground_moves() -> None:
    base = contact_shadow(standing(), 1.0, 1.0, ops)
    moved = contact_shadow(np.roll(standing(), 2, axis=1), 1.0, 1.0, ops)
    assert np.abs(np.roll(base, 2, axis=1) - moved).max() < 0.02


def test_light_wraps_round_the_edge_and_no_further() -> None:
    matte, background = standing(), np.full((200, 300, 3), 2.0, np.float32)
    wrap = wrap_light(background, matte, 0.5, 3.0, ops)
    assert wrap[90, 122].min() > 0.2  # at the edge about half of the light gets in, half of it is asked for
    assert (wrap[90, 140:160] == 0).all()
    assert (wrap[:40] == 0).all()
    assert (wrap >= 0).all()


def test_bright_light_leaves_no_step_where_the_wrap_ends() -> None:
    matte, background = standing(), np.full((200, 300, 3), 40.0, np.float32)
    along = wrap_light(background, matte, 1.0, 3.0, ops)[90, 121:150, 0]
    assert np.abs(np.diff(along)).max() < 6
    end = np.flatnonzero(along)[-1]
    assert along[end] < 0.1


def test_dark_and_negative_backgrounds_wrap_nothing() -> None:
    background = np.full((200, 300, 3), -0.05, np.float32)
    assert (wrap_light(background, standing(), 1.0, 3.0, ops) == 0).all()
    assert (wrap_light(background + 1, standing(), 0.0, 3.0, ops) == 0).all()


def test_only_what_is_near_wraps() -> None:
    background = np.zeros((200, 300, 3), np.float32)
    background[:, 150:, 0] = 1
    wrap = wrap_light(background, standing(), 1.0, 3.0, ops)
    assert wrap[90, 177, 0] > 0.2
    assert wrap[90, 122].max() < 1e-3
    assert (wrap[..., 2] == 0).all()
