"""Shots that bring more than a matte: corrections, a clean plate, garbage and holdout, through the whole pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import FrameRangeError, LengthMismatchError
from anyportal_core.frames import Image
from anyportal_core.models import Models
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import Scene, write_images, write_movie
from anyportal_core.testing.drawn import drawn_person
from tests.integration.core_house import Heard

HEIGHT, WIDTH = 120, 160


@pytest.fixture(scope="module")
def scene() -> Scene:
    return drawn_person(count=5, height=HEIGHT, width=WIDTH)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory, scene: Scene) -> Path:
    folder = tmp_path_factory.mktemp("media")
    write_movie(folder / "plate.mp4", scene.plate)
    garbage, holdout = np.zeros((1, HEIGHT, WIDTH, 3), np.float32), np.zeros((1, HEIGHT, WIDTH, 3), np.float32)
    garbage[:, :60], holdout[:, 100:, :20] = 1, 1
    for name, image in (("garbage", garbage), ("holdout", holdout), ("clean", scene.background[:1])):
        write_images(folder / f"{name}.%01d.png", image, 1)
    for index in (0, 4):
        mask = (scene.matte[index] > 0.5).astype(np.float32)[None, ..., None]
        write_images(folder / f"mask{index}.%01d.png", np.repeat(mask, 3, axis=-1), 1)
    return folder


def still(folder: Path, name: str) -> MediaRef:
    return MediaRef(folder / f"{name}.1.png")


def mattes(shot: Shot, folder: Path, plugin: str) -> tuple[Image, list[str]]:
    """The delivered mattes ``(T, H, W)``, and the stages that ran."""
    request = RecipeRequest(BackdropChoice("colour", "#336699"), "draft", settings={"matte.plugin": plugin})
    catalogue, watcher, out = load_catalogue(), Heard(), folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    recipe = resolve(request, catalogue)
    delivery = Delivery(format="png", layers=("matte",))
    render_shot(shot, recipe, delivery, out, DirectoryCache(folder / "stages"), watcher, catalogue, Models(folder))
    pictures = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(out.rglob("*.png"))]
    greys = [picture if picture.ndim == 2 else picture[..., 0] for picture in pictures]
    return np.stack([grey.astype(np.float32) / np.iinfo(grey.dtype).max for grey in greys]), watcher.ran


def test_garbage_and_holdout_reach_the_delivered_matte(media: Path, scene: Scene, tmp_path: Path) -> None:
    shot = Shot(MediaRef(media / "plate.mp4"), clean_plate=still(media, "clean"))
    plain, _ = mattes(shot, tmp_path, "draft.difference")
    assert np.abs(plain - scene.matte).mean() < 0.02
    held = replace(shot, garbage=still(media, "garbage"), holdout=still(media, "holdout"))
    limited, ran = mattes(held, tmp_path / "again", "draft.difference")
    assert "matte" in ran
    assert limited[:, :58].max() < 0.02 < 0.98 < limited[:, 102:, :18].min()


def test_corrections_alone_carry_a_mask(media: Path, scene: Scene, tmp_path: Path) -> None:
    """A stored matte is made anew when a correction comes, and kept when none does."""
    one = Shot(MediaRef(media / "plate.mp4"), corrections={0: still(media, "mask0")})
    two = replace(one, corrections={0: still(media, "mask0"), 4: still(media, "mask4")})
    found, first = mattes(two, tmp_path, "draft.propagate")
    assert np.abs(found - scene.matte).mean() < 0.02
    _, second = mattes(one, tmp_path, "draft.propagate")
    _, third = mattes(one, tmp_path, "draft.propagate")
    assert "matte" in first and "matte" in second and "matte" not in third


def test_a_correction_of_a_frame_that_is_not_there_is_refused(media: Path, tmp_path: Path) -> None:
    shot = Shot(MediaRef(media / "plate.mp4"), corrections={9: still(media, "mask0")})
    with pytest.raises(FrameRangeError, match="frame 9"):
        mattes(shot, tmp_path, "draft.propagate")


@pytest.mark.parametrize(
    ("field", "named"), [("garbage", "garbage matte"), ("holdout", "holdout matte"), ("clean_plate", "clean plate")]
)
def test_a_guide_of_another_length_is_called_by_its_name(media: Path, tmp_path: Path, field: str, named: str) -> None:
    long = write_movie(tmp_path / "long.mp4", np.zeros((8, HEIGHT, WIDTH, 3), np.float32))
    shot = Shot(MediaRef(media / "plate.mp4"), clean_plate=still(media, "clean"))
    with pytest.raises(LengthMismatchError, match=f"the {named} has 8 frames") as caught:
        mattes(replace(shot, **{field: MediaRef(long)}), tmp_path, "draft.difference")
    assert named in caught.value.hint
