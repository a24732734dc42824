"""Cases of the refinement: one projection with its moves, one denoising step, the whole block schedule."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from anyportal_core.method.projection import project
from anyportal_core.method.refinement import PATCH, Transfer, refine, released
from anyportal_core.method.schedule import NoiseSchedule
from anyportal_core.method.sdedit import cleaned, guided, moved, noised, renoised
from anyportal_core.plugins.cogvideox.published import noise_schedule
from anyportal_core.testing.parity.golden import Case, Golden, Tensors

GUIDANCE = 6.0
EVERYWHERE = torch.tensor(True)
Latent = tuple[torch.Tensor, torch.Tensor]
Levels = tuple[float, ...]


@dataclass(frozen=True)
class Recorded:
    """A codec that gives recorded encodings in turn."""

    encodings: Iterator[Latent]

    def encode(self, frames: torch.Tensor) -> Latent:
        return next(self.encodings)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return latent


def rpa_step(golden: Golden) -> Tensors:
    schedule, steps = _schedule(golden), golden.config["steps"]
    made: Tensors = {
        "alphas_cumprod_f64": torch.tensor(schedule.alphas, dtype=torch.float64),
        "timesteps50": torch.tensor(schedule.timesteps(steps)),
    }
    for tag in sorted({name.split(".")[0] for name in golden.outputs if "." in name}):
        kind, entry, back = _parse(tag)
        run = _enter if kind == "init" else _resume
        values = run(golden.inputs, schedule.levels(steps), kind, entry, back)
        made |= {f"{tag}.{name}": value for name, value in values.items()}
    return made


def ddim_step(golden: Golden) -> Tensors:
    given, steps = golden.inputs, golden.config["steps"]
    levels = _schedule(golden).levels(steps)
    velocity = guided(given["v_uncond"], given["v_text"], GUIDANCE)
    made: Tensors = {}
    for index in range(steps):
        clean = cleaned(given["sample"], velocity, levels[index])
        made[f"step{index}.pred_original_sample"] = clean
        made[f"step{index}.prev_sample"] = moved(given["sample"], clean, levels[index], levels[index + 1])
    return made


@dataclass(frozen=True)
class StandInCodec:
    """Frames are latents; remembers what it decoded."""

    decoded: list[torch.Tensor] = field(default_factory=list)

    def encode(self, frames: torch.Tensor) -> Latent:
        return frames, 0.02 + 0.01 * torch.sigmoid(frames)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        self.decoded.append(latent)
        return latent


@dataclass(frozen=True)
class StandInEdit:
    target: torch.Tensor

    def edited(self, transfer: Transfer) -> torch.Tensor:
        return EVERYWHERE

    def __call__(self, transfer: Transfer, frames: torch.Tensor) -> torch.Tensor:
        return frames + (0.2 if transfer == PATCH else 0.1) * (self.target - frames)


def stage3_loop(golden: Golden) -> Tensors:
    given = golden.inputs
    codec = StandInCodec()

    def predict(sample: torch.Tensor, timestep: int) -> torch.Tensor:
        velocity = torch.tanh(0.7 * sample + 0.3 * math.sin(timestep / 100)) + 0.05 * given["control"]
        predicted: torch.Tensor = guided(0.9 * velocity, velocity, GUIDANCE)
        return predicted

    edit = StandInEdit(given["refine_target"])
    eps = given["eps"]
    final = refine(
        given["stage2_latent"],
        released(),
        _schedule(golden),
        codec,
        edit,
        predict,
        lambda block: eps[block],
        lambda _: None,
    )
    return {"x0_after_each_edit": torch.stack(codec.decoded), "final_refined": final}


def _schedule(golden: Golden) -> NoiseSchedule:
    return noise_schedule(golden.config["scheduler"], golden.name)


def _parse(tag: str) -> tuple[str, int, int]:
    """``back_w20_b5`` to its kind, the entry level, and how many levels back."""
    found = re.fullmatch(r"(.+)_w(\d+)(?:_b(\d+))?", tag)
    if not found:
        raise ValueError(f"no such variant: {tag}")
    return found[1], int(found[2]), int(found[3] or 0)


def _enter(given: Tensors, levels: Levels, kind: str, entry: int, back: int) -> Tensors:
    start = noised(given["latent_z_refined"], given["eps"], levels[entry])
    return {"latents": start, "warmup_after": torch.tensor(entry)}


def _resume(given: Tensors, levels: Levels, kind: str, entry: int, back: int) -> Tensors:
    decoded = given["latent_z"], given["latent_z_var_tiny" if "tiny" in kind else "latent_z_var"]
    refined = given["latent_z_refined"], given["latent_z_refined_var"]
    refined = {"identity": decoded, "tiny_both": (refined[0], decoded[1])}.get(kind, refined)
    clean = given[{"clamp": "pred_x0_far", "tiny": "pred_x0_tiny", "tiny_both": "pred_x0_tiny"}.get(kind, "pred_x0")]
    unit = torch.zeros_like(clean), torch.ones_like(clean)

    def projected(onto: Latent) -> torch.Tensor:
        result: torch.Tensor = project(clean, lambda frames: frames, Recorded(iter([decoded, onto])), EVERYWHERE)
        return result

    new = projected(refined)
    sample = moved(given["forward_xt"], new, levels[entry - 1], levels[entry])
    start = renoised(sample, given["eps"], levels[entry], levels[entry - back]) if back else sample
    return {
        "latents_center": projected(unit),
        "new_pred_original_sample": new,
        "prev_sample": sample,
        "latents": start,
        "warmup_after": torch.tensor(entry - back),
    }


CASES: dict[str, Case] = {
    "rpa_step": Case(rpa_step, {"*.warmup_after": 0.0, "timesteps50": 0.0, "*": 1e-4}),
    "ddim_step": Case(ddim_step, 7e-5),
    "stage3_loop": Case(stage3_loop, 1e-5),
}
