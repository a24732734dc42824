"""Colour through whole shots: camera logs to ACEScg, linear plates untouched, results in spaces that are asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import ShotError, UnknownNameError
from anyportal_core.frames import FrameSet
from anyportal_core.media.encoding import SRGB, Encoding, convert, named
from anyportal_core.media.writers import Written
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import write_images

HEIGHT, WIDTH = 48, 64
LOGS = ("ARRI LogC3 (EI800)", "ARRI LogC4", "S-Log3 S-Gamut3.Cine", "V-Log V-Gamut", "DaVinci Intermediate WideGamut")
AP1 = (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)
ALL = ("comp", "foreground", "background", "matte")


class Silent:
    """Nobody who watches, but for the stages that ran."""

    def __init__(self) -> None:
        self.reused: dict[str, bool] = {}

    def started(self, frames: FrameSet, rate: object) -> None: ...
    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None: ...
    def files(self, written: list[Written]) -> None: ...
    def log(self, text: str, warning: bool = False) -> None: ...
    def checkpoint(self) -> None: ...

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self.reused[stage] = reused


def scene_light() -> np.ndarray:
    """One frame of light in ACEScg with 40 and -0.05 in its midst, which the matte covers."""
    rng = np.random.default_rng(4)
    light = rng.random((1, HEIGHT, WIDTH, 3), np.float32) * np.float32(0.4) + np.float32(0.05)
    light[0, 20, 30], light[0, 22, 30] = 40.0, -0.05
    light[0, 24, 30] = 40.0, 0.18, 2.0
    return light


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    matte = np.zeros((1, HEIGHT, WIDTH, 3), np.float32)
    matte[:, 12:36, 16:48] = 1
    write_images(folder / "matte.%04d.png", matte, 1001, "uint16")
    still = np.full((1, HEIGHT, WIDTH, 3), 0.5, np.float32)
    still[:, :, : WIDTH // 2] = 1.0
    write_images(folder / "still.png", still)
    return folder


def render(media: Path, out: Path, plate: Path, space: str, delivery: Delivery, config: str = "") -> Silent:
    shot = Shot(
        MediaRef(plate, colour_space=space),
        matte=MediaRef(media / "matte.%04d.png", colour_space="Raw" if space else ""),
        backdrop=MediaRef(media / "still.png"),
        colour_config=config,
    )
    settings = {"relight_strength": 0.0, "clean_edges": False}
    request = RecipeRequest(BackdropChoice("still", "0" * 64), settings=settings)
    recipe = resolve(request, load_catalogue(), frozenset({"matte"}))
    watcher = Silent()
    out.mkdir(exist_ok=True)
    render_shot(shot, recipe, delivery, out, DirectoryCache(out.parent / "stages"), watcher)
    return watcher


def result(out: Path) -> tuple[dict[str, np.ndarray], oiio.ImageSpec]:
    (path,) = out.glob("*.exr")
    file = oiio.ImageInput.open(str(path))
    spec, pixels = file.spec(), file.read_image(oiio.FLOAT)
    file.close()
    return dict(zip(spec.channelnames, np.moveaxis(pixels, -1, 0), strict=True)), spec


def plate_of(folder: Path, space: str, storage: str = "float") -> Path:
    codes = from_or_as_light(space)
    write_images(folder / "plate.%04d.exr", codes, 1001, storage)
    return folder / "plate.%04d.exr"


def from_or_as_light(space: str) -> np.ndarray:
    return convert(scene_light(), named("ACEScg", Encoding()), named(space, Encoding()))


def rgb(channels: dict[str, np.ndarray], layer: str = "") -> np.ndarray:
    return np.stack([channels[f"{layer}{c}"] for c in "RGB"], axis=-1)


@pytest.mark.parametrize("space", LOGS)
def test_exr_of_a_camera_log_is_acescg(tmp_path: Path, media: Path, space: str) -> None:
    out = tmp_path / "out"
    render(media, out, plate_of(tmp_path, space), space, Delivery(ALL, "exr"))
    channels, spec = result(out)
    np.testing.assert_allclose(spec.getattribute("chromaticities"), AP1, atol=1e-6)
    kept = rgb(channels)[12:36, 16:48]
    np.testing.assert_allclose(kept, scene_light()[0, 12:36, 16:48], rtol=3e-4, atol=2e-5)
    np.testing.assert_allclose(kept[8, 14], 40, rtol=1e-4)  # whose log is a float near 0.9
    np.testing.assert_allclose(kept[10, 14], -0.05, atol=1e-5)
    # A still in sRGB is texture: its white is the scene's white, whatever the plate.
    grey = convert(np.full((1, 1, 3), 128 / 255, np.float32), SRGB, named("ACEScg", Encoding()))
    np.testing.assert_allclose(rgb(channels, "background.")[2, 5], 1, atol=1e-3)
    np.testing.assert_allclose(rgb(channels, "background.")[2, -5], grey[0, 0], atol=1e-3)
    parts = (rgb(channels, "foreground."), rgb(channels, "background."), channels["matte.A"][..., None])
    np.testing.assert_array_equal(parts[0] * parts[2] + parts[1] * (1 - parts[2]), rgb(channels))


@pytest.mark.parametrize("storage", ["half", "float"])
@pytest.mark.parametrize("space", ["ACEScg", "ACES2065-1", "Linear Rec.709 (sRGB)", "Linear ARRI Wide Gamut 3"])
def test_linear_plates_are_delivered_as_they_are(tmp_path: Path, media: Path, space: str, storage: str) -> None:
    out, plate = tmp_path / "out", plate_of(tmp_path, space, storage)
    render(media, out, plate, space, Delivery(("comp",), "exr"))
    (channels, spec), (was, _) = result(out), result(tmp_path)
    np.testing.assert_array_equal(rgb(channels)[12:36, 16:48], rgb(was)[12:36, 16:48])
    stated = named(space, Encoding()).primaries
    if not isinstance(stated, str):
        np.testing.assert_allclose(spec.getattribute("chromaticities"), stated.xy, atol=1e-6)  # type: ignore[union-attr]


def test_results_in_a_space_that_is_asked_for(tmp_path: Path, media: Path) -> None:
    plate = plate_of(tmp_path, "Linear Rec.709 (sRGB)")
    for wanted, own in (("ACEScg", ""), ("ARRI LogC4", "ARRI LogC4")):
        out = tmp_path / wanted.replace(" ", "")
        render(media, out, plate, "", Delivery(("comp",), "exr", colour_space=wanted))
        channels, spec = result(out)
        expected = scene_light()[0] if not own else from_or_as_light(own)[0]
        kept = rgb(channels)[12:36, 16:48]
        np.testing.assert_allclose(kept, expected[12:36, 16:48], rtol=3e-4, atol=3e-5)
        assert tuple(np.round(spec.getattribute("chromaticities"), 4))[:2] == ((0.7347, 0.2653) if own else AP1[:2])


def test_the_same_space_gives_the_very_pixels(tmp_path: Path, media: Path) -> None:
    out, plate = tmp_path / "out", plate_of(tmp_path, "ARRI LogC4", "half")
    render(media, out, plate, "ARRI LogC4", Delivery(("comp",), "exr", colour_space="arri_logc4"))
    np.testing.assert_array_equal(rgb(result(out)[0])[12:36, 16:48], rgb(result(tmp_path)[0])[12:36, 16:48])


def test_what_decides_the_colours_decides_what_runs_again(tmp_path: Path, media: Path) -> None:
    plate = plate_of(tmp_path, "ARRI LogC4")
    exr = Delivery(("comp",), "exr")
    config = "studio-config-v2.1.0_aces-v1.3_ocio-v2.3"
    first = render(media, tmp_path / "one", plate, "ARRI LogC4", exr).reused
    again = render(media, tmp_path / "two", plate, "arri_logc4", exr, config).reused  # another name of the same thing
    other = render(media, tmp_path / "three", plate, "ARRI LogC3 (EI800)", exr).reused
    analysed = set(first) - {"finish"}
    assert analysed and not any(first[stage] or other[stage] for stage in analysed)
    assert all(again[stage] for stage in analysed)


def test_refused_before_anything_runs(tmp_path: Path, media: Path) -> None:
    plate, exr = plate_of(tmp_path, "ACEScg"), Delivery(("comp",), "exr")
    with pytest.raises(UnknownNameError, match=r"delivery\.colour_space: .*ARRI LogC4"):
        render(media, tmp_path / "out", plate, "ACEScg", replace(exr, colour_space="LogC44"))
    with pytest.raises(ShotError, match=r"plate.*holds data, no colours"):
        render(media, tmp_path / "out", plate, "Raw", exr)
    with pytest.raises(UnknownNameError, match=r"no colour space 'ARRI LogC4'"):
        render(media, tmp_path / "out", plate, "ARRI LogC4", exr, "cg-config-v1.0.0_aces-v1.3_ocio-v2.1")
    assert not [path for folder in ("stages", "out") for path in (tmp_path / folder).rglob("*") if path.is_file()]
