"""A shot with a cut inside: each take is a shot of its own to whatever is carried through time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import ArraySource, FrameSource
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.matte import MatteHints
from anyportal_core.settings import Settings
from anyportal_core.stages.checks import check_one_shot
from anyportal_core.stages.material import Material
from anyportal_core.stages.matte import found_in_takes
from anyportal_core.stages.takes import takes_between
from anyportal_core.testing.scene_contract import StoredArrays


def context(warned: list[str] | None = None, **given: Any) -> RoleContext:
    said = (warned if warned is not None else []).append
    return RoleContext(Settings({}), np.random.default_rng, lambda: None, lambda text: None, warning=said, **given)


def source(count: int, first: int = 1001) -> ArraySource:
    frames = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None, None], (count, 2, 3, 3))
    return ArraySource(frames, range(first, first + count))


def test_takes_lie_between_cuts() -> None:
    takes = takes_between([4, 7], 10)
    assert [(take.number, take.start, take.stop) for take in takes] == [(0, 0, 4), (1, 4, 7), (2, 7, 10)]
    (whole,) = takes_between([], 10)
    assert whole.whole and not any(take.whole for take in takes)


def test_a_shot_without_cuts_is_given_as_it_is() -> None:
    (whole,), frames, given = takes_between([], 5), source(5), context()
    assert whole.frames(frames) is frames and whole.context(given) is given


def test_a_take_sees_its_own_frames_alone() -> None:
    take = takes_between([4, 7], 10)[1]
    frames = take.frames(source(10))
    assert (len(frames), list(frames.numbers), frames.height, frames.width) == (3, [1005, 1006, 1007], 2, 3)
    assert frames.read(0, 99)[:, 0, 0, 0].tolist() == [4, 5, 6]
    one = source(1)
    assert take.frames(one) is one, "a picture is of all takes"
    stored = take.stored(StoredArrays({"gain": np.arange(10)}))
    assert (stored.count, stored.names, stored.read("gain", 1, 99).tolist()) == (3, {"gain"}, [5, 6])


def test_parts_and_progress_are_those_of_the_shot() -> None:
    told: list[float] = []
    numbers: list[int] = []

    def part(number: int, make: Callable[[], Chunk]) -> Chunk:
        numbers.append(number)
        return make()

    given = context(progress=told.append, part=part)
    for take in takes_between([5], 10):
        own = take.context(given)
        own.progress(0.5)
        own.part(0, lambda: {})
        own.part(1, lambda: {})
    assert told == [0.25, 0.75]
    assert len(set(numbers)) == 4


class Carries:
    """A matte plug-in that needs a mask or finds somebody by itself, and carries what it found last."""

    def __init__(self, needs_mask: bool = False, nobody_in: tuple[int, ...] = ()) -> None:
        self.needs_mask, self.nobody_in = needs_mask, nobody_in
        self.hints: list[MatteHints] = []

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        self.hints.append(hints)
        if self.needs_mask and not hints.masks():
            raise ShotError("no mask was given", where="shot.mask", hint="paint one")
        nobody = plate.numbers[0] in self.nobody_in
        for _ in range(len(plate) - nobody):
            yield {"alpha": np.full((1, 2, 3), 0 if nobody else 1, np.float32), "sure": np.ones(1, np.float32)}
        if nobody:
            raise NoForegroundError("nobody was found", hint="give a mask")

    def render(self, *given: Any) -> Any: ...


def alphas(plugin: Carries, hints: MatteHints, warned: list[str], cuts: list[int]) -> list[float]:
    takes = takes_between(cuts, 9)
    chunks = list(found_in_takes(plugin, source(9), hints, takes, context(warned)))
    assert all(set(chunk) == {"alpha", "sure"} for chunk in chunks)
    return [float(value) for chunk in chunks for value in chunk["alpha"][:, 0, 0]]


@pytest.mark.parametrize(
    ("cuts", "nobody_in", "expected"),
    [
        ([3, 6], (1001,), [0, 0, 0, 1, 1, 1, 1, 1, 1]),
        ([3, 6], (1004,), [1, 1, 1, 0, 0, 0, 1, 1, 1]),
        ([3, 6], (1004, 1007), [1, 1, 1, 0, 0, 0, 0, 0, 0]),
        ([1, 2], (1001, 1002), [0, 0, 1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_a_take_without_anybody_has_an_empty_matte_and_is_named(
    cuts: list[int], nobody_in: tuple[int, ...], expected: list[float]
) -> None:
    warned: list[str] = []
    assert alphas(Carries(nobody_in=nobody_in), MatteHints(), warned, cuts) == expected
    assert len(warned) == len(nobody_in) and all(
        str(first) in text for first, text in zip(nobody_in, warned, strict=True)
    )


def test_nobody_in_any_take_is_an_error() -> None:
    with pytest.raises(NoForegroundError):
        alphas(Carries(nobody_in=(1001, 1005)), MatteHints(), [], [4])


def test_a_mask_belongs_to_its_own_take() -> None:
    mask = np.ones((2, 3), np.float32)
    plugin = Carries(needs_mask=True)
    alphas(plugin, MatteHints(mask=mask, mask_index=1, corrections={5: mask, 8: mask}), [], [4])
    assert [sorted(hints.masks()) for hints in plugin.hints] == [[1], [1, 4]]
    with pytest.raises(ShotError, match="frames 1005-1009: no mask") as caught:
        alphas(Carries(needs_mask=True), MatteHints(mask=mask), [], [4])
    assert "--correct" in caught.value.hint and "--range" in caught.value.hint


def test_a_background_is_painted_for_one_shot_alone() -> None:
    def opened(*cuts: int) -> Material:
        info = SimpleNamespace(path=Path("plate.mp4"))
        return cast(Material, SimpleNamespace(numbers=range(11, 21), info=info, takes=takes_between(cuts, 10)))

    check_one_shot(opened())
    with pytest.raises(ShotError, match="frame 15 begins another shot") as caught:
        check_one_shot(opened(4, 7))
    assert caught.value.where == "plate.mp4" and "11-14 and 15-17 and 18-20" in caught.value.hint
