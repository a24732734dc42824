"""IC-Light and ProPainter in their roles, with tiny random models where a daemon would have the published ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import AutoencoderKL  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from anyportal_core.errors import Cancelled, ModelNotFoundError, NonFiniteLatentsError, RecipeError  # noqa: E402
from anyportal_core.frames import ArraySource  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins.guards import AGAIN  # noqa: E402
from anyportal_core.plugins.iclight.specs import FIRST_FRAME, HARMONISE  # noqa: E402
from anyportal_core.plugins.propainter.specs import CLEAN_PLATE  # noqa: E402
from anyportal_core.registry import PluginSpec, create  # noqa: E402
from anyportal_core.roles import Chunk, Prompts, RoleContext  # noqa: E402
from anyportal_core.roles.background import Backdrop  # noqa: E402
from anyportal_core.settings import Settings  # noqa: E402
from anyportal_core.testing.tiny.pictures import (  # noqa: E402
    INPAINTING_CHANNELS,
    write_iclight_offset,
    write_stable_diffusion,
)
from anyportal_core.testing.tiny.propainter import write_propainter  # noqa: E402

SIZE = 64, 72
PROMPTED = Prompts("a beach", "a man, a beach")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    found = Models(tmp_path_factory.mktemp("models"))
    write_stable_diffusion(found.place("sd15"))
    write_stable_diffusion(found.place("sd15-inpainting"), INPAINTING_CHANNELS, seed=3)
    for seed, variant in enumerate(("fc", "fbc"), start=6):
        write_iclight_offset(found.place(f"iclight/{variant}"), variant, seed)
    write_propainter(found.place("propainter"))
    return found


def go_on() -> None:
    """Nobody cancels."""


def context(
    spec: PluginSpec, models: Models, given: dict[str, Any], checkpoint: Callable[[], None] = go_on, **more: Any
) -> RoleContext:
    return RoleContext(
        settings=Settings.check(spec.settings, given, spec.name),
        generator=lambda window: np.random.default_rng(window),
        checkpoint=checkpoint,
        note=lambda text: None,
        prompts=more.get("prompts", Prompts()),
        models=models,
        device="cpu",
    )


def shot(count: int) -> tuple[ArraySource, ArraySource, ArraySource]:
    rng = np.random.default_rng(0)
    matte = np.zeros((count, *SIZE, 1), np.float32)
    matte[:, 20:40, 20:50] = 1
    pictures = rng.random((2, count, *SIZE, 3), np.float32)
    return ArraySource(pictures[0]), ArraySource(matte), ArraySource(pictures[1])


def joined(chunks: Any, name: str) -> np.ndarray:
    found: list[Chunk] = list(chunks)
    return np.concatenate([chunk[name] for chunk in found])


def test_harmonise_yields_every_frame_relit(models: Models) -> None:
    plate, matte, background = shot(3)
    given = context(HARMONISE, models, {"steps": 2}, prompts=PROMPTED)
    relit = joined(create(HARMONISE).relight(plate, matte, background, given), "relit")
    assert relit.shape == (3, *SIZE, 3) and relit.min() >= 0 and relit.max() <= 1
    outside = matte.read(0, 3)[..., 0] == 0
    assert np.array_equal(relit[outside], background.read(0, 3)[outside])


def test_the_relighting_by_the_prompt_can_be_left_out(models: Models) -> None:
    plate, matte, background = shot(1)
    makers = [
        create(HARMONISE).relight(
            plate, matte, background, context(HARMONISE, models, {"steps": 2, "text_relight": on}, prompts=PROMPTED)
        )
        for on in (True, False)
    ]
    both = [joined(maker, "relit") for maker in makers]
    assert not np.allclose(*both)


def test_without_a_prompt_the_background_alone_relights(models: Models) -> None:
    said: list[str] = []
    silent = replace(context(HARMONISE, models, {"steps": 2}), note=said.append)
    left_out = context(HARMONISE, models, {"steps": 2, "text_relight": False})
    found, expected = (joined(create(HARMONISE).relight(*shot(2), given), "relit") for given in (silent, left_out))
    assert np.array_equal(found, expected)
    assert "no prompt" in said[0]


def test_a_first_frame_is_painted_from_the_prompt(models: Models) -> None:
    plate, matte, _ = shot(2)
    given = context(FIRST_FRAME, models, {"steps": 2}, prompts=PROMPTED)
    made = joined(create(FIRST_FRAME).paint(plate, matte, Backdrop("prompt", "a beach"), given), "frames")
    assert made.shape == (1, *SIZE, 3) and np.isfinite(made).all()


def test_a_still_is_the_first_frame_and_covers_it(models: Models) -> None:
    plate, matte, _ = shot(1)
    still = np.zeros((1, 50, 200, 3), np.float32)
    still[:, :, 60:140] = 1
    backdrop = Backdrop("still", frames=ArraySource(still))
    made = joined(create(FIRST_FRAME).paint(plate, matte, backdrop, context(FIRST_FRAME, models, {})), "frames")
    assert made.shape == (1, *SIZE, 3) and made.min() == 1


def test_an_empty_prompt_is_refused(models: Models) -> None:
    plate, matte, _ = shot(1)
    with pytest.raises(RecipeError, match="empty"):
        list(create(FIRST_FRAME).paint(plate, matte, Backdrop("prompt"), context(FIRST_FRAME, models, {})))


def test_a_clean_plate_keeps_what_it_can_see(models: Models) -> None:
    plate, matte, _ = shot(3)
    cleaned = joined(create(CLEAN_PLATE).clean(plate, matte, context(CLEAN_PLATE, models, {"grow": 2})), "frames")
    frames = plate.read(0, 3)
    assert cleaned.shape == frames.shape
    assert np.array_equal(cleaned[:, :18], frames[:, :18]) and np.array_equal(cleaned[:, :, 53:], frames[:, :, 53:])
    assert not np.array_equal(cleaned[:, 18, 30], frames[:, 18, 30])


def test_progress_is_told_at_every_evaluation(models: Models) -> None:
    plate, matte, background = shot(3)
    told: list[float] = []
    given = replace(context(HARMONISE, models, {"steps": 3}, prompts=PROMPTED), progress=told.append)
    list(create(HARMONISE).relight(plate, matte, background, given))
    assert told == pytest.approx([step / len(told) for step in range(1, len(told) + 1)]) and len(told) > 8

    told.clear()
    given = replace(context(FIRST_FRAME, models, {"steps": 2}, prompts=PROMPTED), progress=told.append)
    list(create(FIRST_FRAME).paint(plate, matte, Backdrop("prompt", "a beach"), given))
    assert told == [0.25, 0.5, 0.75, 1]

    told.clear()
    given = replace(context(CLEAN_PLATE, models, {}), progress=told.append)
    list(create(CLEAN_PLATE).clean(plate, matte, given))
    assert told == sorted(told) and told[-1] == 1 and len(told) == 4


@pytest.mark.parametrize("last", [1, 2, 3])
def test_decoded_values_that_are_no_numbers_stop_it(models: Models, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """Infinity too, which would be clamped to white."""
    was, decoded = AutoencoderKL.decode, []

    def decode(self: Any, latents: Any) -> Any:
        made = was(self, latents)
        decoded.append(made)
        if len(decoded) == 2 * last:  # the anchor and a frame each time
            made.sample[0, 0, 0, 0] = float("inf")
        return made

    monkeypatch.setattr(AutoencoderKL, "decode", decode)
    plate, matte, background = shot(1)
    given = context(HARMONISE, models, {"steps": 2}, prompts=PROMPTED)
    with pytest.raises(NonFiniteLatentsError, match="codec") as caught:
        list(create(HARMONISE).relight(plate, matte, background, given))
    assert (caught.value.where, caught.value.hint) == ("harmonise", AGAIN)


@pytest.mark.parametrize(("part", "network"), [("vae", "codec"), ("text_encoder", "text encoder"), ("unet", "step 1")])
def test_the_network_whose_weights_are_broken_is_named(
    models: Models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: str, network: str
) -> None:
    found = Models(tmp_path)
    shutil.copytree(models.root, tmp_path, dirs_exist_ok=True)
    (file,) = (found.place("sd15") / part).glob("*.safetensors")
    weights = load_file(file)
    weights[next(key for key in weights if key.endswith("bias") and "decoder" not in key)][0] = float("nan")
    save_file(weights, file)
    plate, matte, background = shot(1)
    given = context(HARMONISE, found, {"steps": 2}, prompts=PROMPTED)
    with pytest.raises(NonFiniteLatentsError, match=f"{network}.* no numbers") as caught:
        list(create(HARMONISE).relight(plate, matte, background, given))
    assert (caught.value.where, caught.value.hint) == ("harmonise", AGAIN)


@pytest.mark.parametrize("spec", [HARMONISE, FIRST_FRAME, CLEAN_PLATE], ids=lambda spec: spec.name)
def test_a_missing_model_is_named(spec: PluginSpec, tmp_path: Path) -> None:
    plate, matte, background = shot(1)
    given = context(spec, Models(tmp_path), {}, prompts=PROMPTED)
    plugin = create(spec)
    runs = {
        "harmonise": lambda: plugin.relight(plate, matte, background, given),
        "first_frame": lambda: plugin.paint(plate, matte, Backdrop("prompt", "a beach"), given),
        "clean_plate": lambda: plugin.clean(plate, matte, given),
    }
    with pytest.raises(ModelNotFoundError):
        list(runs[spec.role]())


def test_a_user_can_stop_it_at_the_next_step(models: Models) -> None:
    def stop() -> None:
        raise Cancelled("stopped")

    plate, matte, background = shot(1)
    given = context(HARMONISE, models, {}, stop, prompts=PROMPTED)
    with pytest.raises(Cancelled):
        list(create(HARMONISE).relight(plate, matte, background, given))
