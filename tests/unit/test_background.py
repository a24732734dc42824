"""The backdrop behind a moving camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from anyportal_core.errors import ShotError
from anyportal_core.frames import ArraySource, FrameSource
from anyportal_core.plugins.draft.scene.background import Warp
from anyportal_core.plugins.draft.scene.specs import SCENE
from anyportal_core.roles import RoleContext, Stored
from anyportal_core.roles.background import Backdrop, BackgroundInputs
from anyportal_core.settings import Settings

SPEC = next(spec for spec in SCENE if spec.name == "draft.warp")
HEIGHT, WIDTH = 36, 64
PLATE_CORNERS = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1.0]])


class Motion:
    """Homographies as a stage stored them."""

    names = frozenset({"homography", "confidence"})

    def __init__(self, homography: np.ndarray) -> None:
        self._homography = homography
        self.count = len(homography)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        assert name == "homography"
        return self._homography[start:stop]


def context(notes: list[str] | None = None, **values: object) -> RoleContext:
    settings = Settings.check(SPEC.settings, values, "background")
    return RoleContext(settings, np.random.default_rng, lambda: None, (notes if notes is not None else []).append)


def pan(count: int, step: float) -> np.ndarray:
    """The camera pans right: what was seen in the first frame moves to the left."""
    return np.array([[[1, 0, -step * t], [0, 1, 0], [0, 0, 1.0]] for t in range(count)])


def plate(count: int) -> FrameSource:
    return ArraySource(np.zeros((count, HEIGHT, WIDTH, 3), np.float32), range(1001, 1001 + count))


def inputs(motion: Motion, backdrop: Backdrop, plate_rate: float) -> BackgroundInputs:
    matte = ArraySource(np.zeros((motion.count, HEIGHT, WIDTH, 1), np.float32))
    return BackgroundInputs(plate(motion.count), matte, motion, backdrop, plate_rate)


def coordinates(height: int, width: int) -> np.ndarray:
    """A picture of its own unit coordinates in red and green."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(x + 0.5) / width, (y + 0.5) / height, 0 * x], -1).astype(np.float32)


def make(
    homography: np.ndarray,
    pictures: np.ndarray,
    kind: Any = "still",
    notes: list[str] | None = None,
    rate: float = 0,
    plate_rate: float = 24,
    aspects: tuple[float, float] = (0, 0),
    **values: object,
) -> dict[str, np.ndarray]:
    backdrop = Backdrop(kind, frames=ArraySource(pictures), rate=rate, aspect=aspects[1])
    given = replace(inputs(Motion(homography), backdrop, plate_rate), plate_aspect=aspects[0])
    chunks = list(Warp().make(given, context(notes, **values)))
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def frame(stored: Mapping[str, np.ndarray], index: int) -> Stored:
    return {name: values[index] for name, values in stored.items()}


def corners(placement: np.ndarray) -> np.ndarray:
    """Where the plate's corners fall on the backdrop, ``(t, 4, 2)``."""
    points = np.einsum("tij,pj->tpi", placement, PLATE_CORNERS)
    return points[..., :2] / points[..., 2:]


SHAPES = [(36, 64), (64, 36), (50, 50), (20, 200), (200, 20)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_still_camera_sees_as_much_of_the_backdrop_as_fits_undistorted(shape: tuple[int, int]) -> None:
    stored = make(pan(3, 0), coordinates(*shape)[None])
    seen = corners(stored["placement"])
    assert seen.min() > -1e-9
    assert seen.max() < 1 + 1e-9
    extent = np.ptp(seen[0], axis=0) * [shape[1], shape[0]]
    assert extent[0] / extent[1] == pytest.approx(WIDTH / HEIGHT, rel=1e-6)
    assert np.ptp(seen[0], axis=0).max() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(seen[0].mean(0), 0.5, atol=1e-9)


def test_a_backdrop_of_the_plates_size_comes_back_pixel_for_pixel_before_a_still_camera() -> None:
    for height, width in ((HEIGHT, WIDTH), (101, 333)):
        picture = np.random.default_rng(0).normal(0, 9, (1, height, width, 3)).astype(np.float32)
        stored = make(pan(2, 0.0), picture, aspects=(width / height, width / height))
        warped = Warp().render(frame(stored, 1), picture[0], height, width, context())
        assert np.array_equal(warped, picture[0])


def test_what_counts_is_the_shape_as_it_is_shown() -> None:
    """An anamorphic plate and its backdrop, neither of whose pixels are squares."""
    stored = make(pan(1, 0.0), coordinates(36, 64)[None], aspects=(2 * WIDTH / HEIGHT, 2 * WIDTH / HEIGHT))
    np.testing.assert_allclose(corners(stored["placement"])[0], PLATE_CORNERS[:, :2], atol=1e-6)


def test_the_backdrop_moves_as_the_plate_did() -> None:
    stored = make(pan(11, 0.03), coordinates(90, 160)[None])
    seen = corners(stored["placement"]).mean(1)
    steps = np.diff(seen, axis=0)
    extent = np.ptp(corners(stored["placement"])[0], axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to([0.03 * extent[0], 0], steps.shape), atol=1e-9)


MOVES = {
    "pan": pan(12, 0.04),
    "zoom out": np.array([np.diag([1 / (1 + 0.04 * t), 1 / (1 + 0.04 * t), 1]) for t in range(12)]),
    "roll": np.array(
        [
            [[np.cos(a), -np.sin(a) * 9 / 16, 0.1 * a], [np.sin(a) * 16 / 9, np.cos(a), -0.2 * a], [0, 0, 1]]
            for a in np.linspace(0, 0.25, 12)
        ]
    ),
    "lean": np.array([[[1, 0, 0], [0, 1, 0], [0.03 * t, -0.01 * t, 1]] for t in range(12)]),
}


@pytest.mark.parametrize("name", MOVES)
def test_no_border_shows_through_the_whole_move(name: str) -> None:
    stored = make(MOVES[name], coordinates(90, 120)[None])
    seen = corners(stored["placement"])
    assert seen.min() >= 0
    assert seen.max() <= 1
    # and not much more is cut away than the move asks for
    assert min(seen.min(), 1 - seen.max()) < 0.01


def test_a_move_too_large_is_followed_less_and_says_so() -> None:
    notes: list[str] = []
    stored = make(pan(40, 0.1), coordinates(90, 160)[None], notes=notes)
    seen = corners(stored["placement"])
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert np.ptp(seen[0], axis=0).min() > 1 / 1.62
    assert np.ptp(seen[:, 0, 0]) > 0.25
    assert "%" in notes[0]


def test_mirror_follows_all_of_the_move_and_fills_by_reflection() -> None:
    notes: list[str] = []
    picture = coordinates(90, 160)
    stored = make(pan(40, 0.1), picture[None], beyond="mirror", notes=notes)
    extent = np.ptp(corners(stored["placement"])[0], axis=0)
    np.testing.assert_allclose(np.diff(corners(stored["placement"])[:, 0, 0]), 0.1 * extent[0], atol=1e-9)
    image = Warp().render(frame(stored, 39), picture, HEIGHT, WIDTH, context())
    assert image[..., 1].max() > 0.1
    assert "reflection" in notes[0]


def test_refuse_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ShotError, match="times as large") as raised:
        make(pan(40, 0.1), coordinates(90, 160)[None], beyond="refuse")
    assert "mirror" in raised.value.hint


def roam(seed: int, count: int = 24) -> np.ndarray:
    """A smooth path of any kind: far pans, rolls up to a whole turn, zooms in and out, leans, and a tremor."""
    generator = np.random.default_rng(seed)
    time = np.linspace(0, 1, count)
    angle = generator.uniform(-1, 1) * 2 * np.pi * time
    growth = np.exp(generator.uniform(-1.4, 1.4) * time)
    shift = generator.uniform(-2, 2, 2) * time[:, None] + generator.normal(0, 0.01, (count, 2))
    matrices = np.broadcast_to(np.eye(3), (count, 3, 3)).copy()
    cosine, sine = growth * np.cos(angle), growth * np.sin(angle)
    matrices[:, :2, :2] = np.moveaxis(np.array([[cosine, -sine], [sine, cosine]]), -1, 0)
    matrices[:, :2, 2] = shift
    matrices[:, 2, :2] = generator.uniform(-0.1, 0.1, 2) * time[:, None]
    square = np.array([[WIDTH / HEIGHT, 0, -WIDTH / HEIGHT / 2], [0, 1, -0.5], [0, 0, 1]])
    return np.linalg.inv(square) @ matrices @ square


@pytest.mark.parametrize("seed", range(16))
@pytest.mark.parametrize("shape", [(90, 160), (30, 400)])
def test_no_border_shows_on_any_path_by_any_policy(seed: int, shape: tuple[int, int]) -> None:
    path = roam(seed)
    for beyond in ("damp", "mirror"):
        notes: list[str] = []
        stored = make(path, coordinates(*shape)[None], beyond=beyond, largest_zoom=1.5, notes=notes)["placement"]
        seen, note = corners(stored), "".join(notes)
        assert np.isfinite(stored).all()
        assert np.linalg.det(stored).min() > 0, "never mirrored, never a line"
        assert np.ptp(seen, axis=1).max(1).min() > 0.02, "never a point"
        too_far = "times as large" in note
        if beyond == "damp" or not too_far:
            assert seen.min() > -1e-9
            assert seen.max() < 1 + 1e-9
        assert ("% of its motion" in note, "reflection" in note) == (
            too_far and beyond == "damp",
            too_far and beyond == "mirror",
        )
    if too_far:
        with pytest.raises(ShotError, match="times as large"):
            make(path, coordinates(*shape)[None], beyond="refuse", largest_zoom=1.5)


def test_an_enlargement_that_hides_the_border_is_told() -> None:
    notes: list[str] = []
    make(pan(12, 0.02), coordinates(90, 160)[None], notes=notes)
    assert notes == ["the backdrop is enlarged 1.22 times to hide its border"]
    make(pan(12, 0), coordinates(90, 160)[None], notes=notes)
    assert len(notes) == 1


def test_half_of_a_turn_is_a_turn_by_half() -> None:
    """The share of a motion is a motion of its kind: a picture that is turned round is never squeezed to a point."""
    square = np.array([[WIDTH / HEIGHT, 0, -WIDTH / HEIGHT / 2], [0, 1, -0.5], [0, 0, 1]])
    angles = np.linspace(0, np.pi, 13)
    turn = np.array([[[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]] for a in angles])
    stored = make(np.linalg.inv(square) @ turn @ square, coordinates(160, 160)[None], motion=0.5, largest_zoom=4)
    sides = np.diff(corners(stored["placement"])[:, :2], axis=1)[:, 0]
    np.testing.assert_allclose(np.linalg.norm(sides, axis=1), np.linalg.norm(sides[0]), rtol=1e-6)
    assert abs(np.degrees(np.arctan2(sides[-1, 1], sides[-1, 0]))) == pytest.approx(90, abs=1e-6)


def test_a_camera_that_turns_away_does_not_break_anything() -> None:
    away = pan(5, 0)
    away[4] = [[1, 0, 0], [0, 1, 0], [-2.5, 0, 1]]
    for beyond in ("damp", "mirror"):
        stored = make(away, coordinates(90, 160)[None], beyond=beyond)
        assert np.isfinite(stored["placement"]).all()
        assert corners(stored["placement"]).min() >= 0


def test_the_looks_do_what_they_say() -> None:
    wide = coordinates(90, 240)

    def seen(**values: object) -> np.ndarray:
        stored = make(pan(1, 0), wide[None], **values)
        return Warp().render(frame(stored, 0), wide, HEIGHT, WIDTH, context())

    plain, middle = seen(), (HEIGHT // 2, WIDTH // 2)
    assert seen(offset_x=0.2)[middle][0] == pytest.approx(
        plain[HEIGHT // 2, WIDTH // 2 - round(0.2 * WIDTH)][0], abs=0.01
    )
    assert np.ptp(seen(scale=2)[..., 0]) == pytest.approx(np.ptp(plain[..., 0]) / 2, abs=0.02)
    np.testing.assert_allclose(seen(flip=True)[..., 0], 1 - plain[..., 0], atol=0.01)
    turned = seen(rotation=20)  # clockwise: what was on the right goes down
    assert turned[-3, WIDTH // 2][0] > plain[-3, WIDTH // 2][0] + 0.02
    assert turned.min() > -0.01
    blurred = seen(blur=5)
    assert np.abs(np.diff(blurred, n=2, axis=1)).max() < np.abs(np.diff(np.round(plain * 40) / 40, n=2, axis=1)).max()


def test_motion_0_freezes_the_camera_and_may_be_animated() -> None:
    frozen = make(pan(6, 0.03), coordinates(90, 160)[None], motion=0)["placement"]
    np.testing.assert_array_equal(frozen, np.broadcast_to(frozen[0], frozen.shape))
    animated = make(pan(6, 0.03), coordinates(90, 160)[None], motion={"1001": 0, "1006": 1})["placement"]
    places = corners(animated)[:, 0, 0]
    assert np.diff(places, n=2).min() > 0


def test_a_backdrop_is_put_out_of_focus_as_the_plates_background_is() -> None:
    generator = np.random.default_rng(0)
    sharp = cv2.resize(generator.uniform(0, 1, (5, 8, 3)).astype(np.float32), (320, 180), interpolation=0)
    inside = np.zeros((180, 320, 1), np.float32)
    inside[40:, 120:200] = 1
    person = sharp[::-1] * inside  # in focus, and not what counts
    notes: list[str] = []

    def blur(sigma: float, **values: object) -> np.ndarray:
        filmed = cv2.GaussianBlur(sharp, (0, 0), sigma) if sigma else sharp
        shot = ArraySource(np.stack([filmed * (1 - inside) + person] * 3), range(1001, 1004))
        matte = ArraySource(np.stack([inside] * 3))
        backdrop = Backdrop("still", frames=ArraySource(np.ascontiguousarray(sharp[:, ::-1])[None]))
        given = BackgroundInputs(shot, matte, Motion(pan(3, 0)), backdrop, 24)
        (chunk,) = Warp().make(given, context(notes, **values))
        return np.asarray(chunk["blur"]) * 180

    assert blur(0, defocus=1).max() < 0.5
    for sigma in (2, 6):
        np.testing.assert_allclose(blur(sigma, defocus=1), sigma, rtol=0.35)
    assert "softer" in notes[-1]
    full = blur(6, defocus=1)[0]
    np.testing.assert_allclose(blur(6, defocus={"1001": 0, "1003": 1}), [0, full / 2, full], atol=1e-6)
    np.testing.assert_allclose(blur(6, defocus=1, blur=5), np.hypot(full, 9), atol=1e-6)
    assert not blur(6).any()


def test_a_clip_is_timed_to_the_shot() -> None:
    pictures = np.zeros((5, 9, 16, 3), np.float32)

    def index(**values: Any) -> list[int]:
        return make(pan(12, 0), pictures, kind="clip", rate=24, **values)["backdrop_index"].tolist()

    assert index(clip_end="hold") == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4]
    assert index(clip_end="loop") == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert index(clip_end="pingpong") == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]
    assert index(plate_rate=48)[:6] == [0, 0, 1, 1, 2, 2]
    assert index(plate_rate=12, clip_end="hold")[:4] == [0, 2, 4, 4]


def test_render_has_any_size_and_keeps_values_above_1() -> None:
    stored = make(pan(2, 0), np.full((1, 20, 30, 3), 7.5, np.float32))
    for height, width in ((36, 64), (90, 160), (7, 5)):
        image = Warp().render(frame(stored, 0), np.full((20, 30, 3), 7.5, np.float32), height, width, context())
        assert image.shape == (height, width, 3)
        assert image.dtype == np.float32
        np.testing.assert_allclose(image, 7.5, rtol=1e-5)


def test_a_large_backdrop_does_not_flicker_under_a_slow_move() -> None:
    fine = np.random.default_rng(0).uniform(0, 1, (720, 1280, 1)).astype(np.float32).repeat(3, -1)
    stored = make(pan(8, 0.1 / WIDTH), fine[None])
    warp = Warp()
    images = np.stack([warp.render(frame(stored, t), fine, HEIGHT, WIDTH, context()) for t in range(8)])
    # a tenth of a pixel of motion changes a picture by less than a tenth of its own contrast
    contrast = np.abs(np.diff(images[0], axis=1)).mean()
    assert np.abs(np.diff(images, axis=0)).mean() < 0.15 * contrast
    assert images.std() < 0.06  # 20 x 20 pixels went into each: nothing is left of single ones


def test_a_frame_that_stands_still_is_drawn_once() -> None:
    picture = coordinates(90, 160)
    stored = make(pan(3, 0), picture[None])
    warp = Warp()
    first = warp.render(frame(stored, 0), picture, HEIGHT, WIDTH, context())
    assert warp.render(frame(stored, 1), picture, HEIGHT, WIDTH, context()) is first
    assert warp.render(frame(stored, 1), picture.copy(), HEIGHT, WIDTH, context()) is not first
    assert warp.render(frame(stored, 1), picture, HEIGHT, WIDTH + 1, context()).shape[1] == WIDTH + 1
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_pictures_that_come_and_go_in_one_buffer_are_told_apart() -> None:
    stored, warp = make(pan(3, 0.01), np.zeros((3, 90, 160, 3), np.float32), kind="clip", rate=24), Warp()
    buffer = np.empty((90, 160, 3), np.float32)
    for index in (0, 1, 2, 0):
        buffer[:] = 0.1 * (index + 1)
        image = warp.render(frame(stored, index), buffer, HEIGHT, WIDTH, context())
        np.testing.assert_allclose(image, 0.1 * (index + 1), atol=1e-5)
    for level in (0.2, 0.7, 0.4):  # freed and allocated again, most likely at the same place
        image = warp.render(frame(stored, 0), np.full((360, 640, 3), level, np.float32), HEIGHT, WIDTH, context())
        np.testing.assert_allclose(image, level, atol=1e-5)


def test_a_backdrop_without_a_picture_is_refused() -> None:
    with pytest.raises(ShotError, match="no picture"):
        list(Warp().make(inputs(Motion(pan(1, 0)), Backdrop("prompt", prompt="a beach"), 24), context()))
