"""What each part of an IC-Light pass is given, told by stand-ins that record it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

import torch.nn.functional as F  # noqa: E402

from anyportal_core.frames import ArraySource  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins.iclight import harmonise as shots  # noqa: E402
from anyportal_core.plugins.iclight import plugin, relight  # noqa: E402
from anyportal_core.plugins.iclight.codec import GREY, resize  # noqa: E402
from anyportal_core.plugins.iclight.harmonise import Relighting  # noqa: E402
from anyportal_core.plugins.iclight.relight import Frames, Light  # noqa: E402
from anyportal_core.plugins.iclight.sampler import Steps  # noqa: E402
from anyportal_core.plugins.iclight.specs import FIRST_FRAME, HARMONISE  # noqa: E402
from anyportal_core.registry import PluginSpec, create  # noqa: E402
from anyportal_core.roles import Prompts, RoleContext  # noqa: E402
from anyportal_core.roles.background import Backdrop  # noqa: E402
from anyportal_core.settings import Settings  # noqa: E402

SIDE, SEED, GUIDANCE = 64, 5, 7.0
NEGATIVE, POSITIVE = 1.0, 3.0


class Codec:
    """Latents are the mean of 8x8 pixels, with a channel of ones; what is decoded is a picture of its own."""

    made = torch.linspace(0.1, 0.9, 3)[None, :, None, None]

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        small = F.avg_pool2d(pictures, 8)
        return torch.cat([small, torch.ones_like(small[:, :1])], dim=1)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        count, _, height, width = latents.shape
        return self.made.expand(count, 3, height * 8, width * 8).clone()


@dataclass
class UNet:
    """Predicts what the text states say; notes what it is given."""

    seen: list[tuple[torch.Tensor, ...]] = field(default_factory=list)

    def __call__(
        self, latents: torch.Tensor, timestep: torch.Tensor, conditions: torch.Tensor, prompts: torch.Tensor, batch: int
    ) -> torch.Tensor:
        self.seen.append((latents, timestep, conditions))
        return prompts.mean((1, 2))[:, None, None, None, None].expand(-1, *latents.shape)


class Recorded(Steps):
    """Steps that note how they are used."""

    runs: list[Recorded]

    def __init__(self, count: int, strength: float = 1.0) -> None:
        super().__init__(count, strength)
        self.cut = count, strength
        self.noise: list[torch.Tensor] = []
        self.predicted: list[torch.Tensor] = []

    def begin(self, noise: torch.Tensor, picture: torch.Tensor | None = None) -> torch.Tensor:
        self.runs.append(self)
        self.noise.append(noise)
        self.start = picture
        return super().begin(noise, picture)

    def run(self, latents: torch.Tensor, predict: Callable[..., Any], draw: Callable[[], Any]) -> Iterator[Any]:
        def kept(into: list[torch.Tensor], value: torch.Tensor) -> torch.Tensor:
            into.append(value)
            return value

        yield from super().run(
            latents, lambda *given: kept(self.predicted, predict(*given)), lambda: kept(self.noise, draw())
        )


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    monkeypatch.setattr(Recorded, "runs", [], raising=False)
    monkeypatch.setattr(relight, "Steps", Recorded)
    return Recorded.runs


def pictures(seed: int, count: int = 3, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


FRAMES = Frames(pictures(1), pictures(2, channels=1), pictures(3))
PROMPTS = torch.stack([torch.full((4, 5), value) for value in (NEGATIVE, POSITIVE)])
LIGHT = Light(PROMPTS, GUIDANCE, 2, SEED, 8, lambda step: None)


def seen_at(size: int, source: torch.Tensor) -> torch.Tensor:
    return Codec().encode(resize(source, size, size))


def check_guided(run: Recorded) -> None:
    for predicted in run.predicted:
        torch.testing.assert_close(predicted, torch.full_like(predicted, NEGATIVE + GUIDANCE * (POSITIVE - NEGATIVE)))


def check_noise(runs: list[Recorded], seed: int) -> None:
    """One stream for all runs of a pass; the anchor's row is its own, all others share the second."""
    generator = torch.Generator().manual_seed(seed)
    for run in runs:
        assert len(run.noise) == 1 + len(run)
        for noise in run.noise:
            drawn = torch.randn(2, *noise.shape[1:], generator=generator)
            assert torch.equal(noise, drawn[[0, *[1] * (len(noise) - 1)]])


def test_the_background_pass(runs: list[Recorded]) -> None:
    unet = UNet()
    made = relight.by_background(unet, Codec(), FRAMES, LIGHT)
    small, large = runs
    assert (small.cut, large.cut) == ((2, 1.0), (4, 0.5))
    assert small.start is None
    torch.testing.assert_close(large.start, seen_at(2 * SIDE, Codec.made.expand(3, 3, SIDE, SIDE)))
    for index, (_, _, conditions) in enumerate(unet.seen):
        size = SIDE if index < 2 else 2 * SIDE
        foreground = GREY + (FRAMES.plate - GREY) * FRAMES.matte
        torch.testing.assert_close(conditions[:, :4], seen_at(size, foreground))
        torch.testing.assert_close(conditions[:, 4:], seen_at(size, FRAMES.background))
    assert [int(timestep) for _, timestep, _ in unet.seen] == [*small.timesteps.tolist(), *large.timesteps.tolist()]
    check_guided(small), check_guided(large)
    check_noise(runs, SEED)
    torch.testing.assert_close(made, Codec.made * FRAMES.matte + FRAMES.background * (1 - FRAMES.matte))


def test_the_text_pass(runs: list[Recorded]) -> None:
    unet, before = UNet(), pictures(4)
    made = relight.by_text(unet, Codec(), FRAMES, before, 0.65, LIGHT)
    (run,) = runs
    assert run.cut == (4, 0.65)
    torch.testing.assert_close(run.start, seen_at(2 * SIDE, before))
    for _, _, conditions in unet.seen:
        torch.testing.assert_close(conditions, seen_at(2 * SIDE, FRAMES.foreground))
    check_guided(run)
    check_noise(runs, SEED)
    torch.testing.assert_close(made, Codec.made * FRAMES.matte + FRAMES.background * (1 - FRAMES.matte))


def test_the_first_frames_pass(runs: list[Recorded]) -> None:
    unet = UNet()
    made = relight.first_frame(unet, Codec(), FRAMES, LIGHT)
    (run,) = runs
    assert run.cut == (2, 1.0) and run.start is None
    for _, _, conditions in unet.seen:
        torch.testing.assert_close(conditions, seen_at(SIDE, FRAMES.foreground))
    check_guided(run)
    check_noise(runs, SEED)
    torch.testing.assert_close(made, Codec.made.expand_as(made))


class Base:
    """Text states that say which text they are of."""

    codec = Codec()

    def prompts(self, text: str, negative: str) -> tuple[str, str]:
        return negative, text

    def tensor(self, images: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(images).permute(0, 3, 1, 2)


def sources(count: int) -> tuple[ArraySource, ArraySource, ArraySource]:
    return tuple(
        ArraySource(pictures(seed, count, channels).movedim(1, -1).numpy())
        for seed, channels in ((1, 3), (2, 1), (3, 3))
    )


def test_a_shots_passes_and_their_anchors(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    made = iter([pictures(10, 3), pictures(11, 3), pictures(12, 3), pictures(13, 3)])

    def recorded(name: str) -> Callable[..., torch.Tensor]:
        def call(unet: str, codec: Codec, frames: Frames, *rest: Any) -> torch.Tensor:
            calls.append((name, unet, frames, *rest))
            return next(made)

        return call

    for name in ("by_background", "by_text"):
        monkeypatch.setattr(shots, name, recorded(name))
    how = Relighting("a man", seed=SEED, steps=3, text_strength=0.4, window=2, batch=6, guidance=4.0)
    given = sources(4)
    found = np.concatenate(list(shots.harmonise(Base(), "fbc", "fc", given, how, lambda step: None)))
    assert [call[:2] for call in calls] == [("by_background", "fbc"), ("by_text", "fc")] * 2
    for index, (_, _, frames, *rest) in enumerate(calls):
        rows = [0, 0, 1] if index < 2 else [0, 2, 3]
        for tensor, source in zip((frames.plate, frames.matte, frames.background), given, strict=True):
            assert np.array_equal(tensor.movedim(1, -1).numpy(), source.read(0, 4)[rows])
        light = rest[-1]
        assert light.prompts == (shots.NEGATIVE_PROMPT, "a man, best quality")
        assert (light.seed, light.guidance, light.steps, light.batch) == (SEED + index % 2, 4.0, 3, 6)
    # The second pass's anchor is the first pass's first frame, in every window.
    first = pictures(10, 3)[1:]
    for (_, _, _, before, strength, _), window in zip(calls[1::2], (first, pictures(12, 3)[1:]), strict=True):
        assert torch.equal(before, torch.cat([first[:1], window])) and strength == 0.4
    assert np.array_equal(found, torch.cat([pictures(11, 3)[1:], pictures(13, 3)[1:]]).movedim(1, -1).numpy())


def test_a_first_frames_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    made = pictures(10, 2)
    monkeypatch.setattr(shots, "first_frame", lambda *given: calls.append(given) or made)
    plate, matte, _ = (source.read(0, 1)[0] for source in sources(1))
    how = Relighting("a man", seed=SEED, steps=3)
    found = shots.relit_first_frame(Base(), "fc", plate, matte, how, lambda step: None)
    ((unet, _, frames, light),) = calls
    assert unet == "fc" and light.seed == SEED and light.prompts == (shots.NEGATIVE_PROMPT, "a man, best quality")
    for tensor, image in ((frames.plate, plate), (frames.matte, matte)):
        assert np.array_equal(tensor.movedim(1, -1).numpy(), np.stack([image, image]))
    assert np.array_equal(found, made[1].movedim(0, -1).numpy())


def context(spec: PluginSpec, folder: Path, **given: Any) -> RoleContext:
    return RoleContext(
        settings=Settings.check(spec.settings, given, spec.name),
        generator=lambda run: np.random.default_rng(100 + run),
        checkpoint=lambda: None,
        note=lambda text: None,
        prompts=Prompts("a beach", "a man, a beach"),
        models=Models(folder),
        progress=lambda share: None,
    )


def seed(run: int) -> int:
    return int(np.random.default_rng(100 + run).integers(2**31))


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that are their names."""
    monkeypatch.setattr(plugin, "_base", lambda context, model: f"base {model}")
    monkeypatch.setattr(plugin, "_relighter", lambda context, variant: variant)
    monkeypatch.setattr(plugin, "_inpainter", lambda context: "inpainter")


@pytest.mark.usefixtures("named")
def test_what_the_settings_make_of_a_shot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(plugin, "harmonise", lambda *given: calls.append(given) or iter(()))
    shot, wanted = sources(2), {"t0": 0.3, "steps": 4, "guidance": 2.0, "batch": 3}
    list(create(HARMONISE).relight(*shot, context(HARMONISE, tmp_path, **wanted)))
    list(create(HARMONISE).relight(*shot, context(HARMONISE, tmp_path, text_relight=False)))
    (base, fbc, fc, given, how, *_), (_, _, nothing, *_) = calls
    assert (base, fbc, fc, given, nothing) == ("base sd15", "fbc", "fc", shot, None)
    assert how == Relighting("a man, a beach", seed(0), steps=4, text_strength=0.3, batch=3, guidance=2.0)


@pytest.mark.usefixtures("named")
def test_what_the_settings_make_of_a_first_frame(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    relit, calls = pictures(5, 1)[0].movedim(0, -1).numpy(), []
    for name in ("relit_first_frame", "fill_hole"):
        monkeypatch.setattr(plugin, name, lambda *given, name=name: calls.append((name, *given)) or relit)
    plate, _, _ = sources(1)
    matte = np.zeros((1, SIDE, SIDE, 1), np.float32)
    matte[:, 20:30, 20:30] = 1
    settings = context(FIRST_FRAME, tmp_path, steps=4, guidance=2.0, batch=3, grow=2)
    list(create(FIRST_FRAME).paint(plate, ArraySource(matte), Backdrop("prompt", "a beach"), settings))
    (_, base, fc, frame, alpha, how, _), (_, other, unet, picture, hole, prompt, second, steps, _) = calls
    assert (base, fc) == ("base sd15", "fc") and (other, unet) == ("base sd15-inpainting", "inpainter")
    assert np.array_equal(frame, plate.read(0, 1)[0]) and np.array_equal(alpha, matte[0])
    assert how == Relighting("a man, a beach", seed(0), steps=4, batch=3, guidance=2.0)
    assert picture is relit and (prompt, second, steps) == ("a beach", seed(1), 4)
    assert hole[18:32, 25].all() and hole[20:30, 20:30].all() and not hole[:18].any() and not hole[32:].any()
