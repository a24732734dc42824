"""A package that is not ours adds plug-ins of every role: by an entry point of its own, without a change here."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.media.clip import open_clip
from anyportal_core.models import Models
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.registry import ROLES, Role
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_images

HEIGHT, WIDTH, COUNT = 48, 64, 5
RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)

SPECS = """
from anyportal_core.registry import PluginSpec
from anyportal_core.roles.clean_plate import BACKGROUND_ORDER
from anyportal_core.roles.tracks import SETTINGS


def spec(name, role, factory, **more):
    return PluginSpec(f"studio.{name}", role, "7", f"studio_plugin.{factory}", f"Does {name}.", **more)


PLUGINS = (
    spec("half", "matte", "plugins:Half"),
    spec("clean_plate", "clean_plate", "plugins:Red", settings=(BACKGROUND_ORDER,)),
    spec("tracks", "tracks", "plugins:Standing", settings=SETTINGS, makes="points"),
    spec("motion", "motion", "plugins:Still", makes="homography"),
    spec("counted", "motion", "plugins:Counted", makes="counts", needs=(("tracks", "points"),)),
    spec("first_frame", "first_frame", "plugins:Blue", makes="picture"),
    spec("background", "background", "plugins:Green", backdrops=("colour", "prompt")),
    spec(
        "painted",
        "background",
        "plugins:Painted",
        makes="video",
        needs=(("motion", "counts"), ("first_frame", "picture")),
        backdrops=("prompt",),
        prompted=True,
    ),
    spec("harmonise", "harmonise", "plugins:Twice", makes="gain"),
    spec("refine", "refine", "plugins:Thrice", makes="gain"),
    spec("broken", "matte", "absent:Absent"),
)
"""
PLUGINS = """
import numpy as np


def flat(count, height, width, colour):
    return np.broadcast_to(np.array(colour, np.float32), (count, height, width, 3)).copy()


class Half:
    def find(self, plate, hints, context):
        for _ in range(len(plate)):
            alpha = np.zeros((1, plate.height, plate.width), np.float32)
            alpha[:, :, : plate.width // 2] = 1
            yield {"alpha": alpha}

    def render(self, frame, stored, given, context):
        alpha = np.zeros(frame.shape[:2], np.float32)
        alpha[:, : frame.shape[1] // 2] = 1
        return alpha


class Red:
    def clean(self, plate, matte, context):
        assert matte.read(0, 1).any()
        yield {"frames": flat(len(plate), plate.height, plate.width, (1, 0, 0))}


class Standing:
    def follow(self, plate, start, context):
        context.note(f"{len(start)} points stand, the plate's green is {plate.read(0, 1)[..., 1].mean():.2f}")
        for _ in range(len(plate)):
            yield {"places": start[None].astype(np.float32), "seen": np.ones((1, len(start)), bool)}


class Still:
    def follow(self, plate, matte, tracks, context):
        context.note(f"the camera stands, tracks: {tracks}")
        count = len(plate)
        yield {"homography": np.repeat(np.eye(3)[None], count, 0), "confidence": np.ones(count, np.float32)}


class Counted:
    def follow(self, plate, matte, tracks, context):
        places = tracks.read("places", 0, tracks.count)
        yield {"points": np.full(len(plate), places.shape[1], np.int64)}


class Blue:
    def paint(self, plate, matte, backdrop, context):
        context.note(f"first frame for: {backdrop.prompt}")
        yield {"frames": flat(1, plate.height, plate.width, (0, 0, 1))}


class Green:
    def make(self, inputs, context):
        count = len(inputs.plate)
        yield {"frames": flat(count, 2, 2, (0, 1, 0))}

    def render(self, stored, backdrop, height, width, context):
        return flat(1, height, width, stored["frames"][0, 0])[0]


class Painted(Green):
    def make(self, inputs, context):
        points = inputs.motion.read("points", 0, inputs.motion.count)
        context.note(f"{points[0]} points, {context.prompts.place}")
        first = inputs.first_frame.read("frames", 0, 1)
        yield {"frames": np.repeat(first[:, :2, :2], len(inputs.plate), 0)}


class Twice:
    def relight(self, plate, matte, background, context):
        context.note(f"background {background.read(0, 1)[0, 0, 0].round(2).tolist()}")
        yield {"log_gain": np.full((len(plate), 4, 4, 3), np.log(2), np.float32)}


class Thrice:
    def steady(self, plate, matte, background, harmonised, context):
        if "log_gain" in harmonised.names:
            context.note(f"harmonised by {np.exp(harmonised.read('log_gain', 0, 1)).mean():.2f}")
        yield {"log_gain": np.full((len(plate), 4, 4, 3), np.log(3), np.float32)}
"""
USE = """
from anyportal_core.catalogue import load_catalogue
from anyportal_core.errors import MissingExtraError
from anyportal_core.registry import create

import sys

catalogue = load_catalogue()
assert "studio_plugin.plugins" not in sys.modules, "a plug-in is imported when it is used, not before"
assert set(catalogue.broken) == {"rotten"}, catalogue.broken
assert create(catalogue.plugins["studio.half"]).find
try:
    create(catalogue.plugins["studio.broken"])
except MissingExtraError as error:
    assert "studio.broken" in str(error)
else:
    raise AssertionError("a plug-in whose package is absent must say so")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as ``pip install`` fills it."""
    folder = tmp_path_factory.mktemp("site")
    package, metadata = folder / "studio_plugin", folder / "studio_plugin-1.0.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "__init__.py").write_text("")
    (package / "specs.py").write_text(SPECS)
    (package / "plugins.py").write_text(PLUGINS)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: studio-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[anyportal.plugins]\nstudio = studio_plugin.specs:PLUGINS\nrotten = studio_plugin.nowhere:PLUGINS\n"
    )
    return folder


@pytest.fixture
def studio(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package is installed."""
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "studio_plugin"]:
        del sys.modules[name]


class Listener:
    """Hears of everything, and remembers the stages and what plug-ins say."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.said: list[str] = []

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self.stages.append(stage)

    def log(self, text: str, warning: bool = False) -> None:
        self.said.append(text)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **named: None


class Made:
    """What a recipe made of a shot: the first frame of plate, comp and matte, its stages, what was said."""

    def __init__(self, folder: Path, preset: str, backdrop: BackdropChoice, root: Path | None = None, **more: Any):
        scene = moving_scene(COUNT, HEIGHT, WIDTH)
        (folder / "in").mkdir(parents=True)
        write_images(folder / "in/plate.%04d.exr", scene.plate, 1, "half")
        write_images(folder / "in/matte.%04d.png", np.repeat(scene.matte[..., None], 3, axis=-1), 1)
        catalogue, heard = load_catalogue(), Listener()
        recipe = resolve(RecipeRequest(backdrop, preset, settings=more), catalogue, frozenset({"matte"}))
        shot = Shot(MediaRef(folder / "in/plate.%04d.exr"), matte=MediaRef(folder / "in/matte.%04d.png"))
        cache = DirectoryCache(folder / "stages")
        models = Models(root or folder / "no models")
        render_shot(shot, recipe, Delivery(), folder, cache, heard, catalogue, models)
        self.stages, self.said = heard.stages, heard.said
        self.plate = pictures(folder / "in/plate.%04d.exr")
        self.comp = pictures(folder / "plate.%04d.exr")
        self.matte = scene.matte
        file = oiio.ImageInput.open(str(folder / "plate.0001.exr"))
        self.header = {item.name: item.value for item in file.spec().extra_attribs}
        file.close()

    def gain(self) -> float:
        """How much lighter the foreground is than in the plate."""
        inside = self.matte == 1
        return float(np.median(self.comp[inside] / self.plate[inside]))

    def outside(self) -> list[float]:
        """The colour of what is not foreground."""
        colour: list[float] = self.comp[self.matte == 0].mean(axis=0).round(3).tolist()
        return colour


def pictures(pattern: Path) -> np.ndarray:
    with open_clip(MediaRef(pattern)) as clip:
        return np.stack([frame.pixels for frame in clip.frames()])


COLOUR, PROMPT = BackdropChoice("colour", "#ff00ff"), BackdropChoice("prompt", "a beach")


def fills_the_matte(made: Made) -> None:
    half = WIDTH // 2
    assert np.allclose(made.comp[:, :, half:], [1, 0, 1], atol=1e-3)
    assert not np.allclose(made.comp[:, :, :half], [1, 0, 1], atol=1e-1)


def fills_the_motion(made: Made) -> None:
    assert made.stages == ["matte", "motion", "background", "harmonise", "refine", "finish"]
    assert "the camera stands, tracks: None" in made.said


def fills_the_background(made: Made) -> None:
    assert made.outside() == [*GREEN]


def fills_the_harmonising(made: Made) -> None:
    assert made.gain() == pytest.approx(2, abs=0.02) and "background [1.0, 0.0, 1.0]" in made.said


def fills_the_refinement(made: Made) -> None:
    assert made.gain() == pytest.approx(3, abs=0.02)


DRAFT: dict[Role, tuple[str, Callable[[Made], None]]] = {
    "matte": ("studio.half", fills_the_matte),
    "motion": ("studio.motion", fills_the_motion),
    "background": ("studio.background", fills_the_background),
    "harmonise": ("studio.harmonise", fills_the_harmonising),
    "refine": ("studio.refine", fills_the_refinement),
}
"""By the roles of the preset draft: what takes its plug-in's place, and how that shows."""


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("role", DRAFT)
def test_a_plugin_from_another_package_fills_a_role_of_the_draft_preset(role: Role, tmp_path: Path) -> None:
    plugin, shows = DRAFT[role]
    made = Made(tmp_path, "draft", COLOUR, **{f"{role}.plugin": plugin, "relight_strength": 1})
    assert made.header[f"anyportal/{role}"] == f"{plugin} 7"
    shows(made)


WHOLE = {
    "matte.plugin": "draft.supplied",
    "clean_plate.plugin": "studio.clean_plate",
    "tracks.plugin": "studio.tracks",
    "tracks.points": 6,
    "motion.plugin": "studio.counted",
    "first_frame.plugin": "studio.first_frame",
    "background.plugin": "studio.painted",
    "harmonise.plugin": "studio.harmonise",
    "refine.plugin": "studio.refine",
}


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize(("order", "colour"), [("paper", RED), ("released", BLUE)])
def test_a_whole_method_from_another_package_runs_without_torch(
    order: str, colour: tuple[float, ...], tmp_path: Path
) -> None:
    made = Made(tmp_path, "draft", PROMPT, **WHOLE, background_order=order, relight_strength=1)
    stages = ["matte", "clean_plate", "tracks", "motion", "first_frame", "background", "harmonise", "refine", "finish"]
    if order == "paper":
        stages.remove("clean_plate")
        stages.insert(stages.index("harmonise"), "clean_background")
    assert made.stages == stages
    assert made.outside() == [*colour] and made.gain() == pytest.approx(3, abs=0.02)
    assert {"36 points, a beach", "first frame for: a beach", "harmonised by 2.00"} <= set(made.said)
    assert f"background {[*colour]}" in made.said
    cleaned = [text for text in made.said if text.endswith("green is 0.00")]
    assert len(cleaned) == (order == "released"), "points are followed on the clean plate, where there is one"
    names = {name.split("/")[1]: value for name, value in made.header.items() if name.startswith("anyportal/")}
    assert {role: names[role].split()[0] for role in ROLES} == {r: WHOLE[f"{r}.plugin"] for r in ROLES}


def paints_first_frames(made: Made) -> None:
    assert "first frame for: a beach" in made.said


def cleans_what_was_painted(made: Made) -> None:
    assert made.outside() == [*RED]


def follows_points(made: Made) -> None:
    assert any(text.startswith("64 points stand") for text in made.said)


DIFFUSION: dict[Role, Callable[[Made], None]] = {
    "clean_plate": cleans_what_was_painted,
    "tracks": follows_points,
    "first_frame": paints_first_frames,
}
"""The roles that the preset draft has not, and how a plug-in in the place of anyportal's shows."""

QUICK = {
    "tracks.window": 5,
    "tracks.points": 8,
    "background.steps": 2,
    "harmonise.plugin": "draft.light",
    "refine.plugin": "draft.steady",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    from anyportal_core.testing.tiny.everything import write_all

    root = tmp_path_factory.mktemp("models")
    write_all(root)
    return root


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("role", DIFFUSION)
def test_a_plugin_from_another_package_fills_a_role_of_the_whole_method(role: Role, tiny: Path, tmp_path: Path) -> None:
    plugin = f"studio.{role}"
    made = Made(tmp_path, "anyportal", PROMPT, tiny, **QUICK, **{f"{role}.plugin": plugin})
    assert made.header[f"anyportal/{role}"] == f"{plugin} 7"
    assert made.stages == [
        *("matte", "tracks", "motion", "first_frame", "background", "clean_background"),
        *("harmonise", "refine", "finish"),
    ]
    assert np.isfinite(made.comp).all()
    DIFFUSION[role](made)


def test_every_role_is_replaced_in_a_test() -> None:
    assert DRAFT.keys() | DIFFUSION.keys() == set(ROLES)


def test_the_whole_method_with_the_draft_background(tiny: Path, tmp_path: Path) -> None:
    from anyportal_core.testing.counting import counted

    mixed = {"motion.plugin": "draft.homography", "background.plugin": "draft.warp"}
    quick = {"harmonise.steps": 2, "refine.steps": 4, "refine.window": 9}
    with counted() as counts:
        made = Made(tmp_path, "anyportal", COLOUR, tiny, **mixed, **quick)
    assert made.stages == ["matte", "motion", "background", "harmonise", "refine", "finish"]
    assert made.outside() == [1.0, 0.0, 1.0]
    assert counts["UNet2DConditionModel"] and counts["CogVideoX"] and counts["CogVideoXControlnet"]
    assert np.isfinite(made.comp).all() and not math.isclose(made.gain(), 1, abs_tol=1e-3)


def test_nothing_is_imported_before_it_is_used_and_what_is_broken_is_told(site: Path, tmp_path: Path) -> None:
    script = tmp_path / "use.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(site)!r})\n{textwrap.dedent(USE)}")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
