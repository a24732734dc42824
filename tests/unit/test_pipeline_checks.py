"""What a run looks at before its first stage, and what it tells while one stage works on a long window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import Cancelled, GpuTooSmallError, ModelNotFoundError
from anyportal_core.frames import FrameSource
from anyportal_core.models import Models
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.registry import Catalogue, ModelUse, PluginSpec
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.matte import MatteHints
from anyportal_core.settings import Setting
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_images

SHARES = (0.2, 0.7, 0.6, 7.0)
"""What a window says of itself: neither in order nor in range."""


class OneWindow:
    """A matte plug-in that works on the whole shot at once, and does not fit the GPU if it is to be large."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        for share in SHARES:
            context.progress(share)
        alpha = np.zeros((len(plate), plate.height, plate.width), np.float32)
        alpha[:, :, : plate.width // 2] = 1
        yield {"alpha": alpha}

    def render(self, frame: Any, stored: Any, given: Any, context: RoleContext) -> Any:
        return stored["alpha"]

    def check_memory(self, context: RoleContext) -> None:
        if context.settings.flag("large"):
            raise GpuTooSmallError("it needs 20.0 GB of the GPU's memory, which has 16.0 GB", hint="a larger one")


SPEC = PluginSpec(
    "test.matte",
    "matte",
    "1",
    f"{__name__}:OneWindow",
    "One window.",
    settings=(Setting("large", "boolean", False, "More."), Setting("weight", "number", 1.0, "Of a model.", 0, 1)),
)


class Watcher:
    """Hears of everything; stops the run at a number of checkpoints."""

    def __init__(self, checkpoints: int = 10**6) -> None:
        self.told: list[tuple[str, float, float]] = []
        self.opened = False
        self._left = checkpoints

    def started(self, frames: object, rate: object) -> None:
        self.opened = True

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None:
        self.told.append((stage, stage_fraction, fraction))

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None: ...

    def files(self, written: object) -> None: ...

    def log(self, text: str, warning: bool = False) -> None: ...

    def checkpoint(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Cancelled("the test asked for it")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Watcher]:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    write_images(tmp_path / "in/plate.%04d.exr", moving_scene(3, 48, 64).plate, 1, "half")
    (tmp_path / "models").mkdir()

    def render(
        spec: PluginSpec = SPEC, device: str = "cpu", watcher: Watcher | None = None, **settings: Any
    ) -> Watcher:
        known = load_catalogue()
        catalogue = Catalogue({**known.plugins, spec.name: spec}, known.presets)
        request = RecipeRequest(BackdropChoice("colour", "#ff0000"), settings={"matte.plugin": spec.name, **settings})
        watcher = watcher or Watcher()
        render_shot(
            Shot(MediaRef(tmp_path / "in/plate.%04d.exr")),
            resolve(request, catalogue),
            Delivery(),
            tmp_path / "out",
            DirectoryCache(tmp_path / "stages"),
            watcher,
            catalogue,
            Models(tmp_path / "models"),
            device,
        )
        return watcher

    return render


def test_a_plugin_tells_how_far_it_is_within_a_window(run: Callable[..., Watcher]) -> None:
    told = run().told
    matte = [share for stage, share, _ in told if stage == "matte"]
    assert matte[:4] == [0.2, 0.7, 0.7, 1.0]
    fractions = [fraction for *_, fraction in told]
    assert fractions == sorted(fractions) and len(set(fractions)) > 4
    assert fractions[-1] == pytest.approx(1)


def test_a_run_can_be_stopped_where_a_plugin_tells_how_far_it_is(run: Callable[..., Watcher]) -> None:
    watcher = Watcher(3)
    with pytest.raises(Cancelled):
        run(watcher=watcher)
    assert [share for _, share, _ in watcher.told] == [0.2, 0.7]


def test_a_gpu_that_is_too_small_is_refused_before_any_work(run: Callable[..., Watcher]) -> None:
    watcher = Watcher()
    with pytest.raises(GpuTooSmallError, match=r"matte: it needs 20\.0 GB .* 16\.0 GB") as caught:
        run(device="cuda:0", watcher=watcher, large=True)
    assert caught.value.hint == "a larger one" and not watcher.opened and not watcher.told


@pytest.mark.parametrize(("device", "large"), [("cuda:0", False), ("cpu", True)])
def test_what_fits_runs(run: Callable[..., Watcher], device: str, large: bool) -> None:
    assert run(device=device, large=large).opened


def test_all_missing_models_of_a_run_are_named_before_any_work(run: Callable[..., Watcher]) -> None:
    watcher = Watcher()
    with pytest.raises(ModelNotFoundError, match=r"2 models.*'das'.*'studio/own'"):
        run(replace(SPEC, models=("das", "studio/own")), watcher=watcher)
    assert not watcher.opened


@pytest.mark.parametrize(
    ("use", "settings", "needed"),
    [
        (ModelUse("das", "weight"), {}, True),
        (ModelUse("das", "weight"), {"weight": 0}, False),
        (ModelUse("das", "large"), {}, False),
        (ModelUse("das", backdrops=("prompt", "still")), {}, False),
        (ModelUse("das", backdrops=("colour",)), {}, True),
        (ModelUse("das", text=True), {}, False),
    ],
)
def test_a_model_is_asked_for_where_the_settings_use_it(
    run: Callable[..., Watcher], use: ModelUse, settings: dict[str, Any], needed: bool
) -> None:
    spec = replace(SPEC, models=("das",), model_uses=(use,))
    if needed:
        with pytest.raises(ModelNotFoundError, match="'das'"):
            run(spec, **settings)
    else:
        assert run(spec, **settings).opened


def test_all_uses_of_a_model_must_hold(run: Callable[..., Watcher]) -> None:
    both = replace(SPEC, models=("das",), model_uses=(ModelUse("das", "weight"), ModelUse("das", "large")))
    assert run(both).opened
    with pytest.raises(ModelNotFoundError):
        run(both, large=True)
