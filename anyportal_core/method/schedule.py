"""Noise schedules: how much of a picture is left at each time step, and which time steps a run visits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

TRAIN_STEPS = 1000


@dataclass(frozen=True)
class NoiseSchedule:
    """The share of signal by train time step, in float64.

    A noisy sample is ``sqrt(alpha) * clean + sqrt(1 - alpha) * noise``.

    Attributes:
        alphas: cumulative ``alpha`` for the time steps 0, 1, ...; the last is 0 where training ended in pure noise.
    """

    alphas: tuple[float, ...]

    def timesteps(self, steps: int) -> tuple[int, ...]:
        """The time steps of a run, noisiest first, spaced so that the first is the last trained one ("trailing")."""
        count = len(self.alphas)
        return tuple(round(count - i * count / steps) - 1 for i in range(steps))

    def levels(self, steps: int) -> tuple[float, ...]:
        """``alpha`` at each of the time steps of a run, and 1, the clean end: ``steps + 1`` values."""
        return (*(self.alphas[t] for t in self.timesteps(steps)), 1.0)


def scaled_linear(
    start: float = 0.00085, end: float = 0.012, count: int = TRAIN_STEPS, snr_shift: float = 1.0
) -> NoiseSchedule:
    """CogVideoX's schedule: linear in the square root of beta, signal to noise shifted, ending in pure noise.

    Args:
        start, end: beta of the first and the last time step.
        snr_shift: divides the signal-to-noise ratio; 1 for the 5b models, 3 for the 2b.

    Source: diffusers' CogVideoXDDIMScheduler; zero terminal ratio by Lin et al., arXiv 2305.08891, algorithm 1.
    """
    betas = np.linspace(start**0.5, end**0.5, count, dtype=np.float64) ** 2
    alphas = np.cumprod(1 - betas)
    alphas = alphas / (snr_shift + (1 - snr_shift) * alphas)
    roots = np.sqrt(alphas)
    roots = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
    return NoiseSchedule(tuple(float(alpha) for alpha in roots**2))


def first_step(steps: int, strength: float) -> int:
    """Where an SDEdit run of this strength begins: 1 is pure noise, 0 is no run at all."""
    return steps - round(steps * strength)


def swinging_guidance(scale: float, steps: int, timestep: int) -> float:
    """The guidance scale of Diffusion-as-Shader, between 1 and ``1 + scale``.

    The published formula is meant for the number of steps done; it is given the train time step, so that its values
    swing as if at random. Its pictures were made so. In float32 the angle would be off by whole turns.
    """
    angle = math.pi * ((steps - timestep) / steps) ** 5.0
    return 1 + scale * ((1 - math.cos(angle)) / 2)
