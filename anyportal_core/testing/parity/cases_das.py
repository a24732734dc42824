"""Cases of Diffusion-as-Shader's sampling: scheduler, guidance, the whole image-to-video run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from diffusers import AutoencoderKLCogVideoX, DPMSolverMultistepScheduler

from anyportal_core.method.refinement import Block, Plan, released
from anyportal_core.method.sampling import Step, sample_sde
from anyportal_core.method.schedule import scaled_linear, swinging_guidance
from anyportal_core.plugins.cogvideox.codec import VideoCodec
from anyportal_core.plugins.cogvideox.published import noise_schedule
from anyportal_core.plugins.das.sampler import Draw, Scene, encode_tracking, image_to_video
from anyportal_core.plugins.das.transformer import CogVideoXTransformer3DModelTracking
from anyportal_core.plugins.iclight.sampler import SCHEDULE as ICLIGHT_SCHEDULE
from anyportal_core.testing.parity.golden import Case, Golden, Tensors
from anyportal_core.testing.parity.networks import build

GUIDANCE = 6.0


def dpm_trace(golden: Golden) -> Tensors:
    noise, predictions = iter(golden.inputs["noise"]), iter(golden.inputs["model_output"])
    drawn: list[torch.Tensor] = []
    trace: list[Step] = []

    def draw() -> torch.Tensor:
        drawn.append(next(noise))
        return drawn[-1]

    steps, schedule = golden.config["steps"], noise_schedule(golden.config["scheduler"], golden.name)
    sample_sde(golden.inputs["sample"], steps, schedule, lambda *_: next(predictions), draw, trace.append)
    return {
        "samples": torch.stack([step.sample for step in trace]),
        "pred_x0": torch.stack([step.clean for step in trace]),
        "noise_draws_used": torch.tensor(len(drawn)),
    }


def pipeline(golden: Golden) -> Tensors:
    config, given = golden.config, golden.inputs
    codec = VideoCodec(build(AutoencoderKLCogVideoX, config["vae"], golden.part("vae")))
    network = build(CogVideoXTransformer3DModelTracking, config["transformer"], golden.part("transformer"))
    made: Tensors = {}
    network.register_forward_hook(_record_calls(made))
    guidance: list[float] = []

    def record_guidance(timestep: int) -> float:
        guidance.append(swinging_guidance(GUIDANCE, config["num_inference_steps"], timestep))
        return guidance[-1]

    image = given["image"].permute(2, 0, 1)[None].to(given["tracking_video"].dtype) / 255 * 2 - 1
    noise = given["tracking_posterior_noise"]
    made["tracking_maps"] = encode_tracking(codec, given["tracking_video"][None], lambda _: noise)
    text = torch.cat([given["negative_prompt_embeds"], given["prompt_embeds"]])
    first = given["tracking_video"][:1] * 2 - 1
    draw = _recorded(made, config["generator_seed"], noise.dtype)
    steps = config["num_inference_steps"]
    scene = Scene(image, made["tracking_maps"], first, text)
    made["latents"] = image_to_video(
        network, codec, scaled_linear(), scene, steps, record_guidance, draw, lambda _: None
    )
    made["guidance_after_each_call"] = torch.tensor(guidance, dtype=torch.float64)
    return made


def sampling_tables(golden: Golden) -> Tensors:
    """The numbers of ``das_sampling.json``: time steps and guidance, the refinement's calls, IC-Light's levels."""
    numbers: dict[str, Any] = {}
    for name in golden.meta:
        if found := re.fullmatch(r"das_(\d+)_steps", name):
            times = scaled_linear().timesteps(int(found[1]))
            numbers[f"{name}.timesteps"] = times
            numbers[f"{name}.guidance_per_step"] = [swinging_guidance(GUIDANCE, len(times), t) for t in times]
    plan = released()
    for index, block in enumerate(plan.blocks):
        numbers |= {f"stage3.sequence.{2 * index}.{key}": value for key, value in _call(block, plan).items()}
        numbers[f"stage3.sequence.{2 * index + 1}.blur_sigma"] = block.transfer.sigma
    numbers["stage3.edit_calls_that_run"] = len(plan.blocks)
    numbers["stage3.transformer_evaluations_effective"] = plan.evaluations
    for name, run in golden.meta["iclight"].items():
        if "strength" in run:
            numbers |= {f"iclight.{name}.{key}": value for key, value in _iclight(run).items()}
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}


def _record_calls(made: Tensors) -> Callable[..., None]:
    calls = iter(range(2**31))

    def hook(_module: torch.nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        call = f"call{next(calls)}"
        hidden, _, made[f"{call}.timestep"], tracking, rotary = inputs
        made[f"{call}.pred"], made[f"{call}.hidden_states"], made[f"{call}.tracking_maps"] = output, hidden, tracking
        made["rotary_cos"], made["rotary_sin"] = rotary

    return hook


def _recorded(made: Tensors, seed: int, dtype: torch.dtype) -> Draw:
    """Draws of the published pipeline's generator, each kept under its published name."""
    generator = torch.Generator().manual_seed(seed)
    names = ["vae_posterior", "initial_latents", "vae_posterior", "initial_latents"]

    def draw(shape: tuple[int, ...]) -> torch.Tensor:
        number = sum(name.startswith("draw") for name in made)
        who = names[number] if number < len(names) else "scheduler"
        made[f"draw{number:02d}.{who}"] = torch.randn(shape, generator=generator).to(dtype)
        return made[f"draw{number:02d}.{who}"]

    return draw


def _call(block: Block, plan: Plan) -> dict[str, Any]:
    times = scaled_linear().timesteps(plan.steps)
    call = {
        "steps": plan.steps,
        "warmup": block.entry,
        "forward": block.count,
        "use_existing_noise": block is not plan.blocks[0],
        "indices_evaluated": list(block.indices),
        "timesteps_evaluated": [times[index] for index in block.indices],
        "control_weights": [1.0] * block.count,
    }
    return call | ({"backward": block.back} if block.back else {})


def _iclight(run: dict[str, Any]) -> dict[str, Any]:
    scheduler = DPMSolverMultistepScheduler(**ICLIGHT_SCHEDULE)
    count = run["num_inference_steps"]
    scheduler.set_timesteps(count)
    first = count - int(count * run["strength"])
    return {
        "t_start": first,
        "unet_evaluations": count - first,
        "timesteps": scheduler.timesteps[first:].tolist(),
        "sigmas": scheduler.sigmas[first:].tolist(),
    }


TABLES = (
    "das_*_steps.timesteps",
    "das_*_steps.guidance_per_step",
    "stage3.sequence.?.*",
    "stage3.sequence.[1-4]?.*",
    "stage3.edit_calls_that_run",
    "stage3.transformer_evaluations_effective",
    "iclight.*.t_start",
    "iclight.*.unet_evaluations",
    "iclight.*.timesteps",
    "iclight.*.sigmas",
)
"""Results in ``das_sampling.json``; calls 50 and 51 of the refinement are the one that crashes and what follows."""

CASES: dict[str, Case] = {
    "das_dpm_trace": Case(dpm_trace, {"noise_draws_used": 0.0, "*": 3e-5}),
    "das_pipeline": Case(pipeline, 5e-5),
    "das_sampling": Case(sampling_tables, 3e-5, TABLES),
}
