"""The whole method with tiny random models: through daemon and command, and in process.

What the models paint is noise. What is held here is that every network runs, within a minute of two cores, and that
the same job gives the same bytes wherever it runs.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import AnyPortalError, ModelNotFoundError, NoForegroundError, ShotError
from anyportal_core.media.clip import open_clip
from anyportal_core.models import Models
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_images, write_movie
from anyportal_core.testing.counting import counted, passes_by_network
from anyportal_core.testing.drawn import drawn_person
from anyportal_core.testing.tiny.everything import write_all

COUNT = 12
QUICK = {"tracks.window": 13, "refine.window": 17}
"""Windows as long as the clip needs; the preset's have 49 frames."""

FEW = {"first_frame.steps": 4, "background.steps": 4, "harmonise.steps": 4, "refine.steps": 8}

MINUTE = 120
"""Seconds of processor time that two cores have in it. Time on the wall says nothing where others load the machine."""

COMMAND = [sys.executable, "-m", "anyportal_client.cli"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_all(root)
    return root


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    scene = moving_scene(COUNT, 64, 96)
    write_movie(folder / "plate.mp4", scene.plate)
    write_movie(folder / "matte.mp4", grey(scene.matte))
    write_movie(folder / "clip.mp4", moving_scene(COUNT, 64, 96, seed=5).background)
    write_images(folder / "still.%01d.png", moving_scene(1, 64, 96, seed=6).background, 1)
    return folder


def grey(matte: np.ndarray) -> np.ndarray:
    return np.repeat(matte[..., None], 3, axis=-1)


class Watcher:
    """Hears of everything, and remembers the stages and the fractions."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.fractions: list[float] = []

    def started(self, frames: object, rate: object) -> None: ...

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None:
        self.fractions.append(fraction)

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self.stages.append(stage)

    def files(self, written: object) -> None: ...

    def log(self, text: str, warning: bool = False) -> None: ...

    def checkpoint(self) -> None: ...


def render(
    media: Path, models: Path, out: Path, backdrop: BackdropChoice | None = None, shot: Shot | None = None, **more: Any
) -> Watcher:
    """A shot in process; its result is ``out/plate.mp4``."""
    settings = more if "refine.plugin" in more else QUICK | more
    request = RecipeRequest(backdrop or BackdropChoice("prompt", "a beach"), "anyportal", settings=settings)
    watcher, catalogue = Watcher(), load_catalogue()
    recipe = resolve(request, catalogue, frozenset({"matte"}))
    made = shot or Shot(MediaRef(media / "plate.mp4"), matte=MediaRef(media / "matte.mp4"))
    out.mkdir(parents=True, exist_ok=True)
    cache = DirectoryCache(out.parent / "stages")
    render_shot(made, recipe, Delivery(), out, cache, watcher, catalogue, Models(models))
    return watcher


def start(models: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """``anyportal submit``, which starts a daemon for the call."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
    env |= {"ANYPORTAL_STATE": str(folder / "state"), "ANYPORTAL_MODELS": str(models)} | environment
    command = [*COMMAND, "submit", *arguments, "--out", str(folder / "out"), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def submit(media: Path, models: Path, folder: Path, **settings: Any) -> subprocess.Popen[str]:
    """The plate with its matte, in small windows."""
    asked = [part for name, value in (QUICK | settings).items() for part in ("--set", f"{name}={value}")]
    asked += ["--backdrop", "a beach", "--preset", "anyportal", "--matte", str(media / "matte.mp4")]
    return start(models, folder, str(media / "plate.mp4"), *asked)


def named_models() -> set[str]:
    """Every model that the preset's plug-ins name, for a prompt and without a matte."""
    catalogue = load_catalogue()
    recipe = resolve(RecipeRequest(BackdropChoice("prompt", "a beach"), "anyportal"), catalogue)
    specs = [catalogue.plugin(choice.plugin, role) for role, choice in recipe.roles.items()]
    return {name for spec in specs for name in spec.models}


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_the_command_alone_runs_every_network_within_a_minute(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_movie(tmp_path / "clip.mp4", drawn_person(16).plate)
    asked = [str(tmp_path / "clip.mp4"), "--backdrop", "a beach", "--preset", "anyportal"]
    before, begun = processor_seconds(), time.monotonic()
    process = start(models, tmp_path, *asked, ANYPORTAL_PASSES=str(tmp_path / "passes"))
    out, err = process.communicate(timeout=500)
    spent, waited = processor_seconds() - before, time.monotonic() - begun
    assert process.returncode == 0, out + err
    told = events(out)
    fractions = [event["fraction"] for event in told if event["event"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert told[-1]["event"] == "done"

    passes = passes_by_network((tmp_path / "passes").read_text().splitlines(), Models(models), named_models())
    with capsys.disabled():
        print("\n" + "\n".join(f"{count:6} {name}" for name, count in passes.items()))
        print(f"{spent:.1f} s of a processor, {waited:.1f} s in all")
    assert [name for name, count in passes.items() if not count] == [], "networks that did not run"
    assert len(passes) > len(named_models())
    assert spent < MINUTE


def processor_seconds() -> float:
    """Of all processes that were started here and have ended, and of those that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_same_job_gives_the_same_bytes_through_the_daemon_and_in_process(
    media: Path, models: Path, tmp_path: Path
) -> None:
    out, err = (process := submit(media, models, tmp_path, **FEW)).communicate(timeout=500)
    assert process.returncode == 0, out + err
    watcher = render(media, models, tmp_path / "again" / "out", **FEW)
    assert watcher.fractions == sorted(watcher.fractions) and watcher.fractions[-1] == pytest.approx(1)
    again = (tmp_path / "again" / "out" / "plate.mp4").read_bytes()
    assert (tmp_path / "out" / "plate.mp4").read_bytes() == again


def test_cancelling_ends_it_within_seconds(media: Path, models: Path, tmp_path: Path) -> None:
    process = submit(media, models, tmp_path)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(json.loads(line))
        if said[-1]["event"] == "progress" and said[-1]["stage"] in ("background", "harmonise", "refine"):
            process.send_signal(signal.SIGINT)
            break
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130, rest + err
    assert events(rest)[-1]["event"] == "cancelled"
    assert not list((tmp_path / "out").glob("*"))


def test_a_still_is_the_first_frame_and_the_order_is_a_setting(media: Path, models: Path, tmp_path: Path) -> None:
    still = MediaRef(media / "still.1.png")
    with open_clip(still) as clip:
        backdrop = BackdropChoice("still", clip.digest())
    shot = Shot(MediaRef(media / "plate.mp4"), matte=MediaRef(media / "matte.mp4"), backdrop=still)
    quick = {"background.steps": 2, "harmonise.steps": 2, "refine.consistency": False}
    with counted() as counts:
        stages = render(media, models, tmp_path / "a", backdrop, shot, **quick, background_order="released").stages
    assert stages[:5] == ["matte", "clean_plate", "tracks", "motion", "first_frame"]
    assert "clean_background" not in stages and counts["CogVideoXTransformer3DModelTracking"] == 2
    stages = render(media, models, tmp_path / "a", backdrop, shot, **quick, background_order="paper").stages
    assert stages[:5] == ["matte", "tracks", "motion", "first_frame", "background"] and "clean_background" in stages


def test_a_clip_is_the_background_as_it_is(media: Path, models: Path, tmp_path: Path) -> None:
    clip = MediaRef(media / "clip.mp4")
    with open_clip(clip) as opened:
        backdrop = BackdropChoice("clip", opened.digest())
    shot = Shot(MediaRef(media / "plate.mp4"), matte=MediaRef(media / "matte.mp4"), backdrop=clip)
    quick = {"harmonise.plugin": "draft.light", "refine.plugin": "draft.steady"}
    with counted() as counts:
        stages = render(media, models, tmp_path / "a", backdrop, shot, **quick).stages
    assert stages == ["matte", "background", "harmonise", "refine", "finish"] and not counts
    with open_clip(MediaRef(tmp_path / "a" / "plate.mp4")) as made, open_clip(clip) as given:
        both = [np.stack([frame.pixels for frame in each.frames()]) for each in (made, given)]
    outside = moving_scene(COUNT, 64, 96).matte == 0
    assert np.abs(both[0] - both[1])[outside].mean() < 0.02


def test_draft_and_diffusion_roles_mix(media: Path, models: Path, tmp_path: Path) -> None:
    mixed = {"motion.plugin": "draft.homography", "background.plugin": "draft.warp", "refine.plugin": "draft.steady"}
    colour = BackdropChoice("colour", "#336699")
    with counted() as counts:
        watcher = render(media, models, tmp_path / "out", colour, **mixed, **{"harmonise.steps": 2})
    assert watcher.stages == ["matte", "motion", "background", "harmonise", "refine", "finish"]
    assert counts["UNet2DConditionModel"] > 0


@pytest.mark.parametrize(("height", "width"), [(1, 40), (120, 3), (33, 57), (160, 90)])
def test_a_plate_of_any_shape(models: Path, tmp_path: Path, height: int, width: int) -> None:
    plate, matte = moving_scene(3, height, width).plate, np.zeros((3, height, width), np.float32)
    matte[:, : -(-height // 2), : -(-width // 2)] = 1
    write_images(tmp_path / "plate.%04d.png", plate, 1, "uint16")
    write_images(tmp_path / "matte.%04d.png", grey(matte), 1, "uint16")
    shot = Shot(MediaRef(tmp_path / "plate.%04d.png"), matte=MediaRef(tmp_path / "matte.%04d.png"))
    quick = {"first_frame.steps": 2, "background.steps": 2, "harmonise.steps": 2, "refine.steps": 4}
    render(tmp_path, models, tmp_path / "out", shot=shot, **quick)
    with open_clip(MediaRef(tmp_path / "out" / "plate.%04d.png")) as clip:
        frames = [frame.pixels for frame in clip.frames()]
    assert len(frames) == 3 and frames[0].shape == (height, width, 3)


def bad_shot(kind: str, folder: Path) -> Shot:
    scene = moving_scene(COUNT, 64, 96)
    matte = {"empty": np.zeros_like(scene.matte), "full": np.ones_like(scene.matte)}.get(kind, scene.matte)
    cut = np.concatenate([scene.plate[:6], 1 - moving_scene(6, 64, 96, seed=9).plate])
    write_movie(folder / "plate.mp4", cut if kind == "cut" else scene.plate)
    write_movie(folder / "matte.mp4", grey(matte))
    return Shot(MediaRef(folder / "plate.mp4"), matte=MediaRef(folder / "matte.mp4"))


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("empty", NoForegroundError, "no foreground"),
        ("full", NoForegroundError, "nothing but foreground"),
        ("cut", ShotError, "frame 6 begins another shot"),
    ],
)
def test_a_shot_that_cannot_be_painted_is_refused(
    models: Path, tmp_path: Path, kind: str, error: type[AnyPortalError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        render(tmp_path, models, tmp_path / "out", shot=bad_shot(kind, tmp_path))
    assert caught.value.hint


def test_a_missing_model_is_named_before_any_work(media: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"depth.*1\.4 GB") as caught:
        render(media, tmp_path / "nothing", tmp_path / "out")
    assert str(tmp_path / "nothing") in caught.value.where and "ANYPORTAL_MODELS" in caught.value.hint
