"""A GPU's memory, with one that is made up: what fits, what is let go of, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from safetensors.torch import save_file  # noqa: E402

from anyportal_core.catalogue import load_catalogue  # noqa: E402
from anyportal_core.errors import GpuTooSmallError, ModelNotFoundError  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins import device, loaded  # noqa: E402
from anyportal_core.plugins.device import Load, Memory, check_fits, device_memory, keep_on, make_room  # noqa: E402
from anyportal_core.plugins.weights import loaded_bytes  # noqa: E402
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve  # noqa: E402
from anyportal_core.registry import PluginSpec, create  # noqa: E402
from anyportal_core.roles import NeedsMemory, Prompts, RoleContext  # noqa: E402
from anyportal_core.settings import Settings  # noqa: E402
from anyportal_core.stages.casting import Cast  # noqa: E402
from anyportal_core.testing.tiny.everything import writers  # noqa: E402

GPU = "cuda:0"
NUMBERS = 250_000_000
"""Of a network: a gigabyte in full precision."""


class Card:
    """A GPU of some gigabytes, of which others, torch's cache and our kept models hold some."""

    def __init__(self, total: float, others: float = 0.0, cached: float = 0.0) -> None:
        self.total, self.others, self.cached = total, others, cached

    def memory(self, name: str) -> Memory | None:
        if name == "cpu":
            return None
        return Memory(self.total - self.others - self.cached - sum(loaded._kept.values()), self.total)

    def empty_cache(self) -> None:
        self.cached = 0.0


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Card]]:
    def insert(*given: float) -> Card:
        made = Card(*given)
        monkeypatch.setattr(device, "device_memory", made.memory)
        monkeypatch.setattr(torch.cuda, "empty_cache", made.empty_cache)
        return made

    loaded.forget()
    yield insert
    loaded.forget()


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of a gigabyte whose file has a hundred numbers."""
    save_file({"a": torch.zeros(80), "b": torch.zeros(20, dtype=torch.int64)}, tmp_path / "model.safetensors")
    real = device.loaded_bytes
    monkeypatch.setattr(device, "loaded_bytes", lambda *given: real(*given) * NUMBERS // 80)
    return tmp_path


def test_weights_count_as_they_are_loaded(tmp_path: Path) -> None:
    """Half of what the file has where they are halved; what has no fraction stays."""
    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(7, dtype=torch.int64)}, tmp_path / "model.safetensors")
    torch.save({"a": torch.zeros(4, dtype=torch.float16)}, tmp_path / "other.pth")
    assert loaded_bytes(tmp_path) == 15 * 4 + 7 * 8
    assert loaded_bytes(tmp_path, torch.bfloat16) == 15 * 2 + 7 * 8
    assert loaded_bytes(tmp_path / "other.pth") == 8
    assert loaded_bytes(tmp_path / "other.pth", torch.float32) == 16


def test_of_two_forms_of_the_same_weights_one_counts(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(8)}, tmp_path / "model.safetensors")
    torch.save({"a": torch.zeros(8)}, tmp_path / "pytorch_model.bin")
    assert loaded_bytes(tmp_path) == 32


def test_what_lies_there_at_once_is_what_counts(weights: Path, card: Callable[..., Card]) -> None:
    one, other = Load(((weights, torch.float32),), 3.0), Load(((weights, torch.float16),) * 2, 4.0)
    card(5.7)
    assert (round(one.gigabytes, 1), round(other.gigabytes, 1)) == (4.5, 6.0)
    with pytest.raises(GpuTooSmallError, match=r"needs 6\.0 GB of the GPU's memory, which has 5\.7 GB") as caught:
        check_fits(GPU, one, other)
    assert caught.value.hint and caught.value.where == GPU
    check_fits(GPU, one)
    check_fits("cpu", one, other)


def test_a_processor_is_not_asked() -> None:
    assert device_memory("cpu") is None
    make_room("cpu", Load((), 1e9))


def test_nothing_is_let_go_of_where_there_is_room(card: Callable[..., Card]) -> None:
    made = card(20.0, 0.0, 3.0)
    loaded.keep(("a",), lambda: 5.0)
    make_room(GPU, Load((), 12.0))
    assert loaded.keeps(("a",)) and made.cached


def test_the_cache_goes_before_kept_models_do(card: Callable[..., Card]) -> None:
    made = card(20.0, 0.0, 3.0)
    loaded.keep(("a",), lambda: 5.0)
    make_room(GPU, Load((), 14.0))
    assert loaded.keeps(("a",)) and not made.cached
    make_room(GPU, Load((), 16.0))
    assert not loaded.keeps(("a",))


def test_what_others_hold_is_said_where_that_is_too_much(card: Callable[..., Card]) -> None:
    card(20.0, 9.0)
    loaded.keep(("a",), lambda: 5.0)
    with pytest.raises(GpuTooSmallError, match=r"needs 12\.0 GB .* of which 11\.0 GB are free") as caught:
        make_room(GPU, Load((), 12.0))
    assert "uses the GPU" in caught.value.hint


def test_kept_models_have_room_to_work_each_time(weights: Path, card: Callable[..., Card]) -> None:
    """Others may have come since they were loaded."""
    card(20.0)
    load = Load(((weights, torch.float32),), 9.0)
    assert keep_on(GPU, ("a",), load, lambda: 1.0) == 1.0
    keep_on(GPU, ("b",), Load((), 1.0), lambda: 12.0)
    assert keep_on(GPU, ("a",), load, lambda: 2.0) == 1.0, "it is still there"
    assert not loaded.keeps(("b",))


def contexts(models: Models, spec: PluginSpec, prompt: str = "a beach", **settings: Any) -> RoleContext:
    return RoleContext(
        settings=Settings.check(spec.settings, settings, ""),
        generator=np.random.default_rng,
        checkpoint=lambda: None,
        note=lambda text: None,
        prompts=Prompts(prompt, prompt),
        models=models,
        device=GPU,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    found = Models(tmp_path_factory.mktemp("models"))
    for name in ("das", "cogvideox-5b", "controlnet/5b-hed", "hed", "sd15", "sd15-inpainting", "propainter"):
        writers()[name](found.place(name))
    return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """The weights that are asked about: below the models' root, and their precision. Each has a gigabyte."""
    asked: list[tuple[str, Any]] = []

    def count(path: Path, dtype: Any) -> int:
        asked.append(("/".join(path.parts[-2:]), dtype))
        return 10**9

    monkeypatch.setattr(device, "loaded_bytes", count)
    return asked


@pytest.mark.parametrize(
    ("name", "settings", "needed"),
    [
        ("das.background", {}, 2 + 6),
        ("iclight.relight", {}, 4 + 8),
        ("iclight.relight", {"text_relight": False}, 3 + 8),
        ("iclight.first_frame", {}, 3 + 8),
        ("propainter.clean_plate", {}, 3 + 13),
        ("propainter.clean_plate", {"part": 50}, 3 + 11),
        ("cogvideox.refine", {}, 4 + 10),
        ("cogvideox.refine", {"control": 0}, 2 + 10),
    ],
)
def test_every_plugin_says_what_it_needs(
    models: Models,
    card: Callable[..., Card],
    counted: list[tuple[str, Any]],
    name: str,
    settings: dict[str, Any],
    needed: float,
) -> None:
    spec = load_catalogue().plugins[name]
    plugin, context = create(spec), contexts(models, spec, **settings)
    assert isinstance(plugin, NeedsMemory)
    card(needed - 0.2)
    with pytest.raises(GpuTooSmallError, match=rf"needs {needed}\.\d GB"):
        plugin.check_memory(context)
    card(needed + 0.2)
    plugin.check_memory(context)
    assert counted


def test_the_precision_is_the_one_that_is_loaded(
    models: Models, card: Callable[..., Card], counted: list[tuple[str, Any]]
) -> None:
    card(100.0)
    plugins = load_catalogue().plugins
    refine, light = plugins["cogvideox.refine"], plugins["iclight.relight"]
    for spec in (plugins["das.background"], refine, light):
        create(spec).check_memory(contexts(models, spec))
    assert ("das/transformer", torch.bfloat16) in counted and ("das/text_encoder", torch.bfloat16) in counted
    assert ("cogvideox-5b/transformer", torch.bfloat16) in counted and ("sd15/unet", torch.float16) in counted
    assert ("hed/ControlNetHED.pth", torch.float32) in counted
    counted.clear()
    for spec in (refine, light):
        create(spec).check_memory(contexts(models, spec, precision="full"))
    assert {dtype for _, dtype in counted} == {torch.float32}


def test_no_plugin_of_ours_that_loads_models_is_silent_about_them() -> None:
    specs = load_catalogue().plugins.values()
    ours = [spec for spec in specs if spec.models and spec.factory.startswith("anyportal_core.")]
    assert len(ours) > 8
    assert [spec.name for spec in ours if not isinstance(create(spec), NeedsMemory)] == []


def cast(models: Models, backdrop: BackdropChoice, **settings: Any) -> Cast:
    catalogue = load_catalogue()
    recipe = resolve(RecipeRequest(backdrop, "anyportal", settings=settings), catalogue, frozenset({"matte"}))
    return Cast(recipe, catalogue, lambda: None, lambda text, warning=False: None, models, GPU)


PROMPT, STILL, CLIP = (BackdropChoice(kind, "0" * 64) for kind in ("prompt", "still", "clip"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("backdrop", "settings", "role", "used"),
    [
        (PROMPT, {}, "background", {"das"}),
        (CLIP, {}, "background", set()),
        (PROMPT, {}, "first_frame", {"sd15", "iclight/fc", "sd15-inpainting"}),
        (STILL, {}, "first_frame", set()),
        (PROMPT, {}, "harmonise", {"sd15", "iclight/fc", "iclight/fbc"}),
        (STILL, {}, "harmonise", {"sd15", "iclight/fbc"}),
        (PROMPT, {"harmonise.text_relight": False}, "harmonise", {"sd15", "iclight/fbc"}),
        (PROMPT, {}, "refine", {"cogvideox-5b", "controlnet/5b-hed", "hed"}),
        (PROMPT, {"refine.control": 0}, "refine", {"cogvideox-5b"}),
        (PROMPT, {"refine.consistency": False}, "refine", set()),
    ],
)
def test_models_that_the_settings_do_not_use_are_not_needed(
    tmp_path: Path,
    card: Callable[..., Card],
    backdrop: BackdropChoice,
    settings: dict[str, Any],
    role: Any,
    used: set[str],
) -> None:
    card(1000.0)
    made = cast(Models(tmp_path), backdrop, **settings)
    assert set(made.used_models(role)) == used
    if used:
        with pytest.raises(ModelNotFoundError):
            made.check_memory(role)
    else:
        made.check_memory(role)  # none of them is there
