"""Plates of every shape through the draft preset: strips, portraits, oblong pixels, odd sides."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from anyportal_core.media.clip import open_clip
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_images, write_movie
from tests.integration.core_house import read, recipe_for, render

COUNT = 2


def disc(height: int, width: int) -> np.ndarray:
    """White on black, round where pixels are squares; half the height across, or half the width."""
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.hypot(x - width / 2, y - height / 2) < min(height, width) / 4
    return np.repeat(inside[..., None], 3, -1).astype(np.float32)


def shot_of(folder: Path, height: int, width: int, **attributes: object) -> Shot:
    """A moving scene of any size with its matte, before a backdrop of the same size; 16 bits."""
    scene = moving_scene(COUNT, height, width)
    grey = np.repeat(scene.matte[..., None], 3, -1)
    for name, frames in (("plate", scene.plate), ("matte", grey), ("still", 1 - scene.background[:1])):
        (folder / name).mkdir(parents=True)
        write_images(folder / name / f"{name}.%04d.png", frames, 1, "uint16", attributes=attributes)
    matte, still = MediaRef(folder / "matte/matte.%04d.png"), MediaRef(folder / "still/still.0001.png")
    return Shot(MediaRef(folder / "plate/plate.%04d.png"), matte=matte, backdrop=still)


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 64), (333, 1), (2, 3), (200, 8192), (4096, 40), (640, 360), (101, 179)],
)
def test_a_plate_of_any_shape(tmp_path: Path, height: int, width: int) -> None:
    shot = shot_of(tmp_path, height, width)
    assert shot.backdrop is not None
    heard = render(shot, recipe_for(shot.backdrop.path, relight_strength=0), tmp_path / "out")
    made, plate = np.stack([read(file.path)[0] for file in heard.written]), read(shot.plate.path)
    assert made.shape == (COUNT, height, width, 3)
    alpha = read(shot.matte.path)[..., :1] if shot.matte else plate
    inside = alpha[..., 0] == 1
    assert np.array_equal(made[inside], plate[inside])
    assert np.isfinite(made).all() and (made[alpha[..., 0] == 0].size == 0 or made[alpha[..., 0] == 0].std() > 0)
    if max(height, width) < 4000:  # relit too
        render(shot, recipe_for(shot.backdrop.path), tmp_path / "relit")


@pytest.mark.parametrize("pixel_aspect", [Fraction(2), Fraction(1, 2)])
def test_before_oblong_pixels_a_backdrop_keeps_its_shape(tmp_path: Path, pixel_aspect: Fraction) -> None:
    """A disc on a backdrop of square pixels is shown as a disc, by models as well as in the result."""
    height, width = 120, 160
    write_images(tmp_path / "still.1.png", disc(240, 320)[None])
    write_movie(tmp_path / "matte.mov", np.zeros((COUNT, height, width, 3), np.float32))
    plate = moving_scene(COUNT, height, width, pan=0).background
    write_movie(tmp_path / "plate.mov", plate, pixel_aspect=pixel_aspect)
    shot = Shot(
        MediaRef(tmp_path / "plate.mov"),
        matte=MediaRef(tmp_path / "matte.mov"),
        backdrop=MediaRef(tmp_path / "still.1.png"),
    )
    heard = render(shot, recipe_for(tmp_path / "still.1.png"), tmp_path / "out")
    assert heard.extent is not None
    assert heard.extent.work_pixels == 2 * height * width, "square pixels, none of them lost"
    with open_clip(MediaRef(heard.written[0].path)) as made:
        assert made.info.pixel_aspect == pixel_aspect
        picture = next(made.frames()).pixels[..., 1]
    rows, columns = (np.ptp(np.nonzero((picture > 0.5).any(axis))[0]) + 1 for axis in (1, 0))
    assert columns * float(pixel_aspect) / rows == pytest.approx(1, abs=0.05)


def test_an_oblong_backdrop_of_the_plates_own_size_lies_pixel_on_pixel(tmp_path: Path) -> None:
    shot = shot_of(tmp_path, 72, 96, PixelAspectRatio=2.0)
    shot = replace(shot, matte=MediaRef(tmp_path / "none/none.%04d.png"))
    (tmp_path / "none").mkdir()
    write_images(tmp_path / "none/none.%04d.png", np.zeros((COUNT, 72, 96, 3), np.float32), 1)
    assert shot.backdrop is not None
    heard = render(shot, recipe_for(shot.backdrop.path, **{"background.motion": 0}), tmp_path / "out")
    assert np.array_equal(read(heard.written[0].path)[0], read(shot.backdrop.path)[0])
