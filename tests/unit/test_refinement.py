"""The refinement's blocks, with stand-in networks in numpy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyportal_core.method.refinement import DETAIL, PATCH, Block, Plan, Transfer, paper, refine, released
from anyportal_core.method.sampling import Step
from anyportal_core.method.schedule import scaled_linear
from anyportal_core.method.sdedit import cleaned, moved, noised

SHAPE = (1, 2, 4, 4, 6)
SCHEDULE = scaled_linear()


@dataclass
class LossyCodec:
    """Does not give back what it is given, as real ones do not."""

    decodings: int = 0

    def encode(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.round(frames, 1), np.full_like(frames, 0.02)

    def decode(self, latent: np.ndarray) -> np.ndarray:
        self.decodings += 1
        return np.round(latent, 1)


@dataclass
class Edit:
    mask: np.ndarray
    seen: list[Transfer] = field(default_factory=list)

    def edited(self, transfer: Transfer) -> np.ndarray:
        return self.mask

    def __call__(self, transfer: Transfer, frames: np.ndarray) -> np.ndarray:
        self.seen.append(transfer)
        return frames + np.ones_like(frames)


@dataclass
class Network:
    calls: list[int] = field(default_factory=list)

    def __call__(self, sample: np.ndarray, timestep: int) -> np.ndarray:
        self.calls.append(timestep)
        return np.tanh(sample + sample.dtype.type(timestep / 1000))


def array(seed: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(dtype)


def run(plan: Plan, mask: bool, dtype: type = np.float32) -> tuple[np.ndarray, Network, Edit, LossyCodec, list[Step]]:
    network, edit, codec = Network(), Edit(np.full((1,) * 5, mask)), LossyCodec()
    steps: list[Step] = []
    noise = {number: array(100 + number, dtype) for number in range(len(plan.blocks))}
    frames = refine(array(0, dtype), plan, SCHEDULE, codec, edit, network, noise.__getitem__, steps.append)
    return frames, network, edit, codec, steps


blocks = st.builds(
    lambda entry, back, count, transfer: Block(entry, count, transfer, min(back, entry - 1)),
    st.integers(1, 19),
    st.integers(0, 3),
    st.integers(1, 4),
    st.sampled_from([PATCH, DETAIL]),
).filter(lambda block: block.indices.stop <= 20)
plans = st.lists(blocks, min_size=1, max_size=5).map(lambda found: Plan(20, tuple(found)))


@settings(deadline=None)
@given(plans)
def test_a_plan_makes_exactly_the_evaluations_it_declares(plan: Plan) -> None:
    _, network, edit, codec, steps = run(plan, mask=True)
    times = SCHEDULE.timesteps(plan.steps)
    assert network.calls == [times[index] for block in plan.blocks for index in block.indices]
    assert len(network.calls) == plan.evaluations
    assert [step.number for step in steps] == list(range(1, plan.evaluations + 1))
    assert {step.total for step in steps} == {plan.evaluations}
    assert edit.seen == [block.transfer for block in plan.blocks]
    assert codec.decodings == len(plan.blocks)


def test_the_published_calls() -> None:
    plan = released()
    assert plan.evaluations == 64
    assert len(plan.blocks) == 25
    transfers = [block.transfer for block in plan.blocks]
    assert transfers == [PATCH] * 16 + [DETAIL] * 9
    assert max(block.indices.stop for block in plan.blocks) == plan.steps


def test_the_published_blocks() -> None:
    calls = [(block.entry, block.back, block.count) for block in released().blocks]
    assert calls == [
        *[(15, 0, 5), (20, 5, 5), (20, 0, 5), (25, 5, 5), (25, 0, 5), (30, 5, 5)],
        *[(30, 0, 2), (32, 2, 2), (32, 0, 2), (34, 2, 2), (34, 0, 2), (36, 2, 2)],
        *[(36, 0, 2), (38, 2, 2), (38, 0, 2), (40, 2, 2)],
        *[(40, 0, 2), (42, 1, 1), (42, 0, 2), (44, 1, 1), (44, 0, 2), (46, 1, 1)],
        *[(46, 0, 2), (48, 1, 1), (48, 0, 2)],
    ]


def test_the_papers_pass_visits_every_step_once() -> None:
    plan = paper(50, 15)
    assert [block.indices for block in plan.blocks] == [range(i, i + 1) for i in range(15, 50)]
    assert {(t.source, t.band, t.background) for t in (block.transfer for block in plan.blocks)} == {
        ("plate", "high", True)
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("start", [0, 7, 19])
def test_where_nothing_is_edited_the_pass_is_a_plain_one_bit_for_bit(dtype: type, start: int) -> None:
    _, _, _, _, steps = run(paper(20, start), mask=False, dtype=dtype)
    times, levels = SCHEDULE.timesteps(20), SCHEDULE.levels(20)
    network = Network()
    sample = noised(array(0, dtype), array(100, dtype), levels[start])
    for index, step in zip(range(start, 20), steps, strict=True):
        clean = cleaned(sample, network(sample, times[index]), levels[index])
        sample = moved(sample, clean, levels[index], levels[index + 1])
        np.testing.assert_array_equal(step.clean, clean)
        np.testing.assert_array_equal(step.sample, sample)


def test_an_edit_is_taken_over() -> None:
    kept = run(paper(20, 10), mask=False)[4][-1].clean
    edited = run(paper(20, 10), mask=True)[4][-1].clean
    assert np.abs(edited - kept).mean() > 0.1


def test_the_result_has_the_last_transfer() -> None:
    frames, _, _, _, steps = run(released(), mask=True)
    np.testing.assert_array_equal(frames, np.round(steps[-1].clean, 1) + 1)


def test_what_a_listener_raises_ends_the_run() -> None:
    network = Network()

    def stop(step: Step) -> None:
        if step.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refine(
            array(0), paper(20, 5), SCHEDULE, LossyCodec(), Edit(np.ones(1, bool)), network, lambda _: array(1), stop
        )
    assert len(network.calls) == 3


def test_a_plan_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one block"):
        run(Plan(20, ()), mask=True)
