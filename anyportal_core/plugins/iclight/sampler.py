"""IC-Light's sampler: second-order stochastic DPM-Solver++ (Lu et al., arXiv 2211.01095) on Karras' noise levels.

The published scripts leave the noise schedule at diffusers' default, which is linear, where Stable Diffusion 1.5 was
trained with the scaled linear one: the greatest noise level is 25.1, not 14.6. That is kept: the published pictures
were made so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from diffusers import DPMSolverMultistepScheduler
from torch import Tensor

SCHEDULE: Final = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "algorithm_type": "sde-dpmsolver++",
    "use_karras_sigmas": True,
    "steps_offset": 1,
}


class Steps:
    """The steps of one run, from pure noise or (SDEdit) from a picture.

    Args:
        count: steps of the whole way from noise.
        strength: how much of the way is taken from a picture; 1 from noise. ``int(count * strength)`` steps are left.
    """

    def __init__(self, count: int, strength: float = 1.0) -> None:
        self._count = count
        self._first = count - min(int(count * strength), count)
        self.timesteps: Tensor = self._scheduler().timesteps[self._first :]

    def __len__(self) -> int:
        """Evaluations of the model."""
        return len(self.timesteps)

    def begin(self, noise: Tensor, picture: Tensor | None = None) -> Tensor:
        """The latents to begin with, ``(n, 4, h, w)``: noise, or a picture's scaled latents with noise added."""
        if picture is None:
            return noise
        noisy: Tensor = self._scheduler().add_noise(picture, noise, self.timesteps[:1])
        return noisy

    def run(
        self, latents: Tensor, predict: Callable[[Tensor, Tensor], Tensor], draw: Callable[[], Tensor]
    ) -> Iterator[Tensor]:
        """Yield the latents after every step.

        Args:
            latents: what `begin` gave.
            predict: from latents and a timestep to the predicted noise, after guidance.
            draw: fresh noise of the latents' shape, once a step.
        """
        scheduler = self._scheduler()
        for timestep in self.timesteps:
            noise = predict(latents, timestep)
            latents = scheduler.step(noise, timestep, latents, variance_noise=draw(), return_dict=False)[0]
            yield latents

    def _scheduler(self) -> DPMSolverMultistepScheduler:
        """A scheduler at the first step: it counts its steps, so each run needs its own."""
        scheduler = DPMSolverMultistepScheduler(**SCHEDULE)
        scheduler.set_timesteps(self._count)
        scheduler.set_begin_index(self._first)
        return scheduler
