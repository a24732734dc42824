"""Whole shots as movies: the plate's codes and sound in them, and what is said where something cannot go along."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anyportal_core.delivery import Delivery
from anyportal_core.errors import ShotError
from anyportal_core.frames import FrameSet
from anyportal_core.media import movie_target, planes
from anyportal_core.media.clip import open_clip
from anyportal_core.media.planes import colour_planes
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import VIDEO, moving_scene, write_images, write_movie
from anyportal_core.testing.sounds import RATE, add_sound, hear
from tests.integration.core_house import recipe_for, render

COUNT, SIZE = 8, (128, 256)
LOSSLESS = {"qp": "0", "preset": "ultrafast"}


@pytest.fixture
def still(tmp_path: Path) -> Path:
    write_images(tmp_path / "still.1.png", moving_scene(1, 60, 100, seed=7).background)
    return tmp_path / "still.1.png"


def shot_of(plate: Path, still: Path, matte: np.ndarray | None = None) -> Shot:
    covers = np.ones((COUNT, *SIZE), np.float32) if matte is None else matte
    pattern = still.with_name("matte.%04d.png")
    write_images(pattern, np.repeat(covers[..., None], 3, -1), 0, "uint16")
    return Shot(MediaRef(plate), matte=MediaRef(pattern), backdrop=MediaRef(still))


@pytest.mark.parametrize(
    ("form", "layout", "bits"),
    [
        ("prores4444", "yuv444p10le", 10),
        ("prores", "yuv422p10le", 10),
        ("mp4", "yuv420p", 8),
        ("h265", "yuv420p10le", 10),
    ],
)
def test_what_nothing_changed_reaches_the_encoder_as_the_plate_has_it(
    tmp_path: Path, still: Path, monkeypatch: pytest.MonkeyPatch, form: str, layout: str, bits: int
) -> None:
    """Strength 0 where the matte is 1: the same codes in every plane, those beyond white and below black too."""
    encoding = replace(VIDEO, bits=bits)
    frames = moving_scene(COUNT, *SIZE).plate * 1.25 - 0.1
    plate = write_movie(tmp_path / "plate.mov", frames, 24, "libx264", layout, encoding, options=LOSSLESS)
    encoded: list[Any] = []

    def kept(*arguments: Any) -> Any:
        encoded.append(planes.video_frame(*arguments))
        return encoded[-1]

    monkeypatch.setattr(movie_target, "video_frame", kept)
    recipe = recipe_for(still, relight_strength=0)
    render(shot_of(plate, still), recipe, tmp_path / "out", Delivery(("comp",), form))
    with open_clip(MediaRef(plate)) as clip:
        pixels = [frame.pixels for frame in clip.frames()]
    assert max(image.max() for image in pixels) > 1.05 and min(image.min() for image in pixels) < -0.02
    assert len(encoded) == COUNT
    for image, made in zip(pixels, encoded, strict=True):
        there = planes.video_frame(image, layout, encoding)
        for before, after in zip(colour_planes(there), colour_planes(made), strict=True):
            np.testing.assert_array_equal(after[:, : before.shape[1]], before)


def test_a_shot_sounds_as_its_plate_does(tmp_path: Path, still: Path) -> None:
    scene = moving_scene(COUNT, *SIZE)
    silent = write_movie(
        tmp_path / "silent.mov", scene.plate, 24, "prores_ks", "yuv422p10le", replace(VIDEO, bits=10), options={}
    )
    plate = add_sound(silent, tmp_path / "plate.mov", "pcm_s24le", Fraction(COUNT, 24), tracks=2)
    shot = replace(shot_of(plate, still, scene.matte), frames=FrameSet.between(2, 5))
    recipe = recipe_for(still)
    heard = render(shot, recipe, tmp_path / "out", Delivery(("comp", "matte"), "dnxhr"))
    assert not any("sound" in text for text in heard.said)
    for track in range(2):
        theirs, ours = hear(plate, track), hear(tmp_path / "out" / "plate.mov", track)
        np.testing.assert_array_equal(ours.samples, theirs.samples[:, 2 * RATE // 24 : 6 * RATE // 24])
    with pytest.raises(IndexError):
        hear(tmp_path / "out" / "plate_matte.mov")
    again = render(shot, recipe, tmp_path / "mp4", Delivery(("comp",)))
    assert not any("sound" in text for text in again.said)
    np.testing.assert_array_equal(hear(tmp_path / "mp4" / "plate.mp4").samples, hear(plate).samples[:, 4000:12000])
    assert all(reused for stage, reused in again.reused.items() if stage != "finish")


def test_a_format_that_cannot_hold_the_picture_is_refused_before_anything_is_made(tmp_path: Path, still: Path) -> None:
    scene = moving_scene(COUNT, 64, 96)
    plate = write_movie(tmp_path / "plate.mp4", scene.plate)
    write_images(tmp_path / "matte.%04d.png", np.repeat(scene.matte[..., None], 3, -1), 0, "uint16")
    shot = Shot(MediaRef(plate), matte=MediaRef(tmp_path / "matte.%04d.png"), backdrop=MediaRef(still))
    with pytest.raises(ShotError, match=r"DNxHR.*96x64"):
        render(shot, recipe_for(still), tmp_path / "out", Delivery(("comp",), "dnxhr"))
    assert not (tmp_path / "stages").exists() or not list((tmp_path / "stages").rglob("*.npz"))


@pytest.mark.parametrize("form", ["mp4", "prores", "prores4444", "png", "tiff"])
def test_a_shot_of_one_pixel(tmp_path: Path, still: Path, form: str) -> None:
    plate = write_images(tmp_path / "one.%04d.png", np.full((2, 1, 1, 3), 0.6, np.float32), 1)[0].with_name(
        "one.%04d.png"
    )
    write_images(tmp_path / "cover.%04d.png", np.ones((2, 1, 1, 3), np.float32), 1)
    shot = Shot(MediaRef(plate), matte=MediaRef(tmp_path / "cover.%04d.png"), backdrop=MediaRef(still))
    heard = render(shot, recipe_for(still, relight_strength=0), tmp_path / "out", Delivery(("comp",), form))
    with open_clip(MediaRef(heard.written[0].path)) as clip:
        np.testing.assert_allclose(next(clip.frames()).pixels, 0.6, atol=0.02)
