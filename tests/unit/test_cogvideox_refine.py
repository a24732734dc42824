"""CogVideoX in the role refine, with tiny random models where a daemon would have the published ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from safetensors.torch import load_file, save_file  # noqa: E402

from anyportal_core.errors import Cancelled, CheckpointError, ModelNotFoundError, NonFiniteLatentsError  # noqa: E402
from anyportal_core.frames import ArraySource  # noqa: E402
from anyportal_core.method.srgb import to_light  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins import loaded  # noqa: E402
from anyportal_core.plugins.cogvideox.controlnet import CogVideoXControlnet  # noqa: E402
from anyportal_core.plugins.cogvideox.refine import plan_of  # noqa: E402
from anyportal_core.plugins.cogvideox.specs import REFINES  # noqa: E402
from anyportal_core.plugins.cogvideox.transformer import CogVideoX  # noqa: E402
from anyportal_core.plugins.guards import AGAIN, cure  # noqa: E402
from anyportal_core.registry import PluginSpec, create  # noqa: E402
from anyportal_core.roles import Part, Prompts, RoleContext  # noqa: E402
from anyportal_core.settings import Settings  # noqa: E402
from anyportal_core.testing.cut_short import check_goes_on  # noqa: E402
from anyportal_core.testing.tiny.hed import write_hed  # noqa: E402
from anyportal_core.testing.tiny.video import SEEN, write_cogvideox, write_controlnet  # noqa: E402

REFINE, CANNY, SMALL, _ = REFINES
SIZE = 30, 44
QUICK = {"steps": 4, "t1": 0.5, "window": 9, "overlap": 3}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    found = Models(tmp_path_factory.mktemp("models"))
    for seed, size in enumerate(("2b", "5b")):
        write_cogvideox(found.place(f"cogvideox-{size}"), size == "5b", seed)
        for edges in ("hed", "canny"):
            write_controlnet(found.place(f"controlnet/{size}-{edges}"), size == "5b", seed + len(edges))
    write_hed(found.place("hed"))
    return found


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    """A test that breaks a network must not break it for the next."""
    yield
    loaded.forget()


@dataclass
class Harmonised:
    frames: np.ndarray
    names: frozenset[str] = frozenset({"relit"})
    veil: tuple[float, float] = (0.0, 0.0)

    @property
    def count(self) -> int:
        return len(self.frames)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        assert name in self.names
        if name == "veil":
            return np.tile(np.array(self.veil, np.float32)[None, :, None], (stop - start, 1, 3))
        return self.frames[start:stop]


@dataclass
class Job:
    """A shot of noise and what is said to a plug-in about it."""

    models: Models
    count: int = 9
    spec: PluginSpec = REFINE
    checkpoint: Callable[[], None] = lambda: None
    scene: str = "a man, a beach"
    tell: Callable[[float], None] = lambda share: None
    notes: list[str] = field(default_factory=list)
    empty: bool = False
    part: Part = lambda number, make: make()

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        plate, background, relit = rng.random((3, self.count, *SIZE, 3), np.float32)
        matte = np.zeros((self.count, *SIZE, 1), np.float32)
        if not self.empty:
            matte[:, 8:22, 16:34] = 1
        self.plate, self.matte, self.background = plate, matte, background
        self.relit = relit * matte + background * (1 - matte)

    def context(self, given: dict[str, Any]) -> RoleContext:
        return RoleContext(
            settings=Settings.check(self.spec.settings, QUICK | given, self.spec.name),
            generator=lambda window: np.random.default_rng(window),
            checkpoint=self.checkpoint,
            note=self.notes.append,
            prompts=Prompts("a beach", self.scene),
            models=self.models,
            device="cpu",
            progress=self.tell,
            part=self.part,
        )

    def chunks(self, **given: Any) -> Iterator[dict[str, np.ndarray]]:
        sources = [ArraySource(frames) for frames in (self.plate, self.matte, self.background)]
        yield from create(self.spec).steady(*sources, Harmonised(self.relit), self.context(given))

    def run(self, name: str = "frames", **given: Any) -> np.ndarray:
        return np.concatenate([chunk[name] for chunk in self.chunks(**given)])


def test_a_shot_becomes_frames_and_the_gain_they_show(models: Models) -> None:
    job = Job(models)
    (chunk,) = job.chunks()
    assert chunk["frames"].shape == (9, *SIZE, 3) and chunk["frames"].dtype == np.float32
    assert chunk["log_gain"].shape == (9, *SIZE, 3) and chunk["log_gain"].dtype == np.float32
    assert 0 <= chunk["frames"].min() < chunk["frames"].max() <= 1
    assert np.isfinite(chunk["log_gain"]).all() and chunk["log_gain"].std() > 1e-3
    assert np.array_equal(job.run(), chunk["frames"])
    assert job.notes == [], "a sentence fits"


def test_what_is_not_read_of_a_prompt_is_said(models: Models) -> None:
    job = Job(models, scene="a man " * 20)
    job.run()
    assert "too long" in job.notes[0]


def test_a_model_sees_no_more_frames_than_it_was_trained_on(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    forward = CogVideoX.forward

    def watched(self: CogVideoX, latents: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append(latents.shape[1])
        return forward(self, latents, *rest)

    monkeypatch.setattr(CogVideoX, "forward", watched)
    Job(models, 21).run(window=49)
    assert set(seen) == {(SEEN - 1) // 4 + 1}


@pytest.mark.parametrize("count", [1, 2, 5, 21])
def test_any_length(models: Models, count: int) -> None:
    chunks = [chunk["frames"] for chunk in Job(models, count).chunks()]
    assert sum(map(len, chunks)) == count
    assert all(len(chunk) <= 9 for chunk in chunks)


def test_a_shot_that_was_cut_short_goes_on_at_its_window(models: Models) -> None:
    """Windows fade into each other, across the cut as well."""
    check_goes_on(lambda part: Job(models, 20, part=part).chunks(overlap=3), 4)


def test_a_window_begins_with_what_the_one_before_has_made_of_its_frames(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anyportal_core.plugins.cogvideox import refine as plugin

    given: list[torch.Tensor] = []

    def darker(pictures: Any, *rest: Any) -> torch.Tensor:
        given.append(pictures.harmonised)
        return pictures.harmonised * 0.9

    monkeypatch.setattr(plugin, "_refine", darker)
    job = Job(models, 13)
    made = job.run(overlap=5)
    assert len(given) == 2
    before, after = given[0][4:] * 0.9, given[1][:5]
    assert torch.equal(after, before)
    # What begins a tenth darker again is as bright as the window before at last, where anything is relit.
    inside = job.matte[..., 0] == 1
    np.testing.assert_allclose(made[4:9][inside[4:9]].mean(), 0.9 * job.relit[4:9][inside[4:9]].mean(), rtol=0.02)


def test_windows_have_the_same_noise_for_the_frames_they_share(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    from anyportal_core.plugins.cogvideox import refine as plugin

    drawn: list[torch.Tensor] = []
    was = plugin.refine

    def watched(*given: Any, noise: Callable[[int], torch.Tensor], **more: Any) -> Any:
        drawn.append(noise(0))
        return was(*given, noise=noise, **more)

    monkeypatch.setattr(plugin, "refine", watched)
    Job(models, 13).run(overlap=5)
    first, second = drawn
    assert torch.equal(first[:, 1:], second[:, :2]) and not torch.equal(first[:, :2], second[:, :2])


def count_forwards(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    seen = {"transformer": 0, "controlnet": 0}
    for name, network in (("transformer", CogVideoX), ("controlnet", CogVideoXControlnet)):

        def forward(self: Any, *given: Any, _name: str = name, _was: Any = network.forward, **more: Any) -> Any:
            seen[_name] += 1
            return _was(self, *given, **more)

        monkeypatch.setattr(network, "forward", forward)
    return seen


@pytest.mark.parametrize(
    ("given", "evaluations"),
    [
        ({}, 2),
        ({"steps": 5, "t1": 1}, 5),
        ({"steps": 8, "t1": 0.02}, 1),
        ({"projection": False}, 2),
        ({"consistency": False}, 0),
    ],
)
def test_it_makes_the_evaluations_it_declares(
    models: Models, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], evaluations: int
) -> None:
    seen = count_forwards(monkeypatch)
    Job(models).run(**given)
    assert seen == {"transformer": evaluations, "controlnet": evaluations}
    if evaluations:
        assert plan_of(Job(models).context(given).settings).evaluations == evaluations


def test_the_released_schedule(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_forwards(monkeypatch)
    Job(models, 2).run(schedule="released", control=0)
    assert seen == {"transformer": 64, "controlnet": 0}
    assert plan_of(Job(models).context({"schedule": "released", "projection": False}).settings).evaluations == 35


def test_without_the_stage_the_harmonised_shot_stays(models: Models) -> None:
    job = Job(models, 20)
    assert np.array_equal(job.run(consistency=False), job.relit)


def test_the_papers_background_is_taken_over(models: Models) -> None:
    job = Job(models)
    outside = job.matte[..., 0] == 0
    found = job.run()
    np.testing.assert_allclose(found[outside], job.background[outside], atol=1e-6)
    assert np.abs(job.run(projection=False)[outside] - job.background[outside]).mean() > 0.05


def test_the_projection_has_an_effect_inside(models: Models) -> None:
    job = Job(models)
    inside = job.matte[..., 0] == 1
    assert np.abs(job.run()[inside] - job.run(projection=False)[inside]).mean() > 0.01


def test_where_nothing_is_edited_the_projection_is_none_bit_for_bit(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The released transfers touch the foreground alone: in a shot without one, every latent stays what it was."""
    from anyportal_core.method import refinement
    from anyportal_core.plugins.cogvideox import refine as plugin

    plan = refinement.Plan(4, (refinement.Block(1, 2, refinement.PATCH), refinement.Block(3, 1, refinement.DETAIL)))
    monkeypatch.setattr(plugin, "plan_of", lambda settings: plan)
    job = Job(models, empty=True)
    # Only the last decoded frames are clamped by the transfer, as the result is anyway.
    assert np.array_equal(job.run(), job.run(projection=False))


def test_boxed_is_near_and_has_the_same_background(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(models)
    assert np.array_equal(job.run(boxed=True), job.run())  # with its margin the box is all there is
    monkeypatch.setattr("anyportal_core.plugins.cogvideox.refine.MARGIN", 0)
    exact, boxed, plain = (job.run(dilate=0, **more) for more in ({}, {"boxed": True}, {"projection": False}))
    outside = job.matte[..., 0] == 0
    assert np.array_equal(boxed[outside], exact[outside])
    assert 0 < np.abs(boxed - exact).mean() < 0.5 * np.abs(plain - exact).mean()
    assert np.isfinite(Job(models, empty=True).run(boxed=True)).all()


def test_control_of_no_weight_is_none_bit_for_bit(models: Models) -> None:
    one, other = Job(models), Job(models, spec=CANNY)
    assert np.array_equal(one.run(control=0), other.run(control=0))
    assert not np.array_equal(one.run(), other.run())


def test_the_smaller_model_has_other_weights_and_another_schedule(models: Models) -> None:
    assert not np.array_equal(Job(models).run(), Job(models, spec=SMALL).run())


def test_it_can_be_cancelled_between_steps(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_forwards(monkeypatch)

    def stop() -> None:
        if seen["transformer"] == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        Job(models, checkpoint=stop).run(steps=8, t1=1)
    assert seen["transformer"] == 3


def test_numbers_that_are_none_stop_it_at_the_step(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    was = CogVideoX.forward
    steps = iter(range(9))

    def forward(self: Any, *given: Any, **more: Any) -> Any:
        return was(self, *given, **more) * (float("nan") if next(steps) == 2 else 1)

    monkeypatch.setattr(CogVideoX, "forward", forward)
    with pytest.raises(NonFiniteLatentsError, match=r"step 3 of 6.*models again"):
        Job(models).run(steps=6, t1=1)


def test_progress_is_told_at_every_step_of_every_window(models: Models) -> None:
    told: list[float] = []
    Job(models, 12, tell=told.append).run()
    assert told == pytest.approx([0.25, 0.5, 0.75, 1])


def test_decoded_values_that_are_no_numbers_stop_it(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the last decoding no step comes after it that would see them."""
    from diffusers import AutoencoderKLCogVideoX

    was, decoded = AutoencoderKLCogVideoX.decode, []

    def decode(self: Any, latent: Any) -> Any:
        made = was(self, latent)
        decoded.append(made)
        if len(decoded) == 2:
            made.sample[..., 0] = float("inf")
        return made

    monkeypatch.setattr(AutoencoderKLCogVideoX, "decode", decode)
    with pytest.raises(NonFiniteLatentsError, match="codec") as caught:
        Job(models).run()
    assert (caught.value.where, caught.value.hint) == ("refine", AGAIN)


def broken(models: Models, root: Path, part: str) -> Models:
    """The models, a number of one file of weights no number."""
    found = Models(root)
    shutil.copytree(models.root, root, dirs_exist_ok=True)
    file = root / part
    read, write = (torch.load, torch.save) if file.suffix == ".pth" else (load_file, save_file)
    weights = {key: value.clone() for key, value in read(file).items()}
    key = next(key for key in reversed(weights) if key.endswith(("bias", "norm.weight")) and "decoder" not in key)
    weights[key][0] = float("nan")
    write(weights, file)
    return found


@pytest.mark.parametrize(
    ("part", "network"),
    [
        ("hed/ControlNetHED.pth", "HED"),
        ("controlnet/5b-hed/diffusion_pytorch_model.safetensors", "ControlNet"),
        ("cogvideox-5b/vae/diffusion_pytorch_model.safetensors", "codec"),
        ("cogvideox-5b/text_encoder/model.safetensors", "text encoder"),
        ("cogvideox-5b/transformer/diffusion_pytorch_model.safetensors", "step 1"),
    ],
)
def test_the_network_whose_weights_are_broken_is_named(models: Models, tmp_path: Path, part: str, network: str) -> None:
    with pytest.raises(NonFiniteLatentsError, match=f"{network}.* no numbers") as caught:
        Job(broken(models, tmp_path, part)).run()
    assert (caught.value.where, caught.value.hint) == ("refine", AGAIN)


def test_more_precision_is_advised_where_there_is_more() -> None:
    assert cure("refine", torch.float16) == cure("refine", torch.bfloat16) == "set refine.precision to full"
    assert cure("refine", torch.float32) == AGAIN


def test_without_control_its_models_need_not_be_there(models: Models, tmp_path: Path) -> None:
    alone = Models(tmp_path)
    shutil.copytree(models.place("cogvideox-5b"), alone.place("cogvideox-5b"))
    assert np.array_equal(Job(alone).run(control=0), Job(models).run(control=0))
    with pytest.raises(ModelNotFoundError, match="controlnet/5b-hed"):
        Job(alone).run(control=0.5)


def test_a_gain_is_refined_as_well_as_a_painted_shot(models: Models) -> None:
    job = Job(models)
    gain = Harmonised(np.zeros((9, 8, 10, 3), np.float32), frozenset({"log_gain"}))
    sources = [ArraySource(frames) for frames in (job.plate, job.matte, job.background)]
    (chunk,) = create(REFINE).steady(*sources, gain, job.context({"consistency": False}))
    expected = job.plate * job.matte + job.background * (1 - job.matte)
    np.testing.assert_allclose(chunk["frames"], expected, atol=1e-5)


def test_a_veil_of_a_gain_is_taken_off_and_laid_on(models: Models) -> None:
    job = Job(models)
    gain = Harmonised(np.full((9, 8, 10, 3), -0.5, np.float32), frozenset({"log_gain", "veil"}), (0.01, 0.03))
    matte = np.ones_like(job.matte)
    sources = [ArraySource(frames) for frames in (job.plate, matte, job.background)]
    (chunk,) = create(REFINE).steady(*sources, gain, job.context({"consistency": False}))
    light = to_light(job.plate)
    lit = (light - 0.01 * light / (light + 0.01)) * np.exp(-0.5) + 0.03
    np.testing.assert_allclose(to_light(chunk["frames"]), np.clip(lit, 0, 1), atol=1e-4)


def test_a_model_in_the_place_of_another_is_refused(models: Models, tmp_path: Path) -> None:
    found = Models(tmp_path)
    write_cogvideox(found.place("cogvideox-5b"), rotary=True)
    write_controlnet(found.place("controlnet/5b-canny"), rotary=True)
    weights = "diffusion_pytorch_model.safetensors"
    shutil.copy(found.place("cogvideox-5b") / "vae" / weights, found.place("controlnet/5b-canny") / weights)
    with pytest.raises(CheckpointError, match="missing"):
        Job(found, spec=CANNY).run()
