"""The refinement: denoise in blocks, and project an edit of the decoded frames into the latent between them.

AnyPortal (arXiv 2509.07472), third stage. Which blocks there are, and what each takes over from which frames, is
data: see `released` and `paper`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from anyportal_core.method.projection import Codec, project
from anyportal_core.method.sampling import OnStep, Predict, Step
from anyportal_core.method.schedule import NoiseSchedule
from anyportal_core.method.sdedit import cleaned, moved, noised, renoised


@dataclass(frozen=True)
class Transfer:
    """What decoded frames take over inside the matte.

    Attributes:
        source: whose foreground: the harmonised video's or the plate's.
        band: the whole of it, or its high band (the detail) alone.
        background: whether the background region is given the background video too.
        sigma: of the Gaussian that splits the bands, in pixels at work size.
    """

    source: Literal["harmonised", "plate"]
    band: Literal["whole", "high"]
    background: bool = False
    sigma: float = 2.0


PATCH = Transfer("harmonised", "whole")
"""The published ``patch``. Its source marks the line that makes it copy all bands as wrong; its results are made so."""

DETAIL = Transfer("harmonised", "high")
"""The published ``detail``."""

PLATE_DETAIL = Transfer("plate", "high", background=True)
"""The paper's text."""


@dataclass(frozen=True)
class Block:
    """Some evaluations in a row, then a transfer.

    Attributes:
        entry: index of the level that the projected estimate of the block before is moved to.
        back: so many levels noisier is where the block begins, in one step of fresh noise.
        count: evaluations.
        transfer: what the frames decoded after them take over.
    """

    entry: int
    count: int
    transfer: Transfer
    back: int = 0

    @property
    def indices(self) -> range:
        """Indices into the run's time steps that are evaluated."""
        return range(self.entry - self.back, self.entry - self.back + self.count)


@dataclass(frozen=True)
class Plan:
    """A refinement: the steps of the whole way from noise, and the blocks of it that are run."""

    steps: int
    blocks: tuple[Block, ...]

    @property
    def evaluations(self) -> int:
        """Evaluations of the network in all."""
        return sum(block.count for block in self.blocks)


def paper(steps: int = 50, start: int = 15) -> Plan:
    """One plain pass with a projection at every step, as the paper says."""
    return Plan(steps, tuple(Block(index, 1, PLATE_DETAIL) for index in range(start, steps)))


def released() -> Plan:
    """The calls of the published scripts: each stretch once, then its end again from noisier levels.

    64 evaluations of 25 calls. A 26th call would go back one step from the end; there is no level after the last to
    come back from, the script crashes there, and what it leaves is the transfer after the 25th.
    """
    stretches = [
        *((start, 5, 5, PATCH) for start in (15, 20, 25)),
        *((start, 2, 2, PATCH) for start in range(30, 40, 2)),
        *((start, 2, 1, DETAIL) for start in range(40, 50, 2)),
    ]
    blocks = [block for stretch in stretches for block in _twice(*stretch)]
    return Plan(50, tuple(blocks[:-1]))  # the 26th call


def _twice(start: int, count: int, back: int, transfer: Transfer) -> Iterator[Block]:
    yield Block(start, count, transfer)
    yield Block(start + count, back, transfer, back=back)


class Edit(Protocol):
    """Applies transfers to frames of the shot at hand."""

    def edited(self, transfer: Transfer) -> Any:
        """Bool, broadcastable to the latent: where the transfer may change anything (see `projection.project`)."""
        ...

    def __call__(self, transfer: Transfer, frames: Any) -> Any: ...


@dataclass(frozen=True)
class _Estimate:
    """The last evaluation: the noisy sample it was given, the clean one it pointed to, and its index."""

    noisy: Any
    clean: Any
    index: int
    transfer: Transfer


def refine(
    start: Any,
    plan: Plan,
    schedule: NoiseSchedule,
    codec: Codec,
    edit: Edit,
    predict: Predict,
    noise: Callable[[int], Any],
    on_step: OnStep,
) -> Any:
    """Frames made steady by a video model, with the detail that the plan's transfers give back.

    Args:
        start: latent of the video to begin from (SDEdit): the harmonised one.
        predict: velocity from a noisy latent and its time step.
        noise: standard normal noise of the latent's shape for the block of this number, where it needs any.

    Returns:
        Decoded frames of the last block, after its transfer.
    """
    times, levels = schedule.timesteps(plan.steps), schedule.levels(plan.steps)
    estimate: _Estimate | None = None
    done = 0
    for number, block in enumerate(plan.blocks):
        first = block.indices.start
        if estimate is None:
            sample = noised(start, noise(number), levels[first])
        else:
            clean = _projected(estimate, codec, edit)
            sample = moved(estimate.noisy, clean, levels[estimate.index], levels[block.entry])
            if block.back:
                sample = renoised(sample, noise(number), levels[block.entry], levels[first])
        for index in block.indices:
            clean = cleaned(sample, predict(sample, times[index]), levels[index])
            estimate = _Estimate(sample, clean, index, block.transfer)
            sample = moved(sample, clean, levels[index], levels[index + 1])
            done += 1
            on_step(Step(done, plan.evaluations, times[index], sample, clean))
    if estimate is None:
        raise ValueError("a refinement needs at least one block with an evaluation")
    return edit(estimate.transfer, codec.decode(estimate.clean))


def _projected(estimate: _Estimate, codec: Codec, edit: Edit) -> Any:
    transfer = estimate.transfer
    return project(estimate.clean, lambda frames: edit(transfer, frames), codec, edit.edited(transfer))
