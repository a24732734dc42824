"""Stops a run where its numbers have left their range."""

from __future__ import annotations

import torch

from anyportal_core.errors import NonFiniteLatentsError
from anyportal_core.method.sampling import OnStep, Step


def stop_at_non_finite(stage: str, hint: str, on_step: OnStep) -> OnStep:
    """``on_step``, told only of steps whose sample is finite.

    Args:
        stage: named in the error.
        hint: the setting that usually cures it.
    """

    def checked(step: Step) -> None:
        if not torch.isfinite(step.sample).all():
            raise NonFiniteLatentsError(
                f"step {step.number} of {step.total} gave values that are no numbers", where=stage, hint=hint
            )
        on_step(step)

    return checked
