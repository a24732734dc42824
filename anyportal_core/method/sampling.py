"""What a denoising loop tells while it runs, and the stochastic second-order loop of Diffusion-as-Shader."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anyportal_core.method.schedule import NoiseSchedule
from anyportal_core.method.sdedit import cleaned

Predict = Callable[[Any, int], Any]
"""From a noisy sample and its time step to the velocity, after guidance."""


@dataclass(frozen=True)
class Step:
    """One evaluation done: its number from 1, of how many, its time step, the sample after it and the clean one."""

    number: int
    total: int
    timestep: int
    sample: Any
    clean: Any


OnStep = Callable[[Step], None]
"""Hears of every step; what it raises ends the run."""


def sample_sde(
    sample: Any, steps: int, schedule: NoiseSchedule, predict: Predict, draw: Callable[[], Any], on_step: OnStep
) -> Any:
    """From pure noise to a clean sample by stochastic DPM-Solver++ of second order (arXiv 2211.01095).

    Args:
        sample: standard normal noise.
        draw: fresh noise of the sample's shape. Drawn once in the first and the last step, twice in every other,
            where the published sampler throws the first away: seeded runs agree with it only so.
    """
    times, levels = schedule.timesteps(steps), schedule.levels(steps)
    clean: Any = None
    for i, time in enumerate(times):
        before = clean
        clean = cleaned(sample, predict(sample, time), levels[i])
        noise = draw()
        target = clean
        if 0 < i < steps - 1:
            noise = draw()
            weight = _second_order(levels[i - 1], levels[i], levels[i + 1])
            target = (1 + weight) * clean - weight * before
        decay = _decay(levels[i], levels[i + 1])
        kept = math.sqrt((1 - levels[i + 1]) / (1 - levels[i])) * decay
        fresh = math.sqrt((1 - levels[i + 1]) * (1 - decay**2))
        sample = kept * sample + math.sqrt(levels[i + 1]) * (1 - decay**2) * target + fresh * noise
        on_step(Step(i + 1, steps, time, sample, clean))
    return sample


def _decay(alpha: float, to_alpha: float) -> float:
    """``exp(-h)``, h being the step in the logarithm of sqrt(signal / noise); 0 from pure noise and to clean."""
    return math.sqrt(alpha * (1 - to_alpha) / ((1 - alpha) * to_alpha))


def _second_order(last: float, alpha: float, to_alpha: float) -> float:
    """Weight of the change since the last clean sample, ``h / (2 * last h)``; 0 where the last level was pure noise."""
    last_decay = _decay(last, alpha)
    return math.log(_decay(alpha, to_alpha)) / (2 * math.log(last_decay)) if last_decay else 0.0
