"""What ties the foreground to its place, through whole shots: grain, sharpness, motion blur, shadow and wrap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.delivery import Delivery
from anyportal_core.frames import FrameSet
from anyportal_core.media import transfer
from anyportal_core.method.grain import measure_grain
from anyportal_core.method.sharpness import measure_blur
from anyportal_core.ops import opencv as ops
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import write_images
from tests.integration.core_house import Heard, recipe_for, render

HEIGHT, WIDTH, COUNT = 288, 480, 5
SPEED, SHUTTER, SOFT, GRAIN = 9.0, 0.5, 1.2, 0.015
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
ALL = np.ones((HEIGHT, WIDTH), np.float32)
LAYERS = ("comp", "foreground", "background", "matte", "shadow", "wrap")


def wall(seed: int, width: int) -> np.ndarray:
    """Bright and dark polygons at all angles, sharp to the pixel, ``(H, width, 3)`` code values."""
    rng = np.random.default_rng(seed)
    picture = np.full((2 * HEIGHT, 2 * width, 3), 0.4, np.float32)
    for _ in range(width // 16):
        middle, half = rng.uniform(0, 1, 2) * (2 * width, 2 * HEIGHT), rng.uniform(20, 90, 2)
        corners = cv2.boxPoints(((float(middle[0]), float(middle[1])), (half[0], half[1]), float(rng.uniform(0, 180))))
        cv2.fillPoly(picture, [np.rint(corners).astype(np.int32)], rng.uniform(0.1, 0.85, 3).tolist())
    return cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Footage:
    """A shot panned by SPEED pixels a frame with an open shutter, softly, with grain; and a sharp clean backdrop."""

    folder: Path

    def shot(self, **more: object) -> Shot:
        plate, matte = MediaRef(self.folder / "plate.%04d.exr"), MediaRef(self.folder / "matte.%04d.png")
        return Shot(plate, matte=matte, backdrop=MediaRef(self.folder / "backdrop.png"), **more)  # type: ignore[arg-type]

    def rendered(self, name: str, asked: Shot | None = None, **settings: object) -> tuple[Path, Heard]:
        out = self.folder / name
        fixed = {"relight_strength": 0, "work.long_side": 240, **settings}
        recipe = recipe_for(self.folder / "backdrop.png", **fixed)
        return out, render(asked or self.shot(), recipe, out, Delivery(LAYERS, "exr"))


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    folder = tmp_path_factory.mktemp("looks")
    scene, rng = wall(1, WIDTH + 200), np.random.default_rng(2)
    frames = []
    for frame in range(COUNT):
        times = frame + SHUTTER * (np.linspace(0, 1, 15) - 0.5)
        shifts = [np.array([[1, 0, -SPEED * time - 20], [0, 1, 0]], np.float32) for time in times]
        light = np.mean([cv2.warpAffine(scene, shift, (WIDTH, HEIGHT)) for shift in shifts], 0).astype(np.float32)
        frames.append(ops.gaussian(light, SOFT) + GRAIN * rng.standard_normal(light.shape).astype(np.float32))
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    matte = np.clip((50 - np.hypot(columns - 240, (rows - 150) * 0.5)) / 2 + 0.5, 0, 1)
    light = transfer.decode(np.stack(frames), "srgb")
    write_images(folder / "plate.%04d.exr", light, storage="half")
    write_images(folder / "matte.%04d.png", np.repeat(matte[None, ..., None], COUNT, 0))
    write_images(folder / "backdrop.png", wall(3, WIDTH)[None])
    return Footage(folder)


def layer(folder: Path, name: str, number: int = 1003) -> np.ndarray:
    """A layer of a frame, ``(H, W, C)``."""
    image = oiio.ImageBuf(str(folder / f"plate.{number}.exr"))
    names = image.spec().channelnames
    kept = [names.index(n) for n in names if n.startswith(f"{name}.")] if name else [names.index(c) for c in "RGB"]
    return np.asarray(image.get_pixels(oiio.FLOAT))[..., kept]


def codes(light: np.ndarray) -> np.ndarray:
    return transfer.encode(light, "srgb")


def blur_along(picture: np.ndarray) -> tuple[float, float]:
    """The steepest slopes of code values along x and along y."""
    luma = codes(picture) @ LUMA
    return float(np.quantile(np.abs(np.diff(luma, axis=1)), 0.995)), float(
        np.quantile(np.abs(np.diff(luma, axis=0)), 0.995)
    )


def test_as_it_is_where_nothing_is_asked_for(footage: Footage) -> None:
    plain, heard = footage.rendered("plain")
    assert not any("takes from the plate" in text for text in heard.said)
    assert (layer(plain, "shadow") == 1).all()
    assert (layer(plain, "wrap") == 0).all()


def test_grain_is_matched_by_seed(footage: Footage) -> None:
    (plain, _), (grainy, heard) = footage.rendered("plain"), footage.rendered("grainy", grain=1)
    plate = np.asarray(oiio.ImageBuf(str(footage.folder / "plate.1003.exr")).get_pixels(oiio.FLOAT))[..., :3]
    wanted, before, after = (
        measure_grain([codes(picture)], [ALL], ops).level[4:12].mean()
        for picture in (plate, layer(plain, "background"), layer(grainy, "background"))
    )
    assert before < 0.3 * wanted
    assert after == pytest.approx(wanted, rel=0.2)
    assert any("grain" in text for text in heard.said)
    again, _ = footage.rendered("grainy_again", grain=1)
    assert (again / "plate.1003.exr").read_bytes() == (grainy / "plate.1003.exr").read_bytes()
    one, other = layer(grainy, "background", 1002), layer(grainy, "background", 1003)
    rest = [codes(picture) - codes(layer(plain, "background", n)) for picture, n in ((one, 1002), (other, 1003))]
    assert abs(np.corrcoef(rest[0].ravel(), rest[1].ravel())[0, 1]) < 0.05, "grain is new in every frame"


def test_a_part_of_the_shot_gets_the_grain_of_the_whole(footage: Footage) -> None:
    whole, _ = footage.rendered("whole", grain=1, sharpness=1, motion_blur=1)
    shot = footage.shot(frames=FrameSet((1003,)), within=FrameSet.between(1001, 1000 + COUNT))
    part, _ = footage.rendered("part", shot, grain=1, sharpness=1, motion_blur=1)
    assert [path.name for path in part.iterdir()] == ["plate.1003.exr"]
    assert (part / "plate.1003.exr").read_bytes() == (whole / "plate.1003.exr").read_bytes()


def test_sharpness_is_matched(footage: Footage) -> None:
    (plain, _), (soft, _) = footage.rendered("plain"), footage.rendered("soft", sharpness=1)
    before, after = (measure_blur([codes(layer(p, "background")) @ LUMA], [ALL], ops) for p in (plain, soft))
    assert before is not None
    assert after is not None
    assert before < 0.9
    assert after == pytest.approx(np.hypot(SOFT, 0.4), rel=0.25)


def test_motion_blur_is_matched(footage: Footage) -> None:
    (plain, _), (moving, heard) = footage.rendered("plain"), footage.rendered("moving", motion_blur=1)
    told = next(text for text in heard.said if "shutter" in text)
    degrees = float(told.split("shutter of ")[1].split(" ")[0])
    assert abs(degrees - 360 * SHUTTER) < 50, told
    (along, across), (blurred, kept) = (blur_along(layer(p, "background")) for p in (plain, moving))
    assert blurred < 0.6 * along, "blurred along the pan"
    assert kept > 0.65 * across, "and not across it"


def test_shadow_and_wrap_are_baked_in_and_told(footage: Footage) -> None:
    (plain, _), (made, _) = footage.rendered("plain"), footage.rendered("accents", shadow=0.8, wrap=0.5, wrap_width=2)
    shadow, wrap = layer(made, "shadow"), layer(made, "wrap")
    assert shadow.min() < 0.6
    assert wrap.max() > 0.05
    before, after = layer(plain, "background"), layer(made, "background")
    np.testing.assert_allclose(after, before * shadow, rtol=2e-3, atol=1e-6)
    np.testing.assert_array_equal(after[shadow[..., 0] == 1], before[shadow[..., 0] == 1])
    untouched = (wrap == 0).all(-1)
    before, after = layer(plain, "foreground"), layer(made, "foreground")
    np.testing.assert_array_equal(after[untouched], before[untouched])
    np.testing.assert_allclose(after, before + wrap, rtol=2e-3, atol=1e-5)
    assert untouched[140:160, 230:250].all(), "the core stays the plate's"
    parts = (layer(made, name).astype(np.float32) for name in ("foreground", "background", "matte"))
    front, behind, cover = parts
    np.testing.assert_array_equal(layer(made, ""), (front * cover + behind * (1 - cover)).astype(np.float16))


def test_strengths_follow_their_keys(footage: Footage) -> None:
    keyed, _ = footage.rendered("keyed", shadow={1001: 0.0, 1003: 0.8}, grain={1001: 0.0, 1005: 1.0})
    plain, _ = footage.rendered("plain")
    np.testing.assert_array_equal(layer(keyed, "background", 1001), layer(plain, "background", 1001))
    assert layer(keyed, "shadow", 1003).min() < 0.6
    assert layer(keyed, "shadow", 1002).min() > layer(keyed, "shadow", 1003).min()
