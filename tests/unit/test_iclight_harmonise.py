"""IC-Light's passes over a shot, with tiny random models in the published layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from anyportal_core.errors import Cancelled  # noqa: E402
from anyportal_core.frames import ArraySource  # noqa: E402
from anyportal_core.method.sampling import OnStep, Step  # noqa: E402
from anyportal_core.plugins.iclight import relight  # noqa: E402
from anyportal_core.plugins.iclight.base import Base, load_base  # noqa: E402
from anyportal_core.plugins.iclight.codec import GREY, PictureCodec, resize  # noqa: E402
from anyportal_core.plugins.iclight.harmonise import Relighting, harmonise, relit_first_frame  # noqa: E402
from anyportal_core.plugins.iclight.relight import Frames, background_evaluations, text_evaluations  # noqa: E402
from anyportal_core.plugins.iclight.sampler import Steps  # noqa: E402
from anyportal_core.plugins.iclight.unet import AnchoredUNet, load_unet  # noqa: E402
from anyportal_core.roles import Chunk, Part  # noqa: E402
from anyportal_core.sizes import Fit  # noqa: E402
from anyportal_core.testing.cut_short import check_goes_on  # noqa: E402
from anyportal_core.testing.tiny.pictures import write_iclight_offset, write_stable_diffusion  # noqa: E402

OFFSETS = {"fc": "iclight_sd15_fc.safetensors", "fbc": "iclight_sd15_fbc.safetensors"}
Sources = tuple[ArraySource, ArraySource, ArraySource]
HOW = Relighting("a man on a beach", seed=7, steps=4, batch=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("models")
    write_stable_diffusion(base)
    for seed, (variant, file) in enumerate(OFFSETS.items(), start=3):
        write_iclight_offset(base / file, variant, seed)
    return base


@dataclass(frozen=True)
class Loaded:
    base: Base
    fc: AnchoredUNet
    fbc: AnchoredUNet

    def harmonise(self, sources: Sources, how: Relighting, on_step: OnStep, text: bool = True) -> np.ndarray:
        return np.concatenate(list(harmonise(self.base, self.fbc, self.fc if text else None, sources, how, on_step)))


def load(folder: Path, dtype: torch.dtype) -> Loaded:
    unets = {
        name: AnchoredUNet(load_unet(folder / "unet", folder / file, name, dtype)) for name, file in OFFSETS.items()
    }
    return Loaded(load_base(folder, "cpu", dtype), **unets)


@pytest.fixture(scope="module")
def iclight(folder: Path) -> Loaded:
    return load(folder, torch.float32)


@pytest.fixture(scope="module")
def precise(folder: Path) -> Loaded:
    """In float64, for runs that must agree: each step of random networks makes the rounding errors of float32 ten
    times larger, and those differ from one machine to the next. `test_iclight_unet` compares one step in float32."""
    return load(folder, torch.float64)


def shot(count: int, height: int = 64, width: int = 72) -> Sources:
    rng = np.random.default_rng(0)
    matte = np.zeros((count, height, width, 1), np.float32)
    matte[:, 16:48, 20:50] = 1
    pictures = rng.random((2, count, height, width, 3), np.float32)
    return ArraySource(pictures[0]), ArraySource(matte), ArraySource(pictures[1])


def ignore(step: Step) -> None:
    """Hears of steps and does nothing."""


def harmonised(iclight: Loaded, count: int, how: Relighting) -> np.ndarray:
    return iclight.harmonise(shot(count), how, ignore)


def test_neither_window_nor_batch_changes_the_result(precise: Loaded) -> None:
    whole = harmonised(precise, 4, HOW)
    assert whole.shape == (4, 64, 72, 3) and whole.dtype == np.float32
    assert np.abs(harmonised(precise, 4, replace(HOW, window=2, batch=1)) - whole).max() < 1e-4


def test_outside_the_matte_is_the_background_bit_for_bit(iclight: Loaded) -> None:
    found, (_, matte, background) = harmonised(iclight, 2, HOW), shot(2)
    outside = matte.read(0, 2)[..., 0] == 0
    assert np.array_equal(found[outside], background.read(0, 2)[outside])
    assert np.ptp(found[~outside]) > 0.01


def test_equal_frames_are_relit_equally(precise: Loaded) -> None:
    """All frames have the same noise; so what does not move stays as it is."""
    plate, matte, background = (ArraySource(source.read(0, 1).repeat(3, 0)) for source in shot(1))
    found = precise.harmonise((plate, matte, background), HOW, ignore)
    assert np.abs(found - found[:1]).max() < 1e-4


def test_every_pass_makes_the_evaluations_it_should(iclight: Loaded) -> None:
    steps: list[Step] = []
    iclight.harmonise(shot(2), replace(HOW, text_strength=0.5), steps.append)
    assert len(steps) == 12 and all(step.total == 4 for step in steps)
    steps.clear()
    iclight.harmonise(shot(2), HOW, steps.append, text=False)
    assert len(steps) == 8


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 200), st.floats(0.05, 1))
@example(1, 0.9)
@example(2, 0.85)
@example(200, 0.05)
def test_a_pass_from_a_noise_level_makes_the_evaluations_asked_for(steps: int, strength: float) -> None:
    assert text_evaluations(strength, steps) == steps
    assert background_evaluations(steps) == 2 * steps


def test_every_round_noise_level_leaves_the_evaluations_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """All counts at all hundredths, with what `Steps` is given in the place of its tensors."""
    monkeypatch.setattr(relight, "Steps", lambda whole, strength: range(int(whole * strength)))
    found = {
        (steps, strength): text_evaluations(strength / 100, steps)
        for steps in range(1, 201)
        for strength in range(5, 101)
    }
    assert {(asked, made) for asked, made in found.items() if made != asked[0]} == set()


@pytest.mark.parametrize(("strength", "count", "whole"), [(0.65, 20, 31), (0.5, 20, 40), (1.0, 20, 20), (0.9, 1, 2)])
def test_the_way_is_cut_as_published(strength: float, count: int, whole: int) -> None:
    found, expected = relight._steps_from(strength, count), Steps(whole, strength)
    assert torch.equal(found.timesteps, expected.timesteps) and len(found) == count


@pytest.mark.parametrize(("steps", "strength"), [(1, 0.9), (1, 1.0), (2, 0.85)])
def test_a_run_of_one_or_two_evaluations_can_be_made(iclight: Loaded, steps: int, strength: float) -> None:
    told: list[Step] = []
    found = iclight.harmonise(shot(1), replace(HOW, steps=steps, text_strength=strength), told.append)
    assert np.isfinite(found).all() and len(told) == 3 * steps


def test_the_seed_decides(iclight: Loaded) -> None:
    assert np.array_equal(harmonised(iclight, 2, HOW), harmonised(iclight, 2, HOW))
    assert not np.array_equal(harmonised(iclight, 2, HOW), harmonised(iclight, 2, replace(HOW, seed=8)))


def test_a_shot_that_was_cut_short_goes_on_at_its_window(iclight: Loaded) -> None:
    """The second pass of every window looks at what the first window made of the first frame."""
    how = replace(HOW, window=2)

    def run(part: Part) -> Iterator[Chunk]:
        frames = harmonise(iclight.base, iclight.fbc, iclight.fc, shot(5), how, ignore, part)
        return ({"relit": relit} for relit in frames)

    check_goes_on(run, 3)


def test_it_can_be_stopped_at_a_step(iclight: Loaded) -> None:
    def stop(step: Step) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        iclight.harmonise(shot(2), HOW, stop)


def test_a_first_frame_is_made_from_the_prompt(iclight: Loaded) -> None:
    plate, matte, _ = shot(1)
    steps: list[Step] = []
    made = relit_first_frame(iclight.base, iclight.fc, plate.read(0, 1)[0], matte.read(0, 1)[0], HOW, steps.append)
    assert made.shape == (64, 72, 3) and len(steps) == 4


def test_grey_becomes_zero() -> None:
    class Recorder(torch.nn.Module):
        config = type("Config", (), {"scaling_factor": 1.0})
        dtype = torch.float32
        seen: torch.Tensor

        def encode(self, row: torch.Tensor) -> object:
            self.seen = row
            return type("Out", (), {"latent_dist": type("Dist", (), {"mode": staticmethod(lambda: row)})})

    network = Recorder()
    PictureCodec(network).encode(torch.full((1, 3, 8, 8), 127 / 255))
    assert network.seen.abs().max() < 1e-6
    PictureCodec(network).encode(torch.ones(1, 3, 8, 8))
    assert torch.allclose(network.seen, torch.tensor(255 / 127 - 1))


def test_frames_are_seen_a_little_smaller_and_never_stretched() -> None:
    def place(height: int, width: int) -> Fit:
        return Frames(*(torch.zeros(1, channels, height, width) for channels in (3, 1, 3))).place()

    assert (place(480, 720).seen, place(480, 720).size) == ((448, 704), (448, 672))
    assert (place(20, 130).seen, place(20, 130).size) == ((64, 128), (20, 128))


def test_a_foreground_is_seen_on_grey() -> None:
    frames = Frames(torch.ones(1, 3, 4, 4), torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 4, 4))
    assert torch.allclose(frames.foreground, torch.tensor(GREY))


def test_resizing_to_the_same_size_changes_nothing() -> None:
    pictures = torch.rand(1, 3, 8, 8)
    assert resize(pictures, 8, 8) is pictures
