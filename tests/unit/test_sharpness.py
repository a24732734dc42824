"""Sharpness and shutter: found as they are, in pictures of things at every angle."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anyportal_core.method.sharpness import measure_blur, measure_shutter, missing_blur
from anyportal_core.ops import opencv as ops

SIZE = (300, 400)
FINER = 4


def shapes(dx: float = 0.0, dy: float = 0.0) -> np.ndarray:
    """Polygons at every angle, drawn four times as fine and shrunk: edges of one pixel. Moved by so many pixels."""
    rng = np.random.default_rng(4)
    big = np.full((SIZE[0] * FINER, SIZE[1] * FINER), 0.4, np.float32)
    for _ in range(40):
        middle, angle = rng.uniform(0, 1, 2) * (SIZE[1], SIZE[0]), rng.uniform(0, np.pi)
        half = rng.uniform(12, 40, 2)
        corners = cv2.boxPoints(
            (((middle[0] + dx) * FINER, (middle[1] + dy) * FINER), tuple(half * FINER * 2), np.degrees(angle))
        )
        cv2.fillPoly(big, [np.rint(corners).astype(np.int32)], float(rng.uniform(0.1, 0.9)))
    return cv2.resize(big, SIZE[::-1], interpolation=cv2.INTER_AREA)


def all_of(picture: np.ndarray) -> np.ndarray:
    return np.ones(picture.shape[:2], np.float32)


@pytest.mark.parametrize("blur", [0.7, 1.0, 1.6, 2.5])
@pytest.mark.parametrize("grain", [0.0, 0.01])
def test_blur_is_found(blur: float, grain: float) -> None:
    picture = ops.gaussian(shapes(), blur)
    picture = picture + grain * np.random.default_rng(1).standard_normal(picture.shape).astype(np.float32)
    pixel = np.sqrt(1 / 12)  # of the shrinking itself
    wanted = pytest.approx(np.hypot(blur, pixel), rel=0.2 if grain else 0.15)
    assert measure_blur([picture], [all_of(picture)], ops) == wanted


def test_a_picture_half_out_of_focus_is_as_sharp_as_its_sharp_half() -> None:
    picture = ops.gaussian(shapes(), 0.8)
    picture[:, 200:] = ops.gaussian(picture, 4.0)[:, 200:]
    found = measure_blur([picture], [all_of(picture)], ops)
    assert found == pytest.approx(0.85, rel=0.2)


def test_where_there_are_no_edges_nothing_is_said() -> None:
    flat = np.full(SIZE, 0.3, np.float32)
    assert measure_blur([flat], [all_of(flat)], ops) is None
    assert measure_blur([shapes()], [np.zeros(SIZE, np.float32)], ops) is None
    assert measure_blur([], [], ops) is None
    assert missing_blur(None, 1.0) == 0.0
    assert missing_blur(2.0, 3.0) == 0.0
    assert missing_blur(5.0, 3.0) == pytest.approx(4.0)


@pytest.mark.parametrize("shutter", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("way", [(8.0, 0.0), (5.0, 5.0), (0.0, -7.0)])
def test_the_shutter_is_found(shutter: float, way: tuple[float, float]) -> None:
    times = np.linspace(-shutter / 2, shutter / 2, 17)
    picture = np.mean([shapes(way[0] * t, way[1] * t) for t in times], 0).astype(np.float32)
    picture = ops.gaussian(picture, 0.8)
    motion = np.broadcast_to(np.float32(way), (*SIZE, 2))
    found = measure_shutter([picture], [all_of(picture)], [motion], ops)
    assert found is not None
    assert abs(found - shutter) < 0.12


def test_what_hardly_moves_tells_no_shutter() -> None:
    motion = np.full((*SIZE, 2), 0.5, np.float32)
    assert measure_shutter([shapes()], [all_of(shapes())], [motion], ops) is None
