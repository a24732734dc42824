"""Haze over a plate, through whole shots: taken off the foreground, and what is brighter than white is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.delivery import Delivery
from anyportal_core.ops import opencv as ops
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import write_images
from tests.integration.core_house import recipe_for, render

HEIGHT, WIDTH, COUNT = 96, 144, 3
HAZE, LAMP = 0.05, 8.0


def surfaces(seed: int) -> np.ndarray:
    """Light of surfaces of all shades, black ones too."""
    shades = np.random.default_rng(seed).uniform(0, 1, (HEIGHT // 4, WIDTH // 4, 1)).astype(np.float32)
    return 0.6 * ops.resize(np.repeat(shades, 3, -1), HEIGHT, WIDTH, "linear") ** 2


def rendered(folder: Path, name: str, haze: float, storage: str = "half", **settings: object) -> dict[str, np.ndarray]:
    """Layers of the second frame, and the plate, ``(H, W, 3)``."""
    light = surfaces(1)
    light[40:44, 70:74] = LAMP
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    matte = np.clip(30 - np.hypot(columns - 72, rows - 52) + 0.5, 0, 1)
    write_images(folder / f"{name}.%04d.exr", np.stack([light + np.float32(haze)] * COUNT), storage=storage)
    write_images(folder / f"{name}_m.%04d.png", np.repeat(matte[None, ..., None], COUNT, 0))
    write_images(folder / "backdrop.png", np.sqrt(surfaces(2))[None])
    shot = Shot(
        MediaRef(folder / f"{name}.%04d.exr"),
        matte=MediaRef(folder / f"{name}_m.%04d.png"),
        backdrop=MediaRef(folder / "backdrop.png"),
    )
    out = folder / f"{name}_out"
    recipe = recipe_for(folder / "backdrop.png", **settings)
    render(shot, recipe, out, Delivery(("foreground", "gain", "matte"), "exr"))
    image = oiio.ImageBuf(str(out / f"{name}.1002.exr"))
    names, pixels = image.spec().channelnames, np.asarray(image.get_pixels(oiio.FLOAT))
    layers = {n: pixels[..., [names.index(f"{n}.{c}") for c in "RGB"]] for n in ("foreground", "gain")}
    plate = oiio.ImageBuf(str(folder / f"{name}.1002.exr"))
    return layers | {"matte": pixels[..., names.index("matte.A")], "plate": np.asarray(plate.get_pixels(oiio.FLOAT))}


@pytest.mark.parametrize("storage", ["half", "float"])
def test_haze_is_taken_off_and_lights_stay_above_white(tmp_path: Path, storage: str) -> None:
    made = rendered(tmp_path, "plate", HAZE, storage)
    solid = made["matte"] == 1
    plate, bare = made["plate"][solid], (made["foreground"] / made["gain"])[solid]
    black, lamp = plate.max(-1) < HAZE + 0.005, plate.min(-1) > 4
    assert bare[black].mean() < 0.6 * plate[black].mean() and bare.min() > 0
    lost = (plate - bare)[lamp].mean(axis=0)  # half float holds the lamp to 0.004
    assert (lost > 0.6 * HAZE).all() and (lost < 1.1 * HAZE).all()


def test_at_strength_0_the_haze_stays_bit_for_bit(tmp_path: Path) -> None:
    made = rendered(tmp_path, "plate", HAZE, relight_strength=0)
    solid = made["matte"] == 1
    assert made["foreground"][solid].tobytes() == made["plate"][solid].tobytes()


def test_without_haze_the_setting_changes_no_bit(tmp_path: Path) -> None:
    on, off = (rendered(tmp_path, f"haze{haze}", 0, **{"harmonise.haze": haze}) for haze in (1, 0))
    assert on["foreground"].tobytes() == off["foreground"].tobytes()
