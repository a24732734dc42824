"""What each part of a refinement by CogVideoX is given, told by stand-ins that record it."""

from __future__ import annotations

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
from anyportal_core.method.detail import take_over  # noqa: E402
from anyportal_core.method.refinement import DETAIL, PATCH, PLATE_DETAIL, paper  # noqa: E402
from anyportal_core.method.schedule import scaled_linear  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins.cogvideox import networks as parts  # noqa: E402
from anyportal_core.plugins.cogvideox import refine as plugin  # noqa: E402
from anyportal_core.plugins.cogvideox.edges import canny_edges  # noqa: E402
from anyportal_core.plugins.cogvideox.networks import Choice, Control, Networks  # noqa: E402
from anyportal_core.plugins.cogvideox.published import noise_schedule  # noqa: E402
from anyportal_core.plugins.cogvideox.specs import REFINES  # noqa: E402
from anyportal_core.plugins.cogvideox.transfers import to_pictures  # noqa: E402
from anyportal_core.registry import create  # noqa: E402
from anyportal_core.roles import Prompts, RoleContext  # noqa: E402
from anyportal_core.settings import Settings  # noqa: E402
from anyportal_core.testing.scene_contract import StoredArrays  # noqa: E402
from anyportal_core.testing.tiny.video import SCHEDULE  # noqa: E402

SIZE, COUNT, WINDOW, START = (32, 48), 13, 9, 4
"""Two windows, the second from frame 4 on."""

GUIDANCE, CONTROL = 4.0, 0.5
NEGATIVE, POSITIVE = 1.0, 3.0


@dataclass
class Codec:
    encoded: list[torch.Tensor] = field(default_factory=list)

    def encode(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.encoded.append(frames)
        mean = F.avg_pool2d(frames[0, ::4], 8)[None]
        return mean, torch.full_like(mean, 99)


@dataclass
class Network:
    """Says of the two prompts what their text is; as a control branch, gives residuals."""

    seen: list[tuple[Any, ...]] = field(default_factory=list)
    controls: list[torch.Tensor] = field(default_factory=list)
    dtype = torch.float32
    config = SimpleNamespace(sample_frames=WINDOW, use_rotary_positional_embeddings=False)

    def encode_control(self, frames: torch.Tensor) -> torch.Tensor:
        self.controls.append(frames)
        return torch.full((1, 3, 4, 4, 6), float(len(self.controls)))


@dataclass
class Transformer(Network):
    def __call__(self, *given: Any) -> torch.Tensor:
        self.seen.append(given)
        return given[1].mean((1, 2))[:, None, None, None, None].expand_as(given[0])


@dataclass
class Branch(Network):
    def __call__(self, *given: Any) -> list[torch.Tensor]:
        self.seen.append(given)
        return [torch.full((2, 3), 7.0)]


@dataclass
class Refined:
    """A shot of two windows, refined by stand-ins, and what they were given."""

    runs: list[dict[str, Any]]
    networks: Networks
    drawn: list[np.ndarray]
    shot: dict[str, np.ndarray]
    text: torch.Tensor

    def frames(self, name: str) -> list[np.ndarray]:
        return [self.shot[name][:WINDOW], self.shot[name][START:]]

    def begun(self) -> list[np.ndarray]:
        """What each window begins from: the harmonised frames, but those that the one before has refined, to grey."""
        first, second = self.frames("relit")
        shared = np.full_like(second[: WINDOW - START], 0.5)
        return [first, np.concatenate([shared, second[WINDOW - START :]])]


def context(folder: Path, **given: Any) -> RoleContext:
    wanted = {"steps": 10, "t1": 0.6, "guidance": GUIDANCE, "control": CONTROL, "window": WINDOW, "overlap": 4}
    return RoleContext(
        settings=Settings.check(REFINES[0].settings, wanted | given, ""),
        generator=lambda window: np.random.default_rng(70 + window),
        checkpoint=lambda: None,
        note=lambda text: None,
        prompts=Prompts("a beach", "a man, a beach"),
        models=Models(folder),
        progress=lambda share: None,
    )


@pytest.fixture
def refined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Refined:
    rng, runs, drawn = np.random.default_rng(0), [], []

    def edges(frames: np.ndarray) -> np.ndarray:
        drawn.append(frames)
        return 1 - frames

    networks = Networks(Transformer(), Control(Branch(), edges), Codec(), scaled_linear())
    text = torch.stack([torch.full((4, 5), value) for value in (NEGATIVE, POSITIVE)])
    monkeypatch.setattr(Choice, "text", lambda self, context: text)
    monkeypatch.setattr(Choice, "networks", lambda self, context: networks)

    def run(start: torch.Tensor, plan: Any, schedule: Any, **more: Any) -> torch.Tensor:
        runs.append({"start": start, "plan": plan, "schedule": schedule, **more})
        return torch.zeros(1, WINDOW, 3, *SIZE)

    monkeypatch.setattr(plugin, "refine", run)
    shot = {name: rng.random((COUNT, *SIZE, 3), np.float32) for name in ("plate", "background", "relit")}
    shot["matte"] = rng.random((COUNT, *SIZE, 1), np.float32)
    sources = [ArraySource(shot[name]) for name in ("plate", "matte", "background")]
    list(create(REFINES[0]).steady(*sources, StoredArrays({"relit": shot["relit"]}), context(tmp_path)))
    assert len(runs) == 2
    return Refined(runs, networks, drawn, shot, text)


def video(frames: np.ndarray) -> torch.Tensor:
    """As the codec takes it, -1..1."""
    return torch.from_numpy(frames * 2 - 1).movedim(-1, 1)[None]


def test_a_run_begins_from_the_latent_of_harmonised_frames(refined: Refined) -> None:
    for run, encoded, relit in zip(refined.runs, refined.networks.codec.encoded, refined.begun(), strict=True):
        torch.testing.assert_close(encoded, video(relit))
        torch.testing.assert_close(run["start"], Codec().encode(video(relit))[0])
        assert run["codec"] is refined.networks.codec and run["schedule"] is refined.networks.schedule
        assert run["plan"] == paper(10, 4)


def test_edges_are_drawn_of_what_it_begins_from_and_encoded_from_minus_one(refined: Refined) -> None:
    branch = refined.networks.control.network
    for drawn, control, relit in zip(refined.drawn, branch.controls, refined.begun(), strict=True):
        np.testing.assert_array_equal(drawn, relit)
        torch.testing.assert_close(control, video(1 - relit))


def test_an_evaluation_is_guided_and_controlled_as_the_settings_say(refined: Refined) -> None:
    transformer, branch = refined.networks.transformer, refined.networks.control.network
    for number, run in enumerate(refined.runs):
        velocity = run["predict"](run["start"], 499)
        torch.testing.assert_close(velocity, torch.full_like(velocity, NEGATIVE + GUIDANCE * (POSITIVE - NEGATIVE)))
        both, text, times, rotary, residuals, weight = transformer.seen[-1]
        assert torch.equal(both, run["start"].expand_as(both)) and len(both) == 2
        assert text is refined.text and times.tolist() == [499, 499] and rotary is None
        assert [residual.tolist() for residual in residuals] == [[[7.0] * 3] * 2] and weight == CONTROL
        noisy, words, control, when, _ = branch.seen[-1]
        assert noisy is both and words is refined.text and when is times
        assert control.shape[0] == 2 and (control == number + 1).all()


def test_every_group_of_frames_has_noise_of_its_own_whichever_window_sees_it(refined: Refined) -> None:
    for start, run in zip((0, START), refined.runs, strict=True):
        shape = tuple(run["start"].shape)
        generators = [np.random.default_rng(70 + start // 4 + group) for group in range(shape[1])]
        for block in (0, 1):
            drawn = [generator.standard_normal(shape[:1] + shape[2:], np.float32) for generator in generators]
            assert np.array_equal(run["noise"](block).numpy(), np.stack(drawn, 1))


def test_a_transfer_has_the_plate_the_harmonised_frames_and_the_background(refined: Refined) -> None:
    for number, run in enumerate(refined.runs):
        pictures = run["edit"]._pictures
        for name in ("plate", "background", "matte"):
            np.testing.assert_array_equal(getattr(pictures, name).numpy(), refined.frames(name)[number])
        np.testing.assert_array_equal(pictures.harmonised.numpy(), refined.begun()[number])
        frames = torch.rand((1, WINDOW, 3, *SIZE), generator=torch.Generator().manual_seed(number)) * 2 - 1
        for transfer, source, background in (
            (PATCH, pictures.harmonised, None),
            (DETAIL, pictures.harmonised, None),
            (PLATE_DETAIL, pictures.plate, pictures.background),
        ):
            seen = to_pictures(frames)
            expected = take_over(seen, source, pictures.matte, transfer.band, transfer.sigma, background)
            torch.testing.assert_close(to_pictures(run["edit"](transfer, frames)), expected)


def test_the_text_is_who_is_in_the_shot_and_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[str] = []
    encoder = SimpleNamespace(encode=lambda text, note: told.append(text) or torch.zeros(2, 3, 4))
    monkeypatch.setattr(parts, "read_config", lambda folder: {})
    monkeypatch.setattr(parts, "make_room", lambda *given: None)
    monkeypatch.setattr(parts, "load_video_prompts", lambda *given: encoder)
    monkeypatch.setattr(Models, "find", lambda self, name: tmp_path)
    Choice("5b", "hed").text(context(tmp_path))
    assert told == ["a man, a beach"]


@pytest.mark.parametrize(("size", "drawn"), [("5b", "hed"), ("5b", "canny"), ("2b", "hed"), ("2b", "canny")])
def test_every_choice_loads_its_own_networks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: Any, drawn: Any
) -> None:
    for name in ("load_network", "load_codec"):
        monkeypatch.setattr(parts, name, lambda *given: SimpleNamespace(to=lambda device: given[:-1]))
    monkeypatch.setattr(parts, "load_schedule", lambda model: ("schedule", model))
    monkeypatch.setattr(parts, "load_hed", lambda folder, device: ("hed", folder))
    monkeypatch.setattr(parts, "keep_on", lambda device, key, load, make: make())
    monkeypatch.setattr(Models, "find", lambda self, name: tmp_path / name)
    monkeypatch.setattr(Models, "revision", lambda self, name: "1")
    found, model = Choice(size, drawn).networks(context(tmp_path)), tmp_path / f"cogvideox-{size}"
    assert found.transformer == (parts.CogVideoX, model / "transformer") and found.codec == (model,)
    assert found.schedule == ("schedule", model)
    assert found.control.network == (parts.CogVideoXControlnet, tmp_path / f"controlnet/{size}-{drawn}")
    assert found.control.edges == (("hed", tmp_path / "hed") if drawn == "hed" else canny_edges)


def test_a_schedule_that_names_no_shift_has_the_2b_models() -> None:
    assert noise_schedule(SCHEDULE, "") == scaled_linear(snr_shift=3.0)
    for shift in (1.0, 3.0):
        assert noise_schedule(SCHEDULE | {"snr_shift_scale": shift}, "") == scaled_linear(snr_shift=shift)
