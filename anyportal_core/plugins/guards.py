"""Stops a run where its numbers have left their range."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from anyportal_core.errors import NonFiniteLatentsError
from anyportal_core.method.sampling import OnStep, Step

AGAIN: Final = "fetch the stage's models again: the numbers have their full range, so a file is broken"


def cure(stage: str, precision: torch.dtype) -> str:
    """What to do where networks of a precision gave values that are no numbers."""
    return AGAIN if precision == torch.float32 else f"set {stage}.precision to full"


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


def finite(values: Tensor, what: str) -> Tensor:
    """``values``, if all of them are numbers.

    Args:
        what: gave them; the error's message begins with it. Where and what to do is for `named_stage` to say.
    """
    if not torch.isfinite(values).all():
        raise NonFiniteLatentsError(f"{what} gave values that are no numbers")
    return values


@contextmanager
def named_stage(stage: str, hint: str) -> Iterator[None]:
    """Names the stage in errors of values that are no numbers, and the setting that usually cures it."""
    try:
        yield
    except NonFiniteLatentsError as error:
        if error.where:
            raise
        raise NonFiniteLatentsError(error.message, where=stage, hint=hint) from error
