"""Plates with windows of their own: what lies outside the display window is looked at, relit and delivered, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from anyportal_core.delivery import Delivery
from anyportal_core.errors import SizeMismatchError
from anyportal_core.frames import FrameSet, Image
from anyportal_core.media.windows import Window
from anyportal_core.recipe import Recipe
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_image, write_images
from tests.integration.core_house import read, recipe_for, render

FRAMES = 5
DISPLAY = (10, 20, 96, 64)
OVERSCAN = (2, 14, 116, 74)
"""8 pixels to the left, 6 above, 12 to the right and 4 below."""
LAYERS = ("comp", "foreground", "background", "matte")

SCENE = moving_scene(FRAMES, height=74, width=116)
PLATE = (SCENE.plate * 1.5 - 0.01).astype(np.float16)
MATTE = np.float32(SCENE.matte > 0.5)


def write_exr(path: Path, pixels: NDArray[Any], data: Window, display: Window = DISPLAY) -> Path:
    """What of a picture of the whole overscan a data window holds."""
    x, y = data[0] - OVERSCAN[0], data[1] - OVERSCAN[1]
    held = np.ascontiguousarray(pixels[y : y + data[3], x : x + data[2]])
    spec = oiio.ImageSpec(data[2], data[3], held.shape[2], "half")
    spec.x, spec.y = data[:2]
    spec.full_x, spec.full_y, spec.full_width, spec.full_height = display
    file: Any = oiio.ImageOutput.create(str(path))
    assert file.open(str(path), spec) and file.write_image(held)
    file.close()
    return path


def windows(path: Path) -> tuple[Window, Window]:
    file: Any = oiio.ImageInput.open(str(path))
    spec = file.spec()
    file.close()
    return (spec.full_x, spec.full_y, spec.full_width, spec.full_height), (spec.x, spec.y, spec.width, spec.height)


def channels(path: Path) -> dict[str, NDArray[Any]]:
    file: Any = oiio.ImageInput.open(str(path))
    names = file.spec().channelnames
    pixels = file.read_image("half")
    file.close()
    return {name: pixels[..., i] for i, name in enumerate(names)}


def rgb(layers: dict[str, NDArray[Any]], layer: str = "") -> NDArray[Any]:
    return np.stack([layers[f"{layer}{letter}"] for letter in "RGB"], axis=-1)


def grey(matte: Image) -> Image:
    return np.repeat(matte[..., None], 3, axis=-1)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return recipe_for(backdrop(tmp_path_factory.mktemp("backdrop")), relight_strength=0.0)


def backdrop(folder: Path) -> Path:
    return write_image(folder / "backdrop.png", SCENE.background[0])


def shot(folder: Path, matte: Path, **more: Any) -> Shot:
    return Shot(
        MediaRef(folder / "plate.%04d.exr"),
        matte=MediaRef(matte),
        backdrop=MediaRef(backdrop(folder)),
        name="shot",
        **more,
    )


def plates(folder: Path, *data: Window) -> None:
    for index in range(FRAMES):
        write_exr(folder / f"plate.{1001 + index}.exr", PLATE[index], data[index % len(data)])


def at(data: Window, index: int, picture: NDArray[Any] = PLATE) -> NDArray[Any]:
    x, y = data[0] - OVERSCAN[0], data[1] - OVERSCAN[1]
    return picture[index, y : y + data[3], x : x + data[2]]


MOVING: tuple[Window, ...] = (
    OVERSCAN,
    DISPLAY,
    (30, 40, 40, 30),  # cropped to what is there
    (2, 14, 60, 60),  # beyond it at two sides
    (110, 20, 8, 30),  # wholly beside it: the display window ends at 106
)


@pytest.mark.parametrize("given", ["display.png", "display.exr", "whole.png", "cropped.exr", "elsewhere.exr"])
def test_results_have_each_frame_s_windows_and_the_plate_s_own_pixels(
    tmp_path: Path, recipe: Recipe, given: str
) -> None:
    """Wherever a matte's file puts its windows, its display window is the plate's."""
    plates(tmp_path, *MOVING)
    x, y = DISPLAY[0] - OVERSCAN[0], DISPLAY[1] - OVERSCAN[1]
    shown, cover = (slice(None), slice(y, y + 64), slice(x, x + 96)), np.zeros_like(MATTE)
    if given == "display.png":
        write_images(tmp_path / "matte.%04d.png", grey(MATTE[shown]))
        cover[shown] = MATTE[shown]
    elif given == "whole.png":
        write_images(tmp_path / "matte.%04d.png", grey(MATTE))
        cover = MATTE
    else:
        data = {"display.exr": DISPLAY, "cropped.exr": (20, 14, 98, 60), "elsewhere.exr": (20, 14, 98, 60)}[given]
        part = (slice(None), slice(data[1] - 14, data[1] - 14 + data[3]), slice(data[0] - 2, data[0] - 2 + data[2]))
        cover[part] = MATTE[part]
        for index in range(FRAMES):
            path = write_exr(tmp_path / f"matte.{1001 + index}.exr", grey(MATTE[index]), data)
            if given == "elsewhere.exr":
                moved(path, 1000, -50)
    ending = given.rpartition(".")[2]
    heard = render(
        shot(tmp_path, tmp_path / f"matte.%04d.{ending}"), recipe, tmp_path / "out", Delivery(LAYERS, format="exr")
    )
    assert not any("overscan" in text for text in heard.said)
    for index, data in enumerate(MOVING):
        path = tmp_path / f"out/shot.{1001 + index}.exr"
        assert windows(path) == (DISPLAY, data)
        stored = channels(path)
        inside = at(data, index, cover)
        np.testing.assert_array_equal(stored["matte.A"], inside)
        np.testing.assert_array_equal(rgb(stored)[inside == 1], at(data, index)[inside == 1])
        np.testing.assert_array_equal(rgb(stored)[inside == 0], rgb(stored, "background.")[inside == 0])


def moved(path: Path, right: int, down: int) -> None:
    """The same file with all windows elsewhere."""
    image = oiio.ImageBuf(str(path))
    image.read(force=True)
    spec = image.specmod()
    spec.x, spec.full_x = spec.x + right, spec.full_x + right
    spec.y, spec.full_y = spec.y + down, spec.full_y + down
    image.write(str(path))


def test_formats_without_overscan_end_with_the_display_window(tmp_path: Path, recipe: Recipe) -> None:
    plates(tmp_path, *MOVING)
    write_images(tmp_path / "matte.%04d.png", grey(MATTE))
    whole = shot(tmp_path, tmp_path / "matte.%04d.png")
    render(whole, recipe, tmp_path / "exr", Delivery(LAYERS, format="exr"))
    for form in ("png", "prores"):
        render(whole, recipe, tmp_path / form, Delivery(LAYERS, format=form))
    alpha = read(tmp_path / "png/shot_matte.%04d.png")
    assert alpha.shape == (FRAMES, 64, 96, 3)
    for index, data in enumerate(MOVING):
        covered = np.zeros((74, 116), np.float32)
        x, y = data[0] - OVERSCAN[0], data[1] - OVERSCAN[1]
        covered[y : y + data[3], x : x + data[2]] = at(data, index, MATTE)
        # Around the plate's pixels nothing is in front.
        np.testing.assert_array_equal(alpha[index, ..., 0], covered[6:70, 8:104])
    assert read(tmp_path / "prores/shot.mov").shape == (FRAMES, 64, 96, 3)


def test_a_range_rendered_again_within_the_shot_is_the_same(tmp_path: Path, recipe: Recipe) -> None:
    """The picture is that of all frames that are analysed, not of those delivered."""
    plates(tmp_path, *MOVING)
    write_images(tmp_path / "matte.%04d.png", grey(MATTE))
    matte, delivery = tmp_path / "matte.%04d.png", Delivery(LAYERS, format="exr")
    render(shot(tmp_path, matte), recipe, tmp_path / "whole", delivery)
    again = shot(tmp_path, matte, frames=FrameSet.parse("1002-1003"), within=FrameSet.parse("1001-1005"))
    (tmp_path / "apart").mkdir()
    render(again, recipe, tmp_path / "apart/out", delivery)
    for number in (1002, 1003):
        name = f"shot.{number}.exr"
        assert (tmp_path / "apart/out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_matte_of_no_size_that_fits(tmp_path: Path, recipe: Recipe) -> None:
    plates(tmp_path, OVERSCAN)
    write_images(tmp_path / "matte.%04d.png", grey(MATTE[:, :70]))
    with pytest.raises(SizeMismatchError, match="the matte is 116x70, but the plate is 96x64"):
        render(shot(tmp_path, tmp_path / "matte.%04d.png"), recipe, tmp_path / "out")


def test_what_a_crop_cuts_off_is_no_darkness_to_be_lit(tmp_path: Path) -> None:
    """The matte ends with the plate's pixels, for the light too: else it would brighten the black around them."""
    write_images(tmp_path / "matte.%04d.png", grey(MATTE[:, 6:70, 8:104]))
    gains = []
    for name, data in (("whole", (OVERSCAN,)), ("crop", ((30, 40, 40, 30),))):
        folder = tmp_path / name
        folder.mkdir()
        plates(folder, *data)
        (folder / "matte").symlink_to(tmp_path)
        made = shot(folder, folder / "matte/matte.%04d.png")
        render(made, recipe_for(folder / "backdrop.png"), folder / "out", Delivery((*LAYERS, "gain"), format="exr"))
        gains.append(rgb(channels(folder / "out/shot.1003.exr"), "gain."))
    assert gains[1].max() < 1.3 * gains[0].max(), "nor does what is not there count as the old place's darkness"
