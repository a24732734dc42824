"""Ground before a plane: found in the plate where it is there, and shown by the backdrop where that is asked for."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from anyportal_core.frames import ArraySource
from anyportal_core.ops.opencv import pixels_to_unit, unit_to_pixels
from anyportal_core.plugins.draft.scene.background import Warp
from anyportal_core.plugins.draft.scene.mesh import between, depth_line, places
from anyportal_core.plugins.draft.scene.motion import Homography
from anyportal_core.plugins.draft.scene.plane import transform
from anyportal_core.plugins.draft.scene.specs import SCENE
from anyportal_core.roles import RoleContext
from anyportal_core.roles.background import Backdrop, BackgroundInputs
from anyportal_core.settings import Settings
from anyportal_core.testing.scene_contract import StoredArrays

HEIGHT, WIDTH, COUNT = 180, 320, 25
HORIZON = 0.55
SPECS = {spec.role: spec for spec in SCENE}
Arrays = dict[str, np.ndarray]


def context(role: Any, notes: list[str], **values: object) -> RoleContext:
    settings = Settings.check(SPECS[role].settings, values, role)
    return RoleContext(settings, np.random.default_rng, lambda: None, notes.append)


def nearness(rows: np.ndarray) -> np.ndarray:
    return np.clip((rows - HORIZON) / (1 - HORIZON), 0, 1)


def slide(wall: float, ground: float) -> np.ndarray:
    """A camera that moves to the side: the wall by so many pixels a frame, the lowest row by so many more."""
    fine = np.random.default_rng(3).uniform(0.1, 0.9, (HEIGHT // 5, 260, 3)).astype(np.float32)
    scene = cv2.resize(fine, (1300, HEIGHT), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    noise = np.random.default_rng(4)
    frames = []
    for t in range(COUNT):
        at = columns + 300 + t * (wall + ground * nearness((rows + 0.5) / HEIGHT))
        frames.append(cv2.remap(scene, at.astype(np.float32), rows, cv2.INTER_LINEAR))
    grain = noise.normal(0, 0.01, (COUNT, HEIGHT, WIDTH, 3))
    return (np.stack(frames) + grain).clip(0, 1).astype(np.float32)


@cache
def followed(wall: float, ground: float) -> tuple[Arrays, tuple[str, ...]]:
    notes: list[str] = []
    nobody = np.zeros((COUNT, HEIGHT, WIDTH, 1), np.float32)
    given = Homography().follow(ArraySource(slide(wall, ground)), ArraySource(nobody), None, context("motion", notes))
    chunks = list(given)
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}, tuple(notes)


def errors(found: Arrays, far: str, near: str, wall: float, ground: float) -> float:
    """By how many pixels places of the first frame are off in the last, on the mean."""
    into, out = unit_to_pixels(HEIGHT, WIDTH), pixels_to_unit(HEIGHT, WIDTH)
    y, x = np.mgrid[10:HEIGHT:20, 100:WIDTH:20]
    points = np.stack([x.ravel(), y.ravel()], 1)
    depth = nearness((points[:, 1] + 0.5) / HEIGHT)[:, None]
    moved = [transform(into @ found[name][-1] @ out, points) for name in (far, near)]
    truth = points - np.array([COUNT - 1, 0]) * (wall + ground * depth)
    return float(np.linalg.norm((1 - depth) * moved[0] + depth * moved[1] - truth, axis=1).mean())


@pytest.mark.parametrize("ground", [1.0, -1.0])
def test_ground_is_found_before_a_wall_and_told(ground: float) -> None:
    found, notes = followed(1.0, ground)
    assert "parallax" in notes[0]
    assert found["horizon"].tolist() == [HORIZON] * COUNT
    for name in ("far", "near"):
        np.testing.assert_array_equal(found[name][0], np.eye(3))
    one = errors(found, "homography", "homography", 1.0, ground)
    assert errors(found, "far", "near", 1.0, ground) < min(0.4 * one, 1.5)


def test_one_plane_has_one_layer_and_one_motion() -> None:
    found, notes = followed(1.6, 0.0)
    np.testing.assert_array_equal(found["far"], found["homography"])
    np.testing.assert_array_equal(found["near"], found["homography"])
    assert not notes


def shown(found: Arrays, picture: np.ndarray, **values: object) -> tuple[Arrays, list[np.ndarray]]:
    """What is stored, and the first and the last background."""
    numbers = range(1001, 1001 + COUNT)
    plate = ArraySource(np.zeros((COUNT, HEIGHT, WIDTH, 3), np.float32), numbers)
    matte = ArraySource(np.zeros((COUNT, HEIGHT, WIDTH, 1), np.float32))
    backdrop = Backdrop("still", frames=ArraySource(picture[None]))
    warp, about = Warp(), context("background", [], **values)
    (stored,) = warp.make(BackgroundInputs(plate, matte, StoredArrays(found), backdrop, 24.0), about)
    at = [{name: array[t] for name, array in stored.items()} for t in (0, COUNT - 1)]
    return stored, [warp.render(frame, picture, HEIGHT, WIDTH, about) for frame in at]


def coordinates(height: int, width: int) -> np.ndarray:
    """A picture of its own pixel coordinates in red and green."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, 0 * x], -1).astype(np.float32)


def test_the_backdrops_rows_move_as_the_plates_do() -> None:
    wall, ground = 1.0, 1.0
    found, _ = followed(wall, ground)
    stored, (first, last) = shown(found, coordinates(360, 640), parallax=1)
    assert {"nearer", "depth"} <= set(stored)
    size = np.ptp(first[HEIGHT // 2, :, 0]) / (WIDTH - 1)  # pixels of the backdrop for one of the plate
    moved = (last - first)[:, WIDTH // 2, 0] / size
    rows = (np.arange(HEIGHT) + 0.5) / HEIGHT
    truth = (COUNT - 1) * (wall + ground * nearness(rows))
    # the picture was enlarged to hide its border, so its rows lie a little farther apart than the plate's
    np.testing.assert_allclose(moved, truth, atol=3.5)
    assert np.ptp(moved) > 0.8 * np.ptp(truth)
    assert np.abs(np.diff(moved, axis=0)).max() < 1, "torn"


def test_without_parallax_all_is_as_with_one_plane() -> None:
    found, _ = followed(1.0, 1.0)
    plane = {name: found[name] for name in ("homography", "confidence")}
    picture = np.random.default_rng(0).uniform(0, 1, (90, 200, 3)).astype(np.float32)
    wanted = shown(plane, picture, parallax=1)
    for values in ({}, {"parallax": 0}):
        stored, images = shown(found, picture, **values)
        assert stored.keys() == wanted[0].keys()
        assert [image.tobytes() for image in images] == [image.tobytes() for image in wanted[1]]
    frozen, _ = shown(found, picture, parallax=1, motion=0)
    np.testing.assert_array_equal(frozen["placement"], np.broadcast_to(frozen["placement"][0], (COUNT, 3, 3)))
    assert "nearer" not in frozen


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 400), (400, 1), (3, 6000), (6000, 3), (9, 16)])
def test_a_backdrop_of_any_shape_has_layers(height: int, width: int) -> None:
    found, _ = followed(1.0, 1.0)
    y, x = np.mgrid[:height, :width]
    picture = np.stack([0.3 + 0.5 * (x + 0.5) / width, 0.3 + 0.5 * (y + 0.5) / height, 0 * x], -1).astype(np.float32)
    _, images = shown(found, picture, parallax=1, motion=1)
    for image in images:
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert image.dtype == np.float32
        assert 0.27 < image[..., :2].min() <= image[..., :2].max() < 0.83


def test_parallax_may_be_animated_from_none_on() -> None:
    found, _ = followed(1.0, 1.0)
    stored, _ = shown(found, coordinates(90, 160), parallax={"1001": 0, "1013": 0, "1025": 1})
    apart = np.abs(stored["nearer"] - np.eye(3)).max((1, 2))
    np.testing.assert_allclose(apart[:13], 0, atol=1e-9)
    assert (np.diff(apart[13:]) > 0).all()


def wild(seed: int) -> tuple[Arrays, np.random.Generator]:
    """Layers that part as far as they ever may, by moves of any kind."""
    generator = np.random.default_rng(seed)
    far = np.broadcast_to(np.eye(3), (3, 3, 3)).copy()
    far[1:, :2] += generator.normal(0, 0.15, (2, 2, 3))
    far[1:, 2, :2] = generator.normal(0, 0.05, (2, 2))
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    near = far.copy()
    for t in (1, 2):
        seen = transform(np.linalg.inv(far[t]), corners) + generator.uniform(-0.12, 0.12, (4, 2))
        near[t] = np.linalg.inv(cv2.getPerspectiveTransform(corners.astype(np.float32), seen.astype(np.float32)))
    return {"homography": far, "far": far, "near": near / near[:, 2:, 2:]}, generator


@pytest.mark.parametrize("seed", range(12))
def test_two_layers_never_tear_nor_turn_rows_over(seed: int) -> None:
    found, generator = wild(seed)
    y, x = np.mgrid[0:1:60j, 0:1:60j]
    line = depth_line(np.eye(3), float(generator.uniform(0.2, 0.6)))
    for t in range(3):
        back, front = (np.linalg.inv(found[name][t]) for name in ("far", "near"))
        across, down = places(back, front, line, x, y)
        assert np.isfinite(across).all()
        rows = np.diff(down, axis=0) * np.sign(np.median(np.diff(down, axis=0)))
        assert rows.min() > 0
        bend = np.abs(np.diff(across, axis=0)).max() / np.abs(np.diff(across, axis=1)).mean()
        assert bend < 5


@pytest.mark.parametrize("seed", range(6))
def test_no_border_shows_of_either_layer(seed: int) -> None:
    found, _ = wild(seed)
    long = {name: array[np.arange(COUNT) % 3] for name, array in found.items()}
    stored, _ = shown(long | {"horizon": np.full(COUNT, HORIZON)}, coordinates(90, 160), parallax=1)
    for layer in (stored["placement"], stored["placement"] @ stored["nearer"]):
        seen = np.einsum("tij,pj->tpi", layer, np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1.0]]))
        seen = seen[..., :2] / seen[..., 2:]
        assert seen.min() > -1e-9
        assert seen.max() < 1 + 1e-9


def test_halfway_between_two_paths_lies_between_their_corners() -> None:
    one, other = np.eye(3)[None], np.array([[[1, 0, -0.2], [0, 1, 0.1], [0, 0, 1.0]]])
    np.testing.assert_array_equal(between(one, other, np.zeros(1)), one)
    np.testing.assert_allclose(between(one, other, np.ones(1)), other, atol=1e-9)
    np.testing.assert_allclose(between(one, other, np.full(1, 0.5))[0, :2, 2], [-0.1, 0.05], atol=1e-9)
