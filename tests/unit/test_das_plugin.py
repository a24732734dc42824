"""Diffusion-as-Shader in the role background, with a tiny random model where a daemon would have the published one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from safetensors.torch import load_file, save_file  # noqa: E402

from anyportal_core.errors import NonFiniteLatentsError, RecipeError  # noqa: E402
from anyportal_core.frames import ArraySource  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins import loaded  # noqa: E402
from anyportal_core.plugins.das import plugin as das  # noqa: E402
from anyportal_core.plugins.das.specs import BACKGROUND  # noqa: E402
from anyportal_core.plugins.das.transformer import CogVideoXTransformer3DModelTracking  # noqa: E402
from anyportal_core.plugins.guards import AGAIN  # noqa: E402
from anyportal_core.registry import create  # noqa: E402
from anyportal_core.roles import Part, Prompts, RoleContext  # noqa: E402
from anyportal_core.roles.background import Backdrop, BackgroundInputs  # noqa: E402
from anyportal_core.settings import Settings  # noqa: E402
from anyportal_core.testing.cut_short import check_goes_on  # noqa: E402
from anyportal_core.testing.scene_contract import StoredArrays  # noqa: E402
from anyportal_core.testing.tiny import cogvideox as tiny  # noqa: E402
from anyportal_core.testing.tiny.video import write_das, write_network  # noqa: E402

SIZE = 30, 44
STEPS = 2


def write_model(models: Models, **config: Any) -> Models:
    write_das(models.place("das"))
    shutil.rmtree(models.place("das") / "transformer")
    write_network(models.place("das") / "transformer", tiny.tiny_tracking_transformer(**config))
    return models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """With positions for 9 frames."""
    return write_model(Models(tmp_path_factory.mktemp("models")))


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    yield
    loaded.forget()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames of latents each evaluation is given."""
    found: list[int] = []
    was = CogVideoXTransformer3DModelTracking.forward

    def forward(self: Any, latents: Any, *given: Any, **more: Any) -> Any:
        found.append(latents.shape[1])
        return was(self, latents, *given, **more)

    monkeypatch.setattr(CogVideoXTransformer3DModelTracking, "forward", forward)
    return found


def paint(
    models: Models,
    count: int,
    window: int,
    overlap: int = 1,
    tell: Callable[[float], None] = lambda share: None,
    part: Part = lambda number, make: make(),
) -> list[np.ndarray]:
    """The chunks that a shot of noise becomes, its tracking video drawn in windows."""
    rng = np.random.default_rng(0)
    starts = [0, *range(window - overlap, count - overlap, window - overlap)]
    start_of = np.array([max(start for start in starts if start <= index) for index in range(count)])
    tracking = rng.integers(0, 255, (2, count, *SIZE, 3), np.uint8)
    motion = StoredArrays(
        {
            "tracking": tracking[0],
            "tracking_before": tracking[1],
            "window_start": start_of,
            "window_length": np.full(count, window),
        }
    )
    plate = ArraySource(rng.random((count, *SIZE, 3), np.float32))
    first = StoredArrays({"frames": rng.random((1, *SIZE, 3), np.float32)})
    inputs = BackgroundInputs(plate, plate, motion, Backdrop("prompt", "a beach"), 24.0, first_frame=first)
    context = RoleContext(
        settings=Settings.check(BACKGROUND.settings, {"steps": STEPS}, ""),
        generator=np.random.default_rng,
        checkpoint=lambda: None,
        note=lambda text: None,
        prompts=Prompts("a beach", "a man, a beach"),
        models=models,
        progress=tell,
        part=part,
    )
    return [chunk["frames"] for chunk in create(BACKGROUND).make(inputs, context)]


@pytest.mark.parametrize(("count", "window"), [(9, 9), (3, 5), (6, 9), (12, 5)])
def test_the_learned_positions_are_the_models_own_in_every_window(
    models: Models, seen: list[int], monkeypatch: pytest.MonkeyPatch, count: int, window: int
) -> None:
    def computed(*given: Any, **more: Any) -> None:
        raise AssertionError("other positions than those that were learned")

    read = das.load_network

    def load(*given: Any) -> Any:
        network = read(*given)
        if isinstance(network, CogVideoXTransformer3DModelTracking):
            network.patch_embed._get_positional_embeddings = computed
        return network

    monkeypatch.setattr(das, "load_network", load)
    painted = np.concatenate(paint(models, count, window))
    assert painted.shape == (count, *SIZE, 3) and np.isfinite(painted).all()
    assert set(seen) == {3}, "9 frames are 3 latents"


@pytest.mark.parametrize(("height", "width"), [(480, 720), (640, 360), (360, 640), (1, 9), (40, 40)])
def test_pictures_are_shown_to_it_in_their_shape(height: int, width: int) -> None:
    """The middle half of a picture is as many times as high as wide, whatever the one size of the model is."""
    config = tiny.tiny_tracking_transformer(sample_height=60, sample_width=90).config
    place = das.model_place(config, height, width)
    assert place.seen == (480, 720)
    assert place.width / place.height == pytest.approx(width / height, rel=0.02)
    picture = np.random.default_rng(0).random((1, height, width, 3), np.float32)
    seen = das._video(picture, place)
    assert seen.shape == (1, 1, 3, 480, 720)
    if (height, width) == (480, 720):
        assert np.array_equal(seen[0, 0].permute(1, 2, 0), picture[0])


def test_a_clip_covers_the_plate_as_both_are_shown() -> None:
    picture = np.zeros((20, 60, 3), np.float32)
    picture[:, 20:40] = 1
    assert das.cover(picture, 20, 20, wider=3.0).min() == 1, "its middle third"
    assert np.array_equal(das.cover(picture, 20, 60, wider=1.0), picture), "of the plate's size and shape"
    assert das.cover(picture, 20, 30, wider=1.0)[:, 10:20].min() == 1, "before pixels twice as wide"


def test_a_window_that_the_model_has_no_positions_for_is_refused(models: Models) -> None:
    with pytest.raises(RecipeError, match="a window has 13 frames, and the model knows 9") as caught:
        paint(models, 13, 13)
    assert "tracks.window to 9" in caught.value.hint and caught.value.where == "recipe.settings.tracks.window"


def test_a_model_without_learned_positions_sees_no_more_than_the_window(tmp_path: Path, seen: list[int]) -> None:
    other = write_model(Models(tmp_path), use_learned_positional_embeddings=False)
    assert len(np.concatenate(paint(other, 5, 5))) == 5
    assert set(seen) == {2}


def test_every_window_is_in_the_light_of_the_first_and_begins_with_its_end(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[np.ndarray] = []

    def drifting(networks: Any, text: Any, first: np.ndarray, tracking: np.ndarray, *rest: Any) -> np.ndarray:
        begun.append(first)
        return np.full((len(tracking), *SIZE, 3), 0.5 * 1.1 ** len(begun), np.float32)

    monkeypatch.setattr(das, "_paint", drifting)
    painted = np.concatenate(paint(models, 21, 9, 3))
    assert len(begun) == 3 and np.abs(painted - 0.55).max() < 1e-3
    assert all(np.abs(first - 0.55).max() < 1e-3 for first in begun[1:])


def test_a_shot_that_was_cut_short_goes_on_at_its_window(models: Models) -> None:
    """Each window begins with a frame of the one before, and fades into it."""
    check_goes_on(lambda part: ({"frames": frames} for frames in paint(models, 12, 5, 2, part=part)), 4)


def test_the_transformer_itself_refuses_other_lengths() -> None:
    network = tiny.tiny_tracking_transformer()
    latents, text = torch.zeros(1, 2, 8, *tiny.LATENT[3:]), torch.zeros(1, tiny.TEXT_LENGTH, tiny.TEXT_CHANNELS)
    with pytest.raises(ValueError, match="5 frames for positions that were learned for 9"):
        network(latents, text, torch.tensor([1]), latents)


def test_the_text_encoder_is_gone_before_the_networks_come(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as large as the other, they would not fit one GPU together."""
    order: list[str] = []

    def spy(name: str) -> None:
        was = getattr(das, name)
        monkeypatch.setattr(das, name, lambda *given: order.append(name) or was(*given))

    for name in ("make_room", "load_video_prompts", "keep_on", "load_network"):
        spy(name)
    paint(models, 3, 5)
    assert order == ["make_room", "load_video_prompts", "keep_on", "load_network", "load_network"]


def test_progress_is_told_at_every_step_of_every_window(models: Models) -> None:
    told: list[float] = []
    paint(models, 12, 5, tell=told.append)
    assert told == pytest.approx([step / (3 * STEPS) for step in range(1, 3 * STEPS + 1)])


def test_decoded_values_that_are_no_numbers_stop_it(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    load = das.load_network

    def broken(kind: Any, *given: Any) -> Any:
        network = load(kind, *given)
        if kind is das.AutoencoderKLCogVideoX:
            network.decoder.conv_out.conv.bias.fill_(float("nan"))
        return network

    monkeypatch.setattr(das, "load_network", broken)
    with pytest.raises(NonFiniteLatentsError, match="codec") as caught:
        paint(models, 3, 5)
    assert (caught.value.where, caught.value.hint) == ("background", AGAIN)


@pytest.mark.parametrize(
    ("part", "key", "network"),
    [
        ("text_encoder/model.safetensors", "encoder.final_layer_norm.weight", "text encoder"),
        ("vae/diffusion_pytorch_model.safetensors", "encoder.conv_in.conv.bias", "codec"),
    ],
)
def test_the_network_whose_weights_are_broken_is_named(tmp_path: Path, part: str, key: str, network: str) -> None:
    models = write_model(Models(tmp_path))
    file = models.place("das") / part
    weights = load_file(file)
    weights[key][0] = float("nan")
    save_file(weights, file)
    with pytest.raises(NonFiniteLatentsError, match=f"{network} gave") as caught:
        paint(models, 3, 5)
    assert (caught.value.where, caught.value.hint) == ("background", AGAIN)
