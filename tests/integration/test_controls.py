"""Every control of the draft preset, through whole shots: where it pushes the pixels, by frame, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import RecipeError
from anyportal_core.frames import FrameSet
from anyportal_core.media import transfer
from anyportal_core.recipe import FINISH
from anyportal_core.settings import Setting
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_images
from tests.integration.core_house import recipe_for, render

COUNT, HEIGHT, WIDTH = 3, 96, 144
LAYERS = ("comp", "foreground", "background", "matte", "shadow", "wrap")
PAGE = Path(__file__).parents[2] / "docs" / "looks.md"
SECTIONS = {"motion": "draft.homography", "harmonise": "draft.light", "background": "draft.warp"}

Layers = dict[str, np.ndarray]


@dataclass(frozen=True)
class Control:
    """A setting with the values of the first and the last frame, and what grows between them."""

    low: float
    high: float
    grows: Callable[[Layers], float]
    beside: tuple[tuple[str, Any], ...] = ()
    alone: bool = True
    """Whether a frame depends on its own value alone."""


def light(made: Layers) -> float:
    return float(made["foreground"][made["matte"][..., 0] > 0.9].mean())


def redness(made: Layers) -> float:
    red, _, blue = made["foreground"][made["matte"][..., 0] > 0.9].mean(0)
    return float(np.log(red / blue))


def lean(made: Layers) -> float:
    """How much lighter the foreground's right side is than its left."""
    half = WIDTH // 2
    sides = [made["foreground"][:, part][made["matte"][:, part, 0] > 0.9].mean() for part in np.s_[:half, half:]]
    return float(np.log(sides[1] / sides[0]))


def modelling(made: Layers) -> float:
    return abs(lean(made))


def cover(made: Layers) -> float:
    return float(made["matte"].sum())


def softness(made: Layers) -> float:
    return float(np.sum(made["matte"] * (1 - made["matte"])))


def greyness(made: Layers) -> float:
    inside = made["foreground"][made["matte"][..., 0] > 0.5]
    return -float(np.maximum(inside[:, 1] - np.maximum(inside[:, 0], inside[:, 2]), 0).mean())


def wrapped(made: Layers) -> float:
    return float(made["wrap"].sum())


def shade(made: Layers) -> float:
    return float((1 - made["shadow"]).sum())


def roughness(made: Layers) -> float:
    return float(np.abs(cv2.Laplacian(made["background"], cv2.CV_32F)).mean())


def smoothness(made: Layers) -> float:
    return -roughness(made)


def mark(made: Layers) -> tuple[float, float]:
    """Where the backdrop's bright disc is, in parts of the size."""
    red = np.clip(made["background"][..., 0] - made["background"][..., 2] - 0.2, 0, None)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return float((red * x).sum() / red.sum() / WIDTH), float((red * y).sum() / red.sum() / HEIGHT)


def disc(made: Layers) -> float:
    return float((made["background"][..., 0] - made["background"][..., 2] > 0.2).sum())


def shift(made: Layers) -> float:
    """How far the backdrop went with the camera, to the left."""
    return -mark(made)[0]


CONTROLS = {
    "relight_strength": Control(0, 1, light, (("exposure", 1),)),
    "exposure": Control(-1, 1, light),
    "warmth": Control(-0.8, 0.8, redness),
    "key": Control(0, 3, modelling, (("direction", 0), ("key_angle", 90))),
    "key_angle": Control(-90, 90, lean, (("key", 2),)),
    "edge_shift": Control(-4, 4, cover),
    "edge_softness": Control(0, 4, softness),
    "despill": Control(0, 2, greyness, (("relight_strength", 0),)),
    "wrap": Control(0, 1, wrapped),
    "shadow": Control(0, 1, shade),
    "grain": Control(0, 2, roughness),
    "scale": Control(1, 2, disc),
    "offset_x": Control(0, 0.2, lambda made: mark(made)[0], (("scale", 2),)),
    "offset_y": Control(0, 0.2, lambda made: mark(made)[1], (("scale", 2),)),
    "rotation": Control(0, 40, lambda made: mark(made)[1], (("scale", 2),)),
    "blur": Control(0, 6, smoothness),
    "background.motion": Control(0, 1, shift, alone=False),  # the overscan is the whole path's
}


@dataclass(frozen=True)
class Desk:
    folder: Path

    def made(self, name: str, frames: str = "1001-1003", **settings: object) -> list[Layers]:
        """The layers of frames, of what is found in all of them."""
        backdrop = self.folder / "backdrop.png"
        green = "despill" in settings
        plate = MediaRef(self.folder / ("green.%04d.exr" if green else "plate.%04d.exr"))
        matte = None if green else MediaRef(self.folder / "matte.%04d.png")
        if green:
            settings["matte.plugin"] = "draft.key"
        settings = {"work.long_side": WIDTH, "refine.span": 1, **settings}
        out, asked, whole = self.folder / name, FrameSet.parse(frames), FrameSet.between(1001, 1000 + COUNT)
        shot = Shot(plate, matte=matte, backdrop=MediaRef(backdrop), frames=asked, within=whole)
        render(shot, recipe_for(backdrop, **settings), out, Delivery(LAYERS, "exr"))
        return [layers(path) for path in sorted(out.iterdir())]


def layers(path: Path) -> Layers:
    image = oiio.ImageBuf(str(path))
    names, pixels = image.spec().channelnames, np.asarray(image.get_pixels(oiio.FLOAT))
    return {name: pixels[..., [i for i, n in enumerate(names) if n.startswith(f"{name}.")]] for name in LAYERS[1:]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A panned, grainy shot of somebody who stands on the ground; the same before a green screen."""
    folder, rng = tmp_path_factory.mktemp("controls"), np.random.default_rng(0)
    scene = moving_scene(COUNT, HEIGHT, WIDTH, pan=5)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    matte = np.clip((1 - np.hypot((x - WIDTH / 2) / 30, (y - 45) / 38)) * 12 + 0.5, 0, 1)[..., None]
    body = 0.35 + 0.05 * rng.standard_normal((HEIGHT, WIDTH, 1)).astype(np.float32) * np.ones(3, np.float32)
    grain = 0.015 * rng.standard_normal((COUNT, HEIGHT, WIDTH, 3)).astype(np.float32)
    screen = np.float32([0.15, 0.6, 0.2])
    spilled = body + np.float32([0, 0.08, 0])
    wall, lit = scene.background * (1 - matte), screen * (1 - matte)
    plates = {"plate": wall + body * matte, "green": (lit + spilled * matte)[None]}
    for name, plate in plates.items():
        write_images(folder / f"{name}.%04d.exr", transfer.decode(plate + grain, "srgb"), storage="half")
    write_images(folder / "matte.%04d.png", np.repeat(matte[None], COUNT, 0))
    backdrop = np.full((HEIGHT, WIDTH, 3), 0.45, np.float32)
    cv2.circle(backdrop, (80, 45), 12, (0.95, 0.6, 0.2), -1)
    write_images(folder / "backdrop.png", backdrop[None])
    return Desk(folder)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_does_what_it_says_and_follows_its_keys(name: str, desk: Desk) -> None:
    control = CONTROLS[name]
    beside = dict(control.beside)
    keyed = desk.made(f"{name}_keyed", **{**beside, name: {"1001": control.low, "1003": control.high}})
    first, middle, last = (control.grows(made) for made in keyed)
    assert first < middle < last
    if control.alone:
        (held,) = desk.made(f"{name}_held", "1002", **{**beside, name: (control.low + control.high) / 2})
        assert middle == pytest.approx(control.grows(held), abs=0.05 * (last - first)), "between keys is the mean"


def test_a_screen_is_not_taken_for_the_old_light(desk: Desk) -> None:
    """Else what was lit by white before green would be magenta in any new place."""
    (made,) = desk.made("screened", "1001", despill=2)
    red, green, blue = np.log2(made["foreground"][made["matte"][..., 0] > 0.9].mean(0))
    assert green - (red + blue) / 2 > -0.1


def test_a_frozen_camera_stands_still(desk: Desk) -> None:
    first, *others = (made["background"] for made in desk.made("frozen", **STILL))
    assert all(other.tobytes() == first.tobytes() for other in others)


def test_a_backdrop_is_mirrored(desk: Desk) -> None:
    plain, mirrored = (mark(desk.made(f"flip_{flip}", "1001", flip=flip, **STILL)[0])[0] for flip in (False, True))
    assert plain > 0.53 and plain + mirrored == pytest.approx(1, abs=0.02)


STILL = {"background.motion": 0}


def spec(name: str) -> Setting:
    """A setting by its name, or ``section.name``, as the catalogue has it."""
    plugins, (section, _, own) = load_catalogue().plugins, name.rpartition(".")
    finish = FINISH if section in ("", "finish") else ()
    known = [*finish, *(s for r, p in SECTIONS.items() if section in ("", r) for s in plugins[p].settings)]
    (found,) = (setting for setting in known if setting.name == own)
    return found


@pytest.mark.parametrize("name", CONTROLS)
def test_what_a_control_does_not_take_is_refused_with_what_it_does(name: str, tmp_path: Path) -> None:
    write_images(tmp_path / "backdrop.png", np.zeros((1, 4, 4, 3), np.float32))
    setting = spec(name)
    assert setting.animated and setting.minimum is not None and setting.maximum is not None
    for bad in (setting.maximum + 1, setting.minimum - 1, "much", {"1001": "much"}, {"1001": setting.maximum + 1}):
        with pytest.raises(RecipeError, match=r"above|below|not a number") as refused:
            recipe_for(tmp_path / "backdrop.png", **{name: bad})
        assert setting.name in refused.value.where and "allowed: numbers from" in refused.value.hint
    for table, why in (({}, "empty"), ({"first": 0.0}, "no frame number")):
        with pytest.raises(RecipeError, match=why) as refused:
            recipe_for(tmp_path / "backdrop.png", **{name: table})
        assert '{"1001": 0.5}' in refused.value.hint


def test_a_boolean_has_one_value_for_the_shot(tmp_path: Path) -> None:
    write_images(tmp_path / "backdrop.png", np.zeros((1, 4, 4, 3), np.float32))
    with pytest.raises(RecipeError, match="cannot be animated"):
        recipe_for(tmp_path / "backdrop.png", flip={"1001": True})


def test_the_page_of_controls_says_what_the_catalogue_says() -> None:
    """Every setting of the finish is on it, and every control of the tests above."""
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in PAGE.read_text("utf-8").splitlines()]
    rows = [row for row in cells if len(row) == 7 and row[1].startswith("`")]
    for _, named, stage, _, span, default, animated in rows:
        found, wanted = spec(f"{stage}.{named.strip('`')}"), "yes" if animated == "yes" else "no"
        assert ("yes" if found.animated else "no") == wanted, named
        assert default == (str(found.default).lower() if found.kind == "boolean" else f"{found.default:g}"), named
        assert span == ("on, off" if found.kind == "boolean" else f"{found.minimum:g} to {found.maximum:g}"), named
    on_page = {row[1].strip("`") for row in rows}
    assert {setting.name for setting in FINISH} <= on_page
    assert {name.rpartition(".")[2] for name in CONTROLS} | {"flip"} <= on_page
