"""Backdrops of every shape behind a moving camera: strips, single pixels, pictures smaller than a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from anyportal_core.catalogue import load_catalogue
from anyportal_core.errors import ShotError, SizeMismatchError
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_images, write_movie
from tests.integration.core_house import read, recipe_for, render

COUNT, HEIGHT, WIDTH = 12, 96, 160
LEAST = 0.3
"""What every backdrop here has at least: anything darker in a result is a border."""


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shot]:
    """A camera that pans two pixels a frame; 16 bits."""
    folder = tmp_path_factory.mktemp("shot")
    scene = moving_scene(COUNT, HEIGHT, WIDTH, pan=2.0)
    grey = np.repeat(scene.matte[..., None], 3, -1)
    for name, frames in (("plate", scene.plate), ("matte", grey)):
        (folder / name).mkdir()
        write_images(folder / name / f"{name}.%04d.png", frames, 1, "uint16")
    yield Shot(MediaRef(folder / "plate/plate.%04d.png"), matte=MediaRef(folder / "matte/matte.%04d.png"))


def picture(height: int, width: int) -> np.ndarray:
    """A rise from left to right and from top to bottom, ``(1, h, w, 3)``."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x / width, y / height, 0 * x], -1)[None].astype(np.float32) * 0.5 + LEAST


def before(folder: Path, shot: Shot, still: np.ndarray, **settings: object) -> np.ndarray:
    """The backgrounds of the shot before a still, where nothing is before them; 0 elsewhere."""
    write_images(folder / "still.%04d.png", still, 1, "uint16")
    path = folder / "still.0001.png"
    heard = render(replace(shot, backdrop=MediaRef(path)), recipe_for(path, **settings), folder / "out")
    assert shot.matte is not None
    made, alpha = np.stack([read(file.path)[0] for file in heard.written]), read(shot.matte.path)[..., :1]
    return np.where(alpha == 0, made, 1)


@pytest.mark.parametrize("beyond", ["damp", "mirror"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 400), (400, 1), (8, 160), (20000, 9), (12, 20), (96, 160)])
def test_a_backdrop_of_any_shape_fills_every_frame(
    tmp_path: Path, shot: Shot, height: int, width: int, beyond: str
) -> None:
    made = before(tmp_path, shot, picture(height, width), beyond=beyond)
    assert np.isfinite(made).all()
    assert made[..., :2].min() > LEAST - 0.03


def test_a_move_beyond_a_small_backdrop_is_refused_where_that_is_asked_for(tmp_path: Path, shot: Shot) -> None:
    with pytest.raises(ShotError, match="times as large") as raised:
        before(tmp_path, shot, picture(96, 160), beyond="refuse", largest_zoom=1.05)
    assert raised.value.hint


def test_a_clip_whose_pictures_differ_in_size_is_refused_by_the_frame(tmp_path: Path, shot: Shot) -> None:
    for number, (height, width) in enumerate([(90, 160), (45, 80)], 1):
        write_images(tmp_path / "clip.%04d.png", picture(height, width), number, "uint16")
    recipe = resolve(RecipeRequest(BackdropChoice("clip", "0" * 64)), load_catalogue(), frozenset({"matte"}))
    with pytest.raises(SizeMismatchError, match="frame 2 is 80x45"):
        render(replace(shot, backdrop=MediaRef(tmp_path / "clip.%04d.png")), recipe, tmp_path / "out")


def test_before_a_static_camera_the_background_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    scene = moving_scene(6, HEIGHT, WIDTH, pan=0)
    grain = np.random.default_rng(0).normal(0, 0.02, scene.plate.shape)
    grey = np.repeat(scene.matte[..., None], 3, -1)
    for name, frames in (("plate", scene.plate + grain), ("matte", grey)):
        (tmp_path / name).mkdir()
        write_images(tmp_path / name / f"{name}.%04d.png", frames.clip(0, 1).astype(np.float32), 1, "uint16")
    still = Shot(MediaRef(tmp_path / "plate/plate.%04d.png"), matte=MediaRef(tmp_path / "matte/matte.%04d.png"))
    made = before(tmp_path, still, picture(HEIGHT // 2, WIDTH // 3))
    behind = np.where((scene.matte == 0).all(0)[..., None], made, 0)
    assert (scene.matte == 0).all(0).mean() > 0.3
    np.testing.assert_array_equal(behind, np.broadcast_to(behind[0], behind.shape))


@pytest.mark.parametrize(
    ("rate", "end", "expected"),
    [
        (24, "hold", [0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5, 5]),
        (24, "loop", [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]),
        (24, "pingpong", [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1]),
        (12, "hold", [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
        (60, "pingpong", [0, 2, 5, 3, 0, 2, 5, 3, 0, 2, 5, 3]),
    ],
)
def test_a_clip_is_played_at_its_own_rate_and_on_after_its_end(
    tmp_path: Path, shot: Shot, rate: int, end: str, expected: list[int]
) -> None:
    levels = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7], np.float32)
    grey = np.broadcast_to(levels[:, None, None, None], (6, 48, 80, 3))
    path = write_movie(tmp_path / "clip.mp4", grey, rate=Fraction(rate), options={"crf": "0"})
    request = RecipeRequest(BackdropChoice("clip", "0" * 64), settings={"clip_end": end})
    recipe = resolve(request, load_catalogue(), frozenset({"matte"}))
    plate = replace(shot.plate, rate=Fraction(24))
    heard = render(replace(shot, plate=plate, backdrop=MediaRef(path)), recipe, tmp_path / "out")
    corners = [float(read(file.path)[0][0, 0, 1]) for file in heard.written]
    assert [int(np.abs(levels - corner).argmin()) for corner in corners] == expected
