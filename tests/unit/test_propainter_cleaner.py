"""The foreground taken out of a shot, part by part, with tiny networks of the published layout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from anyportal_core.errors import NonFiniteLatentsError  # noqa: E402
from anyportal_core.frames import ArraySource  # noqa: E402
from anyportal_core.plugins.propainter.cleaner import Cleaner, Spans, _turns  # noqa: E402
from anyportal_core.plugins.propainter.layers import Flows  # noqa: E402
from anyportal_core.roles import Chunk, Part  # noqa: E402
from anyportal_core.testing.cut_short import check_goes_on  # noqa: E402


class NoMotion(torch.nn.Module):
    """Stands where RAFT stands, for still pictures."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(first[:, :2])


class Untouched(torch.nn.Module):
    """Stands where the flow completion stands."""

    def complete(self, flows: Flows, masks: torch.Tensor) -> Flows:
        return flows


class Recorder(torch.nn.Module):
    """Stands where the generator stands: returns what it is given, and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.calls: list[tuple[int, int]] = []

    def forward(
        self, frames: torch.Tensor, flows: Flows, masks: torch.Tensor, missing: torch.Tensor, local: int
    ) -> torch.Tensor:
        assert flows.forward.shape[1] == flows.backward.shape[1] == local - 1
        assert frames.shape[-1] % 8 == frames.shape[-2] % 8 == 0
        self.calls.append((local, frames.shape[1]))
        return frames[:, :local]


def cleaner(spans: Spans | None = None) -> tuple[Cleaner, Recorder]:
    generator = Recorder()
    return Cleaner(NoMotion(), Untouched(), generator, spans), generator


def still_clip(count: int, height: int = 20, width: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """One picture repeated, and a hole that moves through it."""
    picture = np.random.default_rng(0).random((1, height, width, 3), np.float32)
    masks = np.zeros((count, height, width, 1), np.float32)
    for t in range(count):
        masks[t, 5:10, t % (width - 6) : t % (width - 6) + 3] = 1
    return picture.repeat(count, 0), masks


@pytest.mark.parametrize("count", [1, 2, 9, 23])
def test_what_the_mask_does_not_cover_is_returned_bit_for_bit(count: int) -> None:
    frames, masks = still_clip(count)
    found = np.concatenate(list(cleaner(Spans(part=7, context=2))[0].clean(ArraySource(frames), ArraySource(masks))))
    assert found.shape == frames.shape
    assert np.array_equal(np.where(masks > 0, 0, found), np.where(masks > 0, 0, frames))


def test_what_other_frames_show_is_brought_along_the_flow() -> None:
    frames, masks = still_clip(12)
    dirty = np.where(masks > 0, np.float32(1), frames)
    found = np.concatenate(list(cleaner()[0].clean(ArraySource(dirty), ArraySource(masks))))
    assert np.abs(found - frames).max() < 1e-5


def test_a_shot_that_was_cut_short_goes_on_at_its_part() -> None:
    frames, masks = still_clip(20)

    def run(part: Part) -> Iterator[Chunk]:
        own = Cleaner(NoMotion(), Untouched(), Recorder(), Spans(part=7, context=2), keep=part)
        return ({"frames": cleaned} for cleaned in own.clean(ArraySource(frames), ArraySource(masks)))

    check_goes_on(run, 3)


def test_what_was_painted_behind_a_hole_goes_on_in_the_next_part() -> None:
    """Nothing is ever seen there: each part alone would paint something of its own."""

    class Painter(Recorder):
        def forward(
            self, frames: torch.Tensor, flows: Flows, masks: torch.Tensor, missing: torch.Tensor, local: int
        ) -> torch.Tensor:
            super().forward(frames, flows, masks, missing, local)
            return torch.where(missing[:, :local] > 0, 0.1 * len(self.calls), frames[:, :local])

    frames, masks = still_clip(15)
    masks[:] = masks[:1]
    own = Cleaner(NoMotion(), Untouched(), Painter(), Spans(part=5, context=3))
    found = np.concatenate(list(own.clean(ArraySource(frames), ArraySource(masks))))
    inside = masks[0, ..., 0] > 0
    np.testing.assert_allclose(found[5:, inside], np.broadcast_to(found[4, inside], (10, inside.sum(), 3)), atol=1e-5)
    assert np.array_equal(frames, still_clip(15)[0]), "what was read is left as it was"


def test_frames_without_a_hole_cost_nothing() -> None:
    frames, masks = still_clip(9)
    clean, generator = cleaner()
    list(clean.clean(ArraySource(frames), ArraySource(masks * 0)))
    assert generator.calls == []


def test_a_shot_is_never_held_whole() -> None:
    frames, masks = still_clip(40)
    reads: list[int] = []

    class Watched(ArraySource):
        def read(self, start: int, stop: int) -> np.ndarray:
            reads.append(stop - start)
            return super().read(start, stop)

    parts: Iterator[np.ndarray] = cleaner(Spans(part=10, context=3))[0].clean(Watched(frames), ArraySource(masks))
    assert [len(part) for part in parts] == [10, 10, 10, 10]
    assert max(reads) == 16


def test_turns_cover_every_wanted_frame_and_no_reference_is_local() -> None:
    covered: set[int] = set()
    for local, seen in _turns(31, range(10, 21), Spans()):
        covered |= set(local)
        references = set(seen[len(local) :])
        assert references.isdisjoint(local) and all(index % 10 == 0 for index in references)
        assert len(local) <= 11
    assert covered >= set(range(10, 21))


def test_it_can_be_stopped_between_steps() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    frames, masks = still_clip(4)
    with pytest.raises(Stop):
        list(
            Cleaner(NoMotion(), Untouched(), Recorder(), checkpoint=stop).clean(ArraySource(frames), ArraySource(masks))
        )


def test_of_three_turns_for_a_frame_the_last_weighs_a_half() -> None:
    """As in the published script, which averages each turn with what is there."""

    class Numbered(Recorder):
        def forward(self, frames: torch.Tensor, *given: object) -> torch.Tensor:
            self.calls.append((0, 0))
            return torch.full_like(frames[:, : int(given[-1])], len(self.calls) / 8)  # type: ignore[call-overload]

    frames, masks = still_clip(12)
    made = Cleaner(NoMotion(), Untouched(), Numbered()).clean(ArraySource(frames), ArraySource(masks))
    found = np.concatenate(list(made)) * 2 - 1
    told = [float(found[t][masks[t, ..., 0] > 0].mean()) for t in range(12)]
    expected = {0: (1 + 2) / 2, 3: (1 + 2) / 2, 5: ((1 + 2) / 2 + 3) / 2, 7: (2 + 3) / 2, 11: 3}
    assert {t: told[t] * 8 for t in expected} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("count", "spans"), [(9, None), (23, Spans(part=7, context=2))])
def test_progress_is_told_between_flows_and_between_turns(count: int, spans: Spans | None) -> None:
    told: list[float] = []
    frames, masks = still_clip(count)
    made = Cleaner(NoMotion(), Untouched(), Recorder(), spans, progress=told.append)
    list(made.clean(ArraySource(frames), ArraySource(masks)))
    assert told == sorted(told) and told[-1] == pytest.approx(1)
    assert len(set(told)) == len(told) > count


@pytest.mark.parametrize(
    ("broken", "said"), [("raft", "optical flow"), ("completion", "completion"), ("generator", "generator")]
)
def test_values_that_are_no_numbers_stop_it(broken: str, said: str) -> None:
    class NoNumbers(NoMotion):
        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return super().forward(first, second) / 0

    class Undone(Untouched):
        def complete(self, flows: Flows, masks: torch.Tensor) -> Flows:
            return Flows(flows.forward + float("inf"), flows.backward)

    class Dark(Recorder):
        def forward(self, *given: torch.Tensor) -> torch.Tensor:
            return super().forward(*given) / 0

    frames, masks = still_clip(4)
    made = Cleaner(
        NoNumbers() if broken == "raft" else NoMotion(),
        Undone() if broken == "completion" else Untouched(),
        Dark() if broken == "generator" else Recorder(),
    )
    with pytest.raises(NonFiniteLatentsError, match=said):
        list(made.clean(ArraySource(frames), ArraySource(masks)))
