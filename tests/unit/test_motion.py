"""Camera motion from the background, against known cameras."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from anyportal_core import models
from anyportal_core.frames import ArraySource
from anyportal_core.ops.opencv import pixels_to_unit, unit_to_pixels
from anyportal_core.plugins.draft.scene.motion import Homography
from anyportal_core.plugins.draft.scene.path import shot_path
from anyportal_core.plugins.draft.scene.plane import Models, corners_of, fit_models, through_corners, transform
from anyportal_core.roles import Prompts, RoleContext
from anyportal_core.settings import Settings

HEIGHT, WIDTH = 120, 180
CORNERS = corners_of(HEIGHT, WIDTH)
Camera = Callable[[int], np.ndarray]


def texture(height: int = 360, width: int = 540, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0.1, 0.9, (height // 6, width // 6, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def shoot(camera: Camera, count: int, person: bool = True, noise: float = 0.01) -> tuple[ArraySource, ArraySource]:
    """A wall filmed so that ``camera(t)`` takes pixels of the first frame to frame ``t``; a person walks before it."""
    wall, cloth = texture(), texture(seed=5)[:HEIGHT, :WIDTH]
    generator = np.random.default_rng(1)
    offset = np.array([[1, 0, -WIDTH], [0, 1, -HEIGHT], [0, 0, 1.0]])
    frames, mattes = [], []
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    for t in range(count):
        frame = cv2.warpPerspective(wall, camera(t) @ offset, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        inside = np.hypot((columns - 50 - 4 * t) / 25, (rows - 75) / 60) < 1
        matte = (inside & person).astype(np.float32)[..., None]
        moving = np.roll(cloth, 3 * t, axis=0)
        frame = frame * (1 - matte) + moving * matte + generator.normal(0, noise, frame.shape)
        frames.append(frame.clip(0, 1).astype(np.float32))
        mattes.append(matte)
    return ArraySource(np.stack(frames)), ArraySource(np.stack(mattes))


def follow(plate: ArraySource, matte: ArraySource, smoothing: float = 0.05) -> tuple[np.ndarray, np.ndarray, list[str]]:
    notes: list[str] = []
    context = RoleContext(
        Settings({"smoothing": smoothing, "horizon": 0.55}),
        np.random.default_rng,
        lambda: None,
        notes.append,
        Prompts(),
        models.Models.configured(),
        "cpu",
    )
    chunks = list(Homography().follow(plate, matte, None, context))
    return (
        np.concatenate([chunk["homography"] for chunk in chunks]),
        np.concatenate([chunk["confidence"] for chunk in chunks]),
        notes,
    )


def errors(homography: np.ndarray, camera: Camera) -> np.ndarray:
    """By how many pixels each frame is off at its worst corner."""
    into, out = unit_to_pixels(HEIGHT, WIDTH), pixels_to_unit(HEIGHT, WIDTH)
    first = camera(0)
    return np.array(
        [
            np.abs(transform(into @ h @ out, CORNERS) - transform(camera(t) @ np.linalg.inv(first), CORNERS)).max()
            for t, h in enumerate(homography)
        ]
    )


def shift(x: float, y: float = 0) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def roll_and_zoom(t: int) -> np.ndarray:
    angle, zoom = 0.01 * t, 1 + 0.01 * t
    c, s = zoom * np.cos(angle), zoom * np.sin(angle)
    return shift(90, 60) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ shift(-90, -60) @ shift(-1.5 * t)


def tilt(t: int) -> np.ndarray:
    return through_corners(CORNERS, CORNERS + 0.9 * t * np.array([[1, 0.5], [-1, 0.2], [0.4, -0.3], [-0.2, 0.1]]))


CAMERAS = {"pan": lambda t: shift(-2.2 * t, 0.7 * t), "roll and zoom": roll_and_zoom, "tilt": tilt}


@pytest.mark.parametrize("name", CAMERAS)
def test_a_known_camera_is_found_behind_a_walking_person(name: str) -> None:
    homography, confidence, _ = follow(*shoot(CAMERAS[name], 16))
    assert homography.dtype == np.float64
    np.testing.assert_array_equal(homography[0], np.eye(3))
    np.testing.assert_array_equal(homography[:, 2, 2], 1)
    assert errors(homography, CAMERAS[name]).max() < 0.7
    assert confidence.min() > 0.4


def test_a_hand_held_shake_is_followed_and_not_smoothed_away() -> None:
    def camera(t: int) -> np.ndarray:
        return shift(4 * np.sin(0.9 * t), 3 * np.cos(1.1 * t))

    homography, _, _ = follow(*shoot(camera, 24))
    assert errors(homography, camera).max() < 0.6


def crowded(camera: Camera, count: int, cover: float, extras: int) -> tuple[ArraySource, ArraySource]:
    """A foreground that covers that share of the frame and moves against the camera; extras that no matte covers."""
    plate, _ = shoot(camera, count, person=False)
    cloth = texture(seed=5)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    frames, mattes = [], []
    for t, frame in enumerate(plate.read(0, count).copy()):
        for k in range(extras):
            middle = (20 + 45 * k + (3 if k % 2 else -3) * t) % WIDTH
            inside = (np.abs(columns - middle) < 9) & (np.abs(rows - 40 - 25 * (k % 3)) < 22)
            frame[inside] = np.roll(cloth, (5 * t, 31 * k), (0, 1))[:HEIGHT, :WIDTH][inside]
        there = ((columns - WIDTH / 2 + 10 * np.sin(t)) / WIDTH) ** 2 + (
            (rows - HEIGHT / 2) / HEIGHT
        ) ** 2 < cover / np.pi
        frame[there] = np.roll(cloth, (0, 4 * t), (0, 1))[:HEIGHT, :WIDTH][there]
        frames.append(frame)
        mattes.append(there[..., None].astype(np.float32))
    return ArraySource(np.stack(frames)), ArraySource(np.stack(mattes))


@pytest.mark.parametrize("name", ["pan", "roll and zoom"])
@pytest.mark.parametrize(("cover", "extras"), [(0.6, 0), (0.1, 4)])
def test_neither_a_large_foreground_nor_extras_drag_the_camera(name: str, cover: float, extras: int) -> None:
    shot = crowded(CAMERAS[name], 16, cover, extras)
    assert abs(float(shot[1].read(0, 16).mean()) - cover) < 0.05
    homography, confidence, _ = follow(*shot)
    assert errors(homography, CAMERAS[name]).max() < 1.7
    assert confidence.min() > 0.1


@pytest.mark.parametrize(("cover", "extras"), [(0.6, 0), (0.1, 4)])
def test_a_static_camera_is_exactly_static_whatever_moves_before_it(cover: float, extras: int) -> None:
    homography, _, notes = follow(*crowded(lambda t: shift(0), 16, cover, extras))
    np.testing.assert_array_equal(homography, np.broadcast_to(np.eye(3), (16, 3, 3)))
    assert not notes


def test_a_static_camera_is_exactly_static() -> None:
    homography, confidence, notes = follow(*shoot(lambda t: shift(0), 12, noise=0.03))
    np.testing.assert_array_equal(homography, np.broadcast_to(np.eye(3), (12, 3, 3)))
    assert confidence.min() > 0.5
    assert not notes


def test_a_plain_wall_counts_as_static_and_says_so() -> None:
    generator = np.random.default_rng(0)
    wall = 0.4 + generator.normal(0, 0.004, (8, HEIGHT, WIDTH, 3))
    homography, confidence, notes = follow(
        ArraySource(wall.astype(np.float32)), ArraySource(np.zeros((8, HEIGHT, WIDTH, 1), np.float32))
    )
    np.testing.assert_array_equal(homography, np.broadcast_to(np.eye(3), (8, 3, 3)))
    assert confidence.max() == 0
    assert "static" in notes[0]


def test_a_foreground_that_covers_everything_counts_as_static() -> None:
    plate, _ = shoot(CAMERAS["pan"], 6)
    homography, confidence, notes = follow(plate, ArraySource(np.ones((6, HEIGHT, WIDTH, 1), np.float32)))
    np.testing.assert_array_equal(homography, np.broadcast_to(np.eye(3), (6, 3, 3)))
    assert confidence.max() == 0
    assert notes


def test_black_frames_are_bridged_without_a_jump() -> None:
    plate, matte = shoot(CAMERAS["pan"], 20)
    plate._frames[8:10] = 0
    homography, confidence, notes = follow(plate, matte)
    assert errors(homography, CAMERAS["pan"]).max() < 1.5
    assert (confidence[8:10] == 0).all()
    assert (np.delete(confidence, [8, 9]) > 0.3).all()
    assert "2 of 20" in notes[0]


def test_a_cut_inside_the_shot_does_not_make_the_background_jump() -> None:
    plate, matte = shoot(CAMERAS["pan"], 20)
    plate._frames[10:] = shoot(CAMERAS["pan"], 20)[0]._frames[10:, ::-1, ::-1]
    homography, _, _ = follow(plate, matte)
    into, out = unit_to_pixels(HEIGHT, WIDTH), pixels_to_unit(HEIGHT, WIDTH)
    places = np.array([transform(into @ h @ out, CORNERS) for h in homography])
    assert np.abs(np.diff(places, axis=0)).max() < 8


def test_one_frame_is_enough() -> None:
    homography, _, notes = follow(*shoot(CAMERAS["pan"], 1))
    np.testing.assert_array_equal(homography, [np.eye(3)])
    assert not notes


def test_two_runs_agree_bit_for_bit_on_any_number_of_threads() -> None:
    shot = shoot(CAMERAS["tilt"], 6)
    threads = cv2.getNumThreads()
    try:
        runs = []
        for count in (1, 2):
            cv2.setNumThreads(count)
            runs.append(follow(*shot)[0].tobytes())
    finally:
        cv2.setNumThreads(threads)
    assert runs[0] == runs[1]


def test_a_fit_on_wrong_matches_does_not_reach_the_path() -> None:
    good = Models(shift(-2), shift(-2), 1.0, 2.0, np.ones(100, bool), 0.1)
    wild = Models(shift(40), shift(40), 1.0, 2.0, np.arange(100) < 20, 0.1)
    back = Models(shift(-44), shift(-44), 1.0, 2.0, np.ones(100, bool), 0.1)
    path = shot_path([Models.still(), *[good] * 5, wild, back, *[good] * 5], HEIGHT, WIDTH, 0.05)
    moves = np.diff(path.homography[:, 0, 2]) * WIDTH
    np.testing.assert_allclose(moves, -2, atol=0.2)
    assert path.confidence[6] == 0


def test_a_long_lean_is_held() -> None:
    lean = through_corners(CORNERS, CORNERS + np.array([[2.0, 1], [-2, 1], [0, 0], [0, 0]]))
    step = Models(shift(-1), lean, 9e9, 0.0, np.ones(100, bool), 0.1)
    path = shot_path([Models.still(), *[step] * 200], HEIGHT, WIDTH, 0.05)
    assert np.isfinite(path.homography).all()
    seen = transform(
        np.linalg.inv(unit_to_pixels(HEIGHT, WIDTH) @ path.homography[-1] @ pixels_to_unit(HEIGHT, WIDTH)), CORNERS
    )
    lengths = np.linalg.norm(np.diff(np.vstack([seen, seen[:1]]), axis=0), axis=1)
    assert lengths[0] / lengths[2] < 3
    assert lengths[2] / lengths[0] < 3


@pytest.mark.parametrize(("noise", "leans"), [(0.0, True), (0.02, True), (0.3, False)])
def test_a_lean_too_slow_to_be_told_in_any_frame_is_followed_where_it_adds_up(noise: float, leans: bool) -> None:
    """Each frame's evidence is for plain motion; only over the shot does the lean stand out of the noise."""
    generator = np.random.default_rng(0)
    way, fits = np.array([[0.1, 0.05], [-0.1, 0.05], [0, 0], [0, 0]]), [Models.still()]
    for _ in range(32):
        seen = through_corners(CORNERS, CORNERS - [2, 0] + way + generator.normal(0, noise, (4, 2)))
        fits.append(Models(shift(-2), seen, 1.0, 2.0, np.ones(100, bool), 0.1))
    last = shot_path(fits, HEIGHT, WIDTH, 0.05).homography[-1]
    assert (abs(last[1, 0]) + abs(last[2]).sum() > 1 + 1e-6) == leans


def test_points_near_one_another_do_not_decide_on_a_homography() -> None:
    generator = np.random.default_rng(0)
    spread = generator.uniform(0, 1, (80, 2)).astype(np.float32) * [WIDTH, HEIGHT]
    corner = generator.uniform(0, 12, (80, 2)).astype(np.float32)
    fits = [fit_models(points, points + np.float32([2, 1]), (HEIGHT, WIDTH)) for points in (spread, corner)]
    assert fits[0] is not None and fits[1] is not None
    assert fits[0].uncertainty < 1 < fits[1].uncertainty


@pytest.mark.parametrize("noise", [0.1, 0.8])
def test_grain_does_not_hide_that_a_plane_leans(noise: float) -> None:
    generator = np.random.default_rng(0)
    start = generator.uniform(0, 1, (300, 2)).astype(np.float32) * [WIDTH, HEIGHT]
    for leaning, steps in ((False, 0), (True, 2.5)):
        moved = transform(tilt(steps), start) + generator.normal(0, noise, start.shape)
        fit = fit_models(start.astype(np.float32), moved.astype(np.float32), (HEIGHT, WIDTH))
        assert fit is not None
        assert (fit.homography_cost < fit.similarity_cost) == leaning
