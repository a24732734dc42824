"""What the stage hands to the relighting beside the background: the backdrop's whole pictures."""

from __future__ import annotations

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.stages.harmonise import Surroundings

WIDE = np.linspace(0, 1.5, 24, dtype=np.float32).reshape(1, 8, 3).repeat(4, axis=0)


class Reader:
    def read(self, index: int) -> Image:
        return WIDE * index


class OneShot:
    """A shot of two frames whose background is a part of the backdrop."""

    numbers = range(11, 13)

    def __init__(self, placement: np.ndarray, **more: np.ndarray) -> None:
        self._placement, self._more = placement, more

    def background_frame(self, index: int) -> dict[str, np.ndarray]:
        return {"placement": self._placement, **self._more}

    def backdrop_reader(self, encoding: object, long_side: int) -> Reader:
        assert long_side <= 512
        return Reader()


PART = np.array([[0.5, 0, 0.4], [0, 0.5, 0.1], [0, 0, 1]])
MIRRORED = PART @ np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])


def test_the_whole_picture_lights_the_foreground_however_it_is_framed() -> None:
    around = Surroundings(OneShot(PART, backdrop_index=np.int64(1)))  # type: ignore[arg-type]
    assert len(around) == 2 and (around.height, around.width) == (4, 8)
    np.testing.assert_array_equal(around.read(0, 2), np.stack([np.clip(WIDE, 0, 1)] * 2))


def test_it_is_mirrored_where_the_background_is() -> None:
    around = Surroundings(OneShot(MIRRORED, backdrop_index=np.int64(1)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(around.read(1, 2)[0], np.clip(WIDE, 0, 1)[:, ::-1])


def test_a_background_that_was_made_is_all_that_is_known_of_its_place() -> None:
    assert Surroundings.known(OneShot(PART, backdrop_index=np.int64(0)))  # type: ignore[arg-type]
    assert not Surroundings.known(OneShot(PART))  # type: ignore[arg-type]
