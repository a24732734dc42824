"""What the stage hands to the relighting beside the background: the backdrop's whole pictures."""

from __future__ import annotations

import numpy as np
import pytest

from anyportal_core.frames import Image
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.draft.scene.framing import Look, place
from anyportal_core.stages.harmonise import Surroundings

WIDE = np.linspace(0, 1.5, 24, dtype=np.float32).reshape(1, 8, 3).repeat(4, axis=0)


class Reader:
    def __init__(self, picture: Image) -> None:
        self._picture = picture

    def read(self, index: int) -> Image:
        return self._picture * index


class OneShot:
    """A shot of two frames whose background is a part of the backdrop."""

    numbers = range(11, 13)
    aspect = 16 / 9

    def __init__(self, placement: np.ndarray, **more: np.ndarray) -> None:
        self._placement, self._more = placement, more
        self.backdrop = WIDE

    def background_frame(self, index: int) -> dict[str, np.ndarray]:
        return {"placement": self._placement, **self._more}

    def backdrop_reader(self, encoding: object, long_side: int) -> Reader:
        assert long_side <= 512
        return Reader(self.backdrop)


PART = np.array([[0.5, 0, 0.4], [0, 0.5, 0.1], [0, 0, 1]])
MIRRORED = PART @ np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])


def test_the_whole_picture_lights_the_foreground_however_it_is_framed() -> None:
    around = Surroundings(OneShot(PART, backdrop_index=np.int64(1)))  # type: ignore[arg-type]
    assert len(around) == 2 and (around.height, around.width) == (4, 8)
    np.testing.assert_array_equal(around.read(0, 2), np.stack([np.clip(WIDE, 0, 1)] * 2))


def test_it_is_mirrored_where_the_background_is() -> None:
    around = Surroundings(OneShot(MIRRORED, backdrop_index=np.int64(1)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(around.read(1, 2)[0], np.clip(WIDE, 0, 1)[:, ::-1])


def turned(degrees: float, flip: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Of a backdrop that is light on the left, framed so: what lights the foreground, and what the frame shows."""
    look = Look(scale=1, offset_x=0, offset_y=0, rotation=np.deg2rad(degrees), flip=flip, motion=1)
    placement = place(np.eye(3)[None, None], [look], (OneShot.aspect, 2.0), "damp", 9.0).placement[0, 0]
    shot = OneShot(placement, backdrop_index=np.asarray(1))
    shot.backdrop = np.repeat(np.linspace(1, 0, 64, dtype=np.float32)[None, :, None], 32, 0).repeat(3, 2)
    around = Surroundings(shot).read(0, 1)[0]  # type: ignore[arg-type]
    return sides(around), sides(ops.warp(shot.backdrop, placement, 36, 64))


def sides(picture: np.ndarray) -> np.ndarray:
    """By how much the right is lighter than the left, and the lower half than the upper."""
    height, width = picture.shape[:2]
    across = picture[:, width // 2 :].mean() - picture[:, : width // 2].mean()
    return np.array([across, picture[height // 2 :].mean() - picture[: height // 2].mean()])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("degrees", [0, 45, 90, 135, 180, 225, -90])
def test_light_comes_from_where_it_is_seen(degrees: float, flip: bool) -> None:
    lit, seen = turned(degrees, flip)
    assert np.abs(lit).max() > 0.25
    np.testing.assert_array_equal(np.sign(np.round(lit, 1)), np.sign(np.round(seen, 1)))


def test_light_does_not_jump_where_the_backdrop_turns() -> None:
    path = np.array([turned(degrees)[0] for degrees in range(0, 361, 3)])
    assert np.abs(np.diff(path, axis=0)).max() < 0.06


def test_a_background_that_was_made_is_all_that_is_known_of_its_place() -> None:
    assert Surroundings.known(OneShot(PART, backdrop_index=np.int64(0)))  # type: ignore[arg-type]
    assert not Surroundings.known(OneShot(PART))  # type: ignore[arg-type]
