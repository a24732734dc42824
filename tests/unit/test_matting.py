"""Soft edges and foreground colours."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import pytest

from anyportal_core.frames import Image
from anyportal_core.method.matting import (
    bounds,
    estimate_foreground,
    guided_filter,
    levels,
    refine_to_frame,
    settle,
    soft_band,
)
from anyportal_core.ops import ImageOps, opencv

OPS = cast(ImageOps, opencv)


def disc(height: int, width: int, radius: float, softness: float = 1.0) -> Image:
    """Alpha of a disc in the middle, with an edge ``softness`` pixels wide."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    return np.clip((radius - away) / softness + 0.5, 0, 1).astype(np.float32)


def mixed(alpha: Image, foreground: Image, background: Image) -> Image:
    return (foreground * alpha[..., None] + background * (1 - alpha[..., None])).astype(np.float32)


def flat(height: int, width: int, *colour: float) -> Image:
    return np.zeros((height, width, 3), np.float32) + np.array(colour, np.float32)


def test_levels_reach_both_ends_exactly() -> None:
    alpha = np.array([0.0, 0.03, 0.5, 0.97, 1.0], np.float32)
    assert levels(alpha, 0.03, 0.97).tolist() == pytest.approx([0, 0, 0.5, 1, 1])
    assert levels(alpha, 0.03, 0.97)[[1, 3]].tolist() == [0.0, 1.0]


def test_bounds_is_the_box_with_its_margin_inside_the_picture() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:8, 1:12] = True
    assert bounds(mask, 2) == (slice(3, 10), slice(0, 14))
    assert bounds(mask & False, 2) is None


def test_soft_band_surrounds_the_edge_only() -> None:
    band = soft_band(disc(60, 60, 20), 3, OPS)
    assert not band[30, 30] and not band[0, 0]
    assert band[30, 30 + 20] and band[30, 30 + 22] and band[30, 30 + 18]


def test_guided_filter_moves_a_blurred_edge_to_the_pictures_edge() -> None:
    truth = disc(80, 80, 25, softness=0.5)
    picture = mixed(truth, flat(80, 80, 0.8, 0.6, 0.5), flat(80, 80, 0.2, 0.3, 0.5))
    blurred = cv2.GaussianBlur(truth, (0, 0), 3)
    found = guided_filter(picture, blurred, 6, 1e-4, OPS)
    steepness, before = (np.abs(np.diff(v, axis=1)).max() for v in (found, blurred))
    assert steepness > 3 * before
    assert np.abs(np.argmax(found[40] > 0.5) - np.argmax(truth[40] > 0.5)) <= 1


@pytest.mark.parametrize("off", [-3, 3])
def test_settle_finds_an_edge_that_lies_elsewhere(off: int) -> None:
    truth = disc(120, 120, 35)
    rough = cv2.GaussianBlur(disc(120, 120, 35 + off), (0, 0), 4)
    picture = mixed(truth, flat(120, 120, 0.7, 0.5, 0.4), flat(120, 120, 0.4, 0.5, 0.6))
    assert np.abs(settle(picture, rough, 12, OPS) - truth).mean() < 0.25 * np.abs(rough - truth).mean()


def test_settle_keeps_the_rough_edge_where_colours_tell_nothing() -> None:
    rough = cv2.GaussianBlur(disc(120, 120, 35), (0, 0), 3)
    noise = np.random.default_rng(0).uniform(0.4, 0.6, (120, 120, 3)).astype(np.float32)
    found = settle(noise, rough, 12, OPS)
    assert np.mean((found > 0.5) != (rough > 0.5)) < 0.02


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_settle_leaves_a_sure_matte_alone(value: float) -> None:
    assert (settle(flat(40, 50, 0.2, 0.4, 0.6), np.full((40, 50), value, np.float32), 8, OPS) == value).all()


def test_refined_alpha_follows_the_full_frame_beyond_the_work_size() -> None:
    truth = disc(240, 320, 70, softness=1)
    frame = mixed(truth, flat(240, 320, 0.8, 0.5, 0.3), flat(240, 320, 0.1, 0.3, 0.6))
    work = cv2.resize(truth, (80, 60), interpolation=cv2.INTER_AREA)
    plain = cv2.resize(work, (320, 240), interpolation=cv2.INTER_LINEAR)
    fine = refine_to_frame(frame, work, 3, 1e-4, 0.03, 0.97, OPS)
    assert np.abs(fine - truth).mean() < 0.4 * np.abs(plain - truth).mean()
    assert (fine[truth == 1] == 1).mean() > 0.99 and (fine[truth == 0] == 0).mean() > 0.99


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_refining_nothing_or_everything(value: float) -> None:
    alpha = refine_to_frame(flat(30, 41, 0.1, 0.2, 0.3), np.full((15, 20), value, np.float32), 3, 1e-4, 0.1, 0.9, OPS)
    assert alpha.shape == (30, 41) and (alpha == value).all()


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_foreground_carries_no_old_background(scale: float) -> None:
    """Light far above 1 included: a red thing before a bright green wall is red up to its edge."""
    alpha = disc(120, 160, 40, softness=8)
    wall = flat(120, 160, 0.0, 1.0 * scale, 0.2 * scale)
    image = mixed(alpha, flat(120, 160, 0.8, 0.1, 0.1), wall)
    found = estimate_foreground(image, alpha, OPS)
    edge = (alpha > 0.05) & (alpha < 0.95)
    assert np.abs(found[edge] - [0.8, 0.1, 0.1]).mean() < 0.02 * scale
    assert np.abs(image[edge] - [0.8, 0.1, 0.1]).mean() > 0.15 * scale  # what is left without it


def test_foreground_is_the_plate_itself_where_the_matte_is_solid() -> None:
    generator = np.random.default_rng(1)
    image = (generator.uniform(0, 1, (90, 120, 3)) ** 4 * 50).astype(np.float32)
    alpha = disc(90, 120, 30, softness=6)
    found = estimate_foreground(image, alpha, OPS)
    solid = alpha == 1
    assert solid.any() and found[solid].tobytes() == image[solid].tobytes()
    assert found.dtype == np.float32 and np.isfinite(found).all() and found.min() >= 0


def test_foreground_keeps_texture_at_soft_edges() -> None:
    """Put back over its own background, the picture is what it was."""
    generator = np.random.default_rng(2)
    cloth = cv2.GaussianBlur(generator.uniform(0.2, 0.9, (120, 160, 3)).astype(np.float32), (0, 0), 1.5)
    alpha = disc(120, 160, 40, softness=10)
    wall = flat(120, 160, 0.1, 0.2, 0.9)
    image = mixed(alpha, cloth, wall)
    again = mixed(alpha, estimate_foreground(image, alpha, OPS), wall)
    assert np.abs(again - image).max() < 0.1 and np.abs(again - image).mean() < 0.005


def strands(height: int, width: int, radius: float) -> tuple[Image, Image]:
    """Alpha of a disc with hair around, and where its outer half is."""
    hair = np.zeros((height, width), np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) - np.float32([[[height / 2]], [[width / 2]]])
    for angle in np.arange(0, 2 * np.pi, np.pi / 20):
        away = np.array([np.cos(angle), np.sin(angle)])
        near, far = ((k * radius * away + [width / 2, height / 2]).astype(int).tolist() for k in (0.9, 1.7))
        cv2.line(hair, near, far, 1.0, 1, cv2.LINE_AA)
    alpha = np.maximum(disc(height, width, radius), np.minimum(cv2.GaussianBlur(hair, (0, 0), 0.7), 1))
    return alpha, np.hypot(x, y) > 1.2 * radius


@pytest.mark.parametrize("core", [(0.6, 0.4, 0.3), (0.12, 0.07, 0.05)])
def test_strands_keep_their_own_colour_whatever_the_cores_is(core: tuple[float, float, float]) -> None:
    alpha, out = strands(200, 260, 55)
    colour = np.where(out[..., None], np.float32([0.12, 0.07, 0.05]), np.float32(core))
    image = mixed(alpha, colour, flat(200, 260, 0.9, 1.0, 1.2))
    found, blue = estimate_foreground(image, alpha, OPS), flat(200, 260, 0.02, 0.1, 0.8)
    thin = out & (alpha > 0.15)
    assert np.abs(found - colour)[thin].mean() < 0.08  # 0.31 by the core's colour
    assert np.abs(mixed(alpha, found, blue) - mixed(alpha, colour, blue))[thin].mean() < 0.03


def test_a_textured_background_leaves_no_colours_at_the_edge() -> None:
    noise = np.random.default_rng(3).uniform(0, 1, (200, 260, 3)).astype(np.float32)
    wall = np.clip((cv2.GaussianBlur(noise, (0, 0), 2) - 0.5) * 4 + 0.4, 0, 1)
    alpha, skin, black = disc(200, 260, 60, softness=8), flat(200, 260, 0.6, 0.4, 0.3), flat(200, 260, 0, 0, 0)
    again = mixed(alpha, estimate_foreground(mixed(alpha, skin, wall), alpha, OPS), black)
    edge = (alpha > 0.02) & (alpha < 0.5)
    assert np.abs(again - mixed(alpha, skin, black))[edge].mean() < 0.03  # 0.1 where all is explained


@pytest.mark.parametrize("off", [-1, 1])
def test_a_matte_a_little_off_leaves_no_rim(off: int) -> None:
    alpha, dark = disc(160, 200, 50, softness=8), flat(160, 200, 0.12, 0.07, 0.05)
    image = mixed(alpha, dark, flat(160, 200, 0.9, 1.0, 1.2))
    given = disc(160, 200, 50 + off, softness=8)
    found = estimate_foreground(image, given, OPS)
    assert np.abs(found - dark)[(given > 0.05) & (given < 0.6)].mean() < 0.06


def test_foreground_is_nothing_far_outside_and_where_there_is_none() -> None:
    image = flat(200, 200, 0.3, 0.4, 0.5)
    assert (estimate_foreground(image, disc(200, 200, 20), OPS)[0, 0] == 0).all()
    assert (estimate_foreground(image, np.zeros((200, 200), np.float32), OPS) == 0).all()


def test_foreground_of_a_matte_without_a_core() -> None:
    """Smoke: never solid, and still a colour."""
    smoke = 0.5 * disc(100, 100, 30, softness=30)
    image = mixed(smoke, flat(100, 100, 0.9, 0.9, 0.9), flat(100, 100, 0.0, 0.1, 0.0))
    found = estimate_foreground(image, smoke, OPS)
    assert np.isfinite(found).all() and found.max() < 2


@pytest.mark.parametrize("light", [6e4, 1e20, 1e25, 1e30])
def test_a_firefly_at_an_edge_stays_a_number(light: float) -> None:
    alpha = disc(60, 60, 20, softness=4)
    picture = mixed(alpha, flat(60, 60, 0.8, 0.6, 0.5), flat(60, 60, 0.2, 0.3, 0.5))
    y, x = np.argwhere((alpha > 0.3) & (alpha < 0.7))[0]
    picture[y, x] = light
    assert np.isfinite(estimate_foreground(picture, alpha, OPS)).all()
