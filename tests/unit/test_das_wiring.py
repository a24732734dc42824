"""What each part of Diffusion-as-Shader is given, told by stand-ins that record it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

import torch.nn.functional as F  # noqa: E402

from anyportal_core.frames import ArraySource  # noqa: E402
from anyportal_core.method.schedule import scaled_linear, swinging_guidance  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins.das import plugin as das  # noqa: E402
from anyportal_core.plugins.das import sampler  # noqa: E402
from anyportal_core.plugins.das.sampler import Scene, image_to_video  # noqa: E402
from anyportal_core.plugins.das.specs import BACKGROUND  # noqa: E402
from anyportal_core.plugins.device import seeded  # noqa: E402
from anyportal_core.registry import create  # noqa: E402
from anyportal_core.roles import Prompts, RoleContext  # noqa: E402
from anyportal_core.roles.background import Backdrop, BackgroundInputs  # noqa: E402
from anyportal_core.settings import Settings  # noqa: E402
from anyportal_core.testing.scene_contract import StoredArrays  # noqa: E402

SIZE = 32, 48
PROMPTS = Prompts("a beach", "a man, a beach")
COUNT, WINDOW, START = 8, 5, 3
"""Frames 3 and 4 belong to both windows."""


@dataclass
class Codec:
    """Latents are means, one of deviation where it is wanted; every decoding is another video."""

    encoded: list[torch.Tensor] = field(default_factory=list)
    decoded: list[torch.Tensor] = field(default_factory=list)

    def encode(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.encoded.append(frames)
        mean = F.avg_pool2d(frames[0, ::4], 8)[None]
        return mean, torch.ones_like(mean)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(len(self.decoded))
        self.decoded.append(torch.rand((1, WINDOW, 3, *SIZE), generator=generator) * 2 - 1)
        return self.decoded[-1]


@dataclass
class Painted:
    """A shot of two windows, painted by stand-ins, and what they were given."""

    codec: Codec
    runs: list[tuple[Any, ...]]
    frames: np.ndarray
    tracking: list[np.ndarray]
    first: np.ndarray
    networks: das.Networks


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Painted:
    codec, runs, rng = Codec(), [], np.random.default_rng(0)
    config = SimpleNamespace(sample_height=4, sample_width=6, use_learned_positional_embeddings=False)
    transformer = SimpleNamespace(config=config, device=torch.device("cpu"), dtype=torch.float32)
    networks = das.Networks(transformer, codec, scaled_linear())
    monkeypatch.setattr(das, "_networks", lambda context: networks)
    monkeypatch.setattr(das, "_text", lambda context: "text")

    def run(*given: Any) -> torch.Tensor:
        runs.append(given)
        return torch.zeros(1, 2, 4, 4, 6)

    monkeypatch.setattr(das, "image_to_video", run)
    first = rng.random((1, *SIZE, 3), np.float32)
    tracking = rng.integers(0, 255, (2, COUNT, *SIZE, 3), np.uint8)
    motion = {
        "tracking": tracking[0],
        "tracking_before": tracking[1],
        "window_start": np.array([0] * START + [START] * (COUNT - START)),
        "window_length": np.full(COUNT, WINDOW),
    }
    plate = ArraySource(rng.random((COUNT, *SIZE, 3), np.float32))
    backdrop = Backdrop("prompt", "a beach")
    stored, start = StoredArrays(motion), StoredArrays({"frames": first})
    inputs = BackgroundInputs(plate, plate, stored, backdrop, 24.0, first_frame=start)
    frames = np.concatenate([chunk["frames"] for chunk in create(BACKGROUND).make(inputs, context(tmp_path))])
    windows = das.tracked_windows(stored)
    return Painted(
        codec, runs, frames, [das.read_tracking(stored, windows, number)[0] for number in (0, 1)], first[0], networks
    )


def context(folder: Path, prompts: Prompts = PROMPTS) -> RoleContext:
    return RoleContext(
        settings=Settings.check(BACKGROUND.settings, {"steps": 7, "guidance": 4.0}, ""),
        generator=lambda window: np.random.default_rng(50 + window),
        checkpoint=lambda: None,
        note=lambda text: None,
        prompts=prompts,
        models=Models(folder),
        progress=lambda share: None,
    )


def video(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, -3)


def test_tracking_is_encoded_from_zero_to_one_and_its_first_frame_from_minus_one(painted: Painted) -> None:
    assert len(painted.codec.encoded) == len(painted.runs) == 2
    for encoded, run, tracking in zip(painted.codec.encoded, painted.runs, painted.tracking, strict=True):
        torch.testing.assert_close(encoded[0], video(tracking))
        torch.testing.assert_close(run[3].tracking_image[0], video(tracking[0]) * 2 - 1)


def test_a_window_begins_with_the_frame_that_the_one_before_painted(painted: Painted) -> None:
    (one, two), made = (run[3].image[0] for run in painted.runs), painted.codec.decoded[0][0] / 2 + 0.5
    torch.testing.assert_close(one, video(painted.first) * 2 - 1)
    torch.testing.assert_close(two, made[START] * 2 - 1)
    np.testing.assert_allclose(painted.frames[:START], made[:START].movedim(1, -1), atol=1e-6)


def test_a_run_has_the_settings_the_text_and_the_windows_own_noise(painted: Painted) -> None:
    for number, run in enumerate(painted.runs):
        transformer, codec, schedule, scene, steps, guidance, draw, _ = run
        assert (transformer, codec, schedule) == (
            painted.networks.transformer,
            painted.networks.codec,
            painted.networks.schedule,
        )
        assert scene.text == "text" and steps == 7
        for timestep in (999, 856, 142):
            assert guidance(timestep) == swinging_guidance(4.0, 7, timestep)
        generator = seeded(np.random.default_rng(50 + number))
        mean, _ = Codec().encode(painted.codec.encoded[number])
        noise = torch.randn(tuple(mean.transpose(1, 2).shape), generator=generator)
        torch.testing.assert_close(scene.tracking, mean + noise.transpose(1, 2))
        assert torch.equal(draw((2, 3)), torch.randn((2, 3), generator=generator))


@dataclass
class Network:
    """Says of the two prompts what their text is."""

    seen: list[tuple[Any, ...]] = field(default_factory=list)
    dtype = torch.float32
    config = SimpleNamespace(use_rotary_positional_embeddings=False)

    def __call__(self, *given: Any) -> torch.Tensor:
        self.seen.append(given)
        return given[1].mean((1, 2))[:, None, None, None, None].expand(2, 2, 3, 4, 6)


def test_a_run_gives_the_network_what_was_drawn_and_encoded_in_the_published_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    velocities: list[torch.Tensor] = []

    def sample(latents: Any, steps: int, schedule: Any, predict: Callable[..., Any], draw: Any, on_step: Any) -> Any:
        velocities.extend(predict(latents, timestep) for timestep in (999, 499))
        return latents, draw()

    monkeypatch.setattr(sampler, "sample_sde", sample)
    drawn, network, codec = iter(range(1, 99)), Network(), Codec()
    words = torch.stack([torch.full((4, 5), value) for value in (1.0, 3.0)])
    tracking = torch.full((1, 2, 3, 4, 6), 0.25)
    scene = Scene(torch.full((1, 3, *SIZE), 0.5), tracking, torch.full((1, 3, *SIZE), -0.5), words)
    made = image_to_video(
        network,
        codec,
        scaled_linear(),
        scene,
        2,
        lambda timestep: timestep / 100,
        lambda shape: torch.full(shape, float(next(drawn))),
        lambda step: None,
    )
    # Draws: 1 the image, 2 the latents, 3 the tracking image, 4 dropped, 5 the first that the sampler is given.
    for given, timestep in zip(network.seen, (999, 499), strict=True):
        latents, text, times, tracks, _ = given
        assert torch.equal(text, words) and times.tolist() == [timestep] * 2
        for prompt in (0, 1):
            assert (latents[prompt, :, :3] == 2).all() and (tracks[prompt, :, :3] == 0.25).all()
            assert (latents[prompt, 0, 3:] == 0.5 + 1).all() and not latents[prompt, 1, 3:].any()
            assert (tracks[prompt, 0, 3:] == -0.5 + 3).all() and not tracks[prompt, 1, 3:].any()
    for velocity, scale in zip(velocities, (9.99, 4.99), strict=True):
        torch.testing.assert_close(velocity, torch.full_like(velocity, 1 + scale * 2))
    assert (made[0] == 2).all() and (made[1] == 5).all()


def test_it_is_told_of_the_place_alone_and_without_one_of_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []

    def encode(text: str, note: Any) -> torch.Tensor:
        told.append(text)
        return torch.stack([torch.zeros(2, 3), torch.ones(2, 3)])

    monkeypatch.setattr(das, "read_config", lambda folder: {})
    monkeypatch.setattr(das, "make_room", lambda *given: None)
    monkeypatch.setattr(das, "load_video_prompts", lambda *given: SimpleNamespace(encode=encode))
    monkeypatch.setattr(Models, "find", lambda self, name: tmp_path)
    assert das._text(context(tmp_path)).mean((1, 2)).tolist() == [0, 1]
    assert told == ["a beach"]
    assert das._text(context(tmp_path, Prompts())).mean((1, 2)).tolist() == [0, 0]
