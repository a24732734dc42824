"""What goes to the finish beside a refined gain: the veil that it was measured to go with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from anyportal_core.frames import ArraySource, FrameSource
from anyportal_core.roles import Chunk, RoleContext, StoredFrames
from anyportal_core.settings import Settings
from anyportal_core.stages import refine
from anyportal_core.stages.takes import takes_between

COUNT = 7
VEIL = np.random.default_rng(0).random((COUNT, 2, 3), np.float32)
GAIN = np.zeros((COUNT, 4, 4, 3), np.float32)
FRAMES = ArraySource(np.zeros((COUNT, 4, 4, 3), np.float32))


class Harmonised:
    """The harmonise stage's result."""

    count = COUNT

    def __init__(self, **arrays: np.ndarray) -> None:
        self._arrays, self.names = arrays, frozenset(arrays)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        return self._arrays[name][start:stop]


class Threes:
    """Yields three frames at once, with more beside the gain if that is wanted."""

    def __init__(self, **more: np.ndarray) -> None:
        self._more = more

    def steady(
        self,
        plate: FrameSource,
        matte: FrameSource,
        background: FrameSource,
        harmonised: StoredFrames,
        context: RoleContext,
    ) -> Iterator[Chunk]:
        for start in range(0, len(plate), 3):
            part = slice(start, min(start + 3, len(plate)))
            yield {"log_gain": GAIN[part], **{name: values[part] for name, values in self._more.items()}}


def refined(plugin: Threes, harmonised: Harmonised, makes: str = "gain", cuts: Sequence[int] = ()) -> list[Chunk]:
    context = RoleContext(Settings({}), np.random.default_rng, lambda: None, print)
    material = SimpleNamespace(
        plate=lambda: FRAMES,
        matte=lambda: FRAMES,
        background=lambda plugin, context: FRAMES,
        results={"harmonise": harmonised},
        takes=takes_between(cuts, COUNT),
    )
    parts = SimpleNamespace(
        plugin=lambda role: plugin, context=lambda role: context, spec=lambda role: SimpleNamespace(makes=makes)
    )
    return list(refine.run(cast(Any, material), cast(Any, parts)))


@pytest.mark.parametrize("cuts", [(), (2,)])
def test_a_veil_goes_along_with_a_gain_whoever_made_it(cuts: Sequence[int]) -> None:
    chunks = refined(Threes(), Harmonised(log_gain=GAIN, veil=VEIL), cuts=cuts)
    assert np.concatenate([chunk["veil"] for chunk in chunks]).tobytes() == VEIL.tobytes()


def test_a_plug_in_that_says_what_the_veil_is_is_believed() -> None:
    chunks = refined(Threes(veil=VEIL * 0), Harmonised(log_gain=GAIN, veil=VEIL))
    assert not np.concatenate([chunk["veil"] for chunk in chunks]).any()


def test_pictures_show_the_veil_already_and_without_one_there_is_none() -> None:
    painted = refined(Threes(frames=GAIN), Harmonised(log_gain=GAIN, veil=VEIL), "video")
    plain = refined(Threes(), Harmonised(log_gain=GAIN))
    assert not any("veil" in chunk for chunk in painted + plain)
