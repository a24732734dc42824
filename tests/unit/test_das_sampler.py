"""Diffusion-as-Shader's image-to-video run, and the published schedulers as witnesses."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler  # noqa: E402

from anyportal_core.errors import Cancelled, NonFiniteLatentsError  # noqa: E402
from anyportal_core.method.sampling import OnStep, Step, sample_sde  # noqa: E402
from anyportal_core.method.schedule import scaled_linear  # noqa: E402
from anyportal_core.method.sdedit import cleaned, moved  # noqa: E402
from anyportal_core.plugins.cogvideox.codec import VideoCodec  # noqa: E402
from anyportal_core.plugins.das.sampler import Scene, encode_tracking, image_to_video  # noqa: E402
from anyportal_core.plugins.guards import stop_at_non_finite  # noqa: E402
from anyportal_core.testing.tiny import cogvideox as tiny  # noqa: E402

PUBLISHED = {
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}
SCHEDULE = scaled_linear()


class Draws:
    def __init__(self, seed: int = 0) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, shape: tuple[int, ...]) -> torch.Tensor:
        self.shapes.append(shape)
        return torch.randn(shape, generator=self._generator)


def scene(codec: VideoCodec) -> Scene:
    draw = Draws(1)
    video = draw((1, tiny.FRAMES, 3, tiny.HEIGHT, tiny.WIDTH)).sigmoid()
    image = draw((1, 3, tiny.HEIGHT, tiny.WIDTH)).tanh()
    text = draw((2, tiny.TEXT_LENGTH, tiny.TEXT_CHANNELS))
    return Scene(image, encode_tracking(codec, video, draw), video[:, 0] * 2 - 1, text)


def run(steps: int, draws: Draws, on_step: OnStep, seen: list[object] | None = None) -> torch.Tensor:
    codec, network = VideoCodec(tiny.tiny_codec()), tiny.tiny_tracking_transformer()
    if seen is not None:
        network.register_forward_pre_hook(lambda _m, given: seen.append(given))
    return image_to_video(network, codec, SCHEDULE, scene(codec), steps, lambda _: 2.0, draws, on_step)


@pytest.mark.parametrize("snr_shift", [1.0, 3.0])
def test_the_schedule_is_the_published_one(snr_shift: float) -> None:
    theirs = CogVideoXDPMScheduler(**PUBLISHED, snr_shift_scale=snr_shift)
    ours = scaled_linear(snr_shift=snr_shift)
    alphas = torch.tensor(ours.alphas, dtype=torch.float64)
    torch.testing.assert_close(alphas, theirs.alphas_cumprod, atol=1e-12, rtol=0)
    for steps in (1, 4, 25, 50, 30):
        theirs.set_timesteps(steps)
        assert list(ours.timesteps(steps)) == theirs.timesteps.tolist()


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_the_stochastic_loop_is_the_published_one(steps: int) -> None:
    theirs = CogVideoXDPMScheduler(**PUBLISHED, snr_shift_scale=1.0)
    theirs.set_timesteps(steps)
    generator = torch.Generator().manual_seed(3)
    predictions = Draws(4)((steps, 1, 2, 3, 4)).double()
    expected, old = Draws(5)((1, 2, 3, 4)).double(), None
    start = expected
    for index, time in enumerate(theirs.timesteps):
        back = theirs.timesteps[index - 1] if index else None
        expected, old = theirs.step(predictions[index], old, time, back, expected, generator=generator)
    feed = iter(predictions)
    noise = torch.Generator().manual_seed(3)
    ours = sample_sde(
        start,
        steps,
        SCHEDULE,
        lambda *_: next(feed),
        lambda: torch.randn((1, 2, 3, 4), generator=noise, dtype=torch.float64),
        lambda _: None,
    )
    torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


def test_a_deterministic_step_is_the_published_one() -> None:
    theirs = CogVideoXDDIMScheduler(**PUBLISHED, snr_shift_scale=1.0)
    theirs.set_timesteps(20)
    sample, velocity = Draws(6)((2, 3)).double(), Draws(7)((2, 3)).double()
    levels = SCHEDULE.levels(20)
    for index, time in enumerate(theirs.timesteps):
        expected, expected_clean = theirs.step(velocity, time, sample, return_dict=False)
        clean = cleaned(sample, velocity, levels[index])
        torch.testing.assert_close(clean, expected_clean, atol=1e-12, rtol=0)
        torch.testing.assert_close(moved(sample, clean, levels[index], levels[index + 1]), expected, atol=1e-12, rtol=0)


def test_numbers_are_drawn_in_the_published_order() -> None:
    draws = Draws()
    run(3, draws, lambda _: None)
    posterior = (1, 4, 1, 8, 12)
    assert draws.shapes == [posterior, tiny.LATENT, posterior, tiny.LATENT, *[tiny.LATENT] * (1 + 2 + 1)]


def test_conditions_sit_in_the_first_frame() -> None:
    seen: list[object] = []
    run(2, Draws(), lambda _: None, seen)
    assert len(seen) == 2
    latents, _, times, tracking, _ = seen[0]
    assert times.tolist() == [999, 999]
    assert torch.equal(latents[0], latents[1])
    for video in (latents, tracking):
        image = video[:, :, 4:]
        assert image[:, 0].abs().max() > 0
        assert not image[:, 1:].any()


def test_the_same_seed_gives_the_same_video_and_steps_are_told() -> None:
    steps: list[Step] = []
    first = run(3, Draws(9), steps.append)
    assert [step.number for step in steps] == [1, 2, 3]
    assert torch.equal(steps[-1].sample, first)
    assert torch.equal(run(3, Draws(9), lambda _: None), first)
    assert not torch.equal(run(3, Draws(10), lambda _: None), first)


def test_a_cancelled_run_stops_before_the_next_evaluation() -> None:
    seen: list[object] = []

    def cancel(step: Step) -> None:
        raise Cancelled("the user asked for it")

    with pytest.raises(Cancelled):
        run(5, Draws(), cancel, seen)
    assert len(seen) == 1


def test_values_that_are_no_numbers_stop_the_run_at_their_step() -> None:
    told: list[Step] = []
    watch = stop_at_non_finite("background", "set precision to float32", told.append)
    watch(Step(1, 5, 999, torch.zeros(2), torch.zeros(2)))
    with pytest.raises(NonFiniteLatentsError, match="step 2 of 5") as caught:
        watch(Step(2, 5, 799, torch.tensor([0.0, torch.nan]), torch.zeros(2)))
    assert caught.value.hint == "set precision to float32"
    assert len(told) == 1
