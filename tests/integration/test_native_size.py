"""The plate's own size: backdrops pixel for pixel, and memory that does not grow with the frames."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import RecipeError
from anyportal_core.frames import FrameSet
from anyportal_core.media.clip import open_clip
from anyportal_core.media.writers import Written
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.stages.results import Result
from anyportal_core.testing.clips import write_image, write_images

COUNT, HEIGHT, WIDTH = 3, 600, 1000
LAYERS = ("comp", "foreground", "background", "matte", "gain")


class Memory:
    """An observer that notes what arrays and objects hold when a frame is done, and the most since the one before."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.most: list[int] = []

    def started(self, frames: FrameSet, rate: Fraction) -> None: ...

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None: ...

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None: ...

    def files(self, written: Sequence[Written]) -> None:
        if not written:
            return
        held, most = tracemalloc.get_traced_memory()
        self.held.append(held)
        self.most.append(most)
        tracemalloc.reset_peak()

    def log(self, text: str, warning: bool = False) -> None: ...

    def checkpoint(self) -> None: ...


def plate_of(count: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A still camera before a wall, grain, and something round in front of it."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wall = generator.random((height // 8, width // 8, 3), np.float32).repeat(8, 0).repeat(8, 1)
    inside = np.clip((height / 4 - np.hypot(x - width / 2, y - height / 2)) / 3, 0, 1)
    plate = wall * (1 - inside[..., None]) + 0.3 * inside[..., None]
    return np.stack([plate + 0.01 * generator.standard_normal(plate.shape) for _ in range(count)]), inside


def zone_plate(height: int, width: int) -> np.ndarray:
    """Rings up to the finest that pixels can show, with light far above 1 and below 0 in it."""
    y, x = np.mgrid[:height, :width]
    rings = 0.5 + 0.5 * np.cos(np.pi * ((x - width / 2) ** 2 + (y - height / 2) ** 2) / width)
    picture = np.repeat(rings[..., None], 3, -1)
    picture[:20, :20], picture[:20, 20:40] = 40.0, -0.05
    return picture.astype(np.float16).astype(np.float32)


def render(folder: Path, plate: np.ndarray, matte: np.ndarray, backdrop: Path, layers: tuple[str, ...]) -> Memory:
    write_images(folder / "plate.%04d.exr", plate.astype(np.float32), 1001, "half")
    covers = np.broadcast_to(matte[None, ..., None], (*plate.shape[:3], 3)).astype(np.float32)
    write_images(folder / "matte.%04d.png", covers, 1001, "uint16")
    choice = BackdropChoice("still", hashlib.sha256(backdrop.read_bytes()).hexdigest())
    # A zone plate has no black: that is no haze.
    request = RecipeRequest(choice, settings={"harmonise.haze": 0})
    recipe = resolve(request, load_catalogue(), frozenset({"matte"}))
    shot = Shot(
        MediaRef(folder / "plate.%04d.exr"), matte=MediaRef(folder / "matte.%04d.png"), backdrop=MediaRef(backdrop)
    )
    memory = Memory()
    render_shot(shot, recipe, Delivery(layers, "exr"), folder / "out", DirectoryCache(folder / "cache"), memory)
    return memory


def rendered(folder: Path, layer: str) -> np.ndarray:
    """A layer of the first frame as its file holds it."""
    file = oiio.ImageInput.open(str(next((folder / "out").glob("*.1001.exr"))))
    names = list(file.spec().channelnames)
    channels = [names.index(f"{layer}.{colour}") for colour in "RGB"]
    pixels = np.asarray(file.read_image(oiio.HALF)).reshape(file.spec().height, file.spec().width, -1)
    file.close()
    return pixels[..., channels]


@pytest.fixture(scope="module")
def footage() -> tuple[np.ndarray, np.ndarray]:
    return plate_of(COUNT, HEIGHT, WIDTH)


def test_a_backdrop_of_the_plates_size_arrives_pixel_for_pixel(
    tmp_path: Path, footage: tuple[np.ndarray, np.ndarray]
) -> None:
    """Work size is two thirds of it: nothing finer than that would have come through."""
    picture = zone_plate(HEIGHT, WIDTH)
    backdrop = write_image(tmp_path / "backdrop.exr", picture, "half")
    render(tmp_path, *footage, backdrop, LAYERS)
    assert rendered(tmp_path, "background").tobytes() == picture.astype(np.float16).tobytes()


def test_a_backdrop_of_twice_the_plates_size_is_shrunk_by_means_once(
    tmp_path: Path, footage: tuple[np.ndarray, np.ndarray]
) -> None:
    picture = zone_plate(2 * HEIGHT, 2 * WIDTH)
    backdrop = write_image(tmp_path / "backdrop.exr", picture, "half")
    render(tmp_path, *footage, backdrop, LAYERS)
    means = picture.reshape(HEIGHT, 2, WIDTH, 2, 3).mean((1, 3))
    np.testing.assert_allclose(rendered(tmp_path, "background").astype(np.float32), means, rtol=1e-3, atol=1e-5)


def test_stages_store_nothing_of_the_plates_size(tmp_path: Path, footage: tuple[np.ndarray, np.ndarray]) -> None:
    backdrop = write_image(tmp_path / "backdrop.exr", zone_plate(HEIGHT, WIDTH), "half")
    render(tmp_path, *footage, backdrop, ("comp",))
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(kept) >= 5
    for path in kept:
        result = Result(path)
        for name in result.names:
            assert result.read(name, 0, 1).size < 640 * 640, name
        result.close()


def test_memory_does_not_grow_with_the_frames_at_2k(tmp_path: Path) -> None:
    """A full frame of light is 27 MB here."""
    frame = 1080 * 2048 * 3 * 4
    plate, matte = plate_of(1, 1080, 2048)
    backdrop = write_image(tmp_path / "backdrop.exr", zone_plate(1080, 2048), "half")
    plate, threads, measured = np.repeat(plate, 6, 0), cv2.getNumThreads(), []
    for count in (1, 2):
        cv2.setNumThreads(count)
        (tmp_path / str(count)).mkdir()
        tracemalloc.start()
        try:
            memory = render(tmp_path / str(count), plate[: 6 // count], matte, backdrop, ("comp",))
        finally:
            tracemalloc.stop()
            cv2.setNumThreads(threads)
        measured.append((np.array(memory.held[1:-1]), np.array(memory.most[1:-1])))
    (held, most), (_, most_at_once) = measured
    assert len(held) == 4
    assert np.abs(np.diff(held)).max() < frame / 50
    assert np.abs(np.diff(most)).max() < frame / 50
    assert (most - held.min()).max() < 5 * frame
    # One frame is made while the next is begun, and how far both are hangs on the machine.
    assert (most_at_once - held.min()).max() < 10 * frame


def test_the_plate_is_read_by_its_own_size(tmp_path: Path, footage: tuple[np.ndarray, np.ndarray]) -> None:
    backdrop = write_image(tmp_path / "backdrop.exr", zone_plate(HEIGHT, WIDTH), "half")
    render(tmp_path, *footage, backdrop, LAYERS)
    with open_clip(MediaRef(tmp_path / "plate.%04d.exr")) as clip:
        plate = next(iter(clip.frames())).pixels
    gain, foreground = rendered(tmp_path, "gain"), rendered(tmp_path, "foreground").astype(np.float32)
    core = footage[1] == 1
    lit = plate * gain.astype(np.float32)
    assert np.abs(np.log(gain[core].astype(np.float32))).max() > 0.02
    np.testing.assert_allclose(foreground[core], lit[core], rtol=2e-3, atol=1e-4)


def test_a_clean_plate_that_nothing_makes_is_refused_before_anything_is_done(
    tmp_path: Path, footage: tuple[np.ndarray, np.ndarray]
) -> None:
    backdrop = write_image(tmp_path / "backdrop.exr", zone_plate(HEIGHT, WIDTH), "half")
    with pytest.raises(RecipeError, match="clean plate"):
        render(tmp_path, *footage, backdrop, ("comp", "clean_plate"))
    assert not (tmp_path / "out").exists()
