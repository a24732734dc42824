"""What was not edited comes back bit for bit: through a projection, and through the refinement of any plan.

Held for numpy and torch, in every precision that models run in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from array_api_compat import array_namespace
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from anyportal_core.method.projection import project
from anyportal_core.method.refinement import DETAIL, PATCH, PLATE_DETAIL, Block, Plan, Transfer, paper, refine, released
from anyportal_core.method.schedule import scaled_linear
from anyportal_core.method.sdedit import cleaned, moved, noised, renoised

SHAPE = (1, 3, 2, 4, 5)
DTYPES = ["float16", "float32", "float64", "torch.float16", "torch.bfloat16", "torch.float32", "torch.float64"]
SCHEDULE = scaled_linear()

Pass = list[tuple[Any, Any]]
"""The sample after each evaluation, and the clean one it pointed to."""


def of(dtype: str, values: np.ndarray) -> Any:
    """The values as an array of a precision."""
    if dtype.startswith("torch."):
        torch = pytest.importorskip("torch")
        return torch.from_numpy(np.array(values)).to(getattr(torch, dtype.removeprefix("torch.")))
    return values.astype(dtype)


def mask_of(dtype: str, mask: np.ndarray) -> Any:
    return pytest.importorskip("torch").from_numpy(np.array(mask)) if dtype.startswith("torch.") else mask


def bits(array: Any, where: np.ndarray) -> np.ndarray:
    """The bytes of the values at some places: of a NaN and of a negative zero too."""
    if not isinstance(array, np.ndarray):
        array = array.contiguous().view(array_namespace(array).uint8).numpy()
    return np.ascontiguousarray(array).view(np.uint8).reshape(*SHAPE, -1)[where]


class LossyCodec:
    """Gives back less than it was given."""

    def encode(self, frames: Any) -> tuple[Any, Any]:
        return 0.9 * frames, 0 * frames + 0.3

    def decode(self, latent: Any) -> Any:
        return 0.7 * latent + 0.1


@dataclass(frozen=True)
class Edit:
    mask: Any

    def edited(self, transfer: Transfer) -> Any:
        return self.mask

    def __call__(self, transfer: Transfer, frames: Any) -> Any:
        return 2 * frames + 1


def network(sample: Any, timestep: int) -> Any:
    """Every value by itself: an edit elsewhere does not reach it."""
    return 0.5 * sample + timestep / 1000


blocks = st.builds(
    lambda entry, back, count, transfer: Block(entry, count, transfer, min(back, entry - 1)),
    st.integers(1, 19),
    st.integers(0, 5),
    st.integers(1, 4),
    st.sampled_from([PATCH, DETAIL, PLATE_DETAIL]),
).filter(lambda block: block.indices.stop <= 20)
plans = (
    st.lists(blocks, min_size=1, max_size=6).map(lambda found: Plan(20, tuple(found)))
    | st.integers(0, 19).map(lambda start: paper(20, start))
    | st.just(released())
)
masks = arrays.arrays(bool, SHAPE) | st.booleans().map(lambda value: np.full(SHAPE, value))


def run(plan: Plan, dtype: str, mask: np.ndarray) -> Pass:
    steps: Pass = []
    refine(
        drawn(dtype, -1),
        plan,
        SCHEDULE,
        LossyCodec(),
        Edit(mask_of(dtype, mask)),
        network,
        lambda number: drawn(dtype, number),
        lambda step: steps.append((step.sample, step.clean)),
    )
    return steps


def plain(plan: Plan, dtype: str) -> Pass:
    """The same blocks without codec, edit or projection."""
    times, levels = SCHEDULE.timesteps(plan.steps), SCHEDULE.levels(plan.steps)
    steps: Pass = []
    last: tuple[Any, Any, int] | None = None
    for number, block in enumerate(plan.blocks):
        first = block.indices.start
        if last is None:
            sample = noised(drawn(dtype, -1), drawn(dtype, number), levels[first])
        else:
            sample = moved(last[0], last[1], levels[last[2]], levels[block.entry])
            if block.back:
                sample = renoised(sample, drawn(dtype, number), levels[block.entry], levels[first])
        for index in block.indices:
            clean = cleaned(sample, network(sample, times[index]), levels[index])
            last = sample, clean, index
            sample = moved(sample, clean, levels[index], levels[index + 1])
            steps.append((sample, clean))
    return steps


def drawn(dtype: str, number: int) -> Any:
    return of(dtype, np.random.default_rng(100 + number).normal(size=SHAPE))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=60)
@given(plans, masks)
@example(released(), np.zeros(SHAPE, bool))
@example(paper(), np.zeros(SHAPE, bool))
def test_a_refinement_of_any_plan_leaves_alone_what_is_not_edited(dtype: str, plan: Plan, mask: np.ndarray) -> None:
    found, expected = run(plan, dtype, mask), plain(plan, dtype)
    assert len(found) == len(expected) == plan.evaluations
    for ours, theirs in zip(found, expected, strict=True):
        for value, left_alone in zip(ours, theirs, strict=True):
            assert value.dtype == left_alone.dtype
            np.testing.assert_array_equal(bits(value, ~mask), bits(left_alone, ~mask))


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_edit_shows_in_every_precision(dtype: str) -> None:
    everywhere = np.ones(SHAPE, bool)
    found, expected = run(released(), dtype, everywhere)[-1], plain(released(), dtype)[-1]
    assert (bits(found[1], everywhere) != bits(expected[1], everywhere)).any(axis=-1).all()


values = arrays.arrays(np.float64, SHAPE, elements=st.floats(width=16) | st.floats(width=32) | st.floats())


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=60)
@given(values, masks)
def test_a_projection_gives_back_any_value_that_is_not_edited(dtype: str, latent: np.ndarray, mask: np.ndarray) -> None:
    """Also what no arithmetic gives back: infinities, values that are no numbers, negative zeros."""
    with np.errstate(all="ignore"):
        given_, edit = of(dtype, latent), Edit(mask_of(dtype, mask))
        found = project(given_, lambda frames: edit(PATCH, frames), LossyCodec(), edit.edited(PATCH))
    np.testing.assert_array_equal(bits(found, ~mask), bits(given_, ~mask))
