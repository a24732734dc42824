"""Memory depends on the window, never on the shot."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from anyportal_core.frames import Image
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.registry import create
from anyportal_core.roles.matte import MatteHints
from anyportal_core.testing.drawn import drawn_person
from anyportal_core.testing.matte_contract import MatteCase

SPECS = {spec.name: spec for spec in MATTES}
GREEN = drawn_person(count=8, height=64, width=96, wall=(30, 180, 70))


class Endless:
    """A source of any length that holds eight frames."""

    def __init__(self, frames: Image, count: int) -> None:
        self._frames, self._count = frames, count
        self.height, self.width = frames.shape[1:3]
        self.numbers: Sequence[int] = range(count)

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> Image:
        return self._frames[np.arange(start, stop) % len(self._frames)]


def peak(name: str, count: int) -> int:
    """Bytes at most allocated while the plug-in works through ``count`` frames, whose results are dropped."""
    mask = (GREEN.matte[0] > 0.5).astype(np.float32)
    clean = Endless(GREEN.background[:1], 1)
    hints = MatteHints(Endless(GREEN.matte[..., None], count), clean_plate=clean)
    if name in ("draft.person", "draft.propagate"):  # the others take none
        hints = replace(hints, mask=mask, mask_index=count - 1)
    context = MatteCase(SPECS[name], GREEN).context()
    tracemalloc.start()
    for _ in create(SPECS[name]).find(Endless(GREEN.plate, count), hints, context):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("name", sorted(SPECS))
def test_a_long_shot_needs_no_more_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyportal_core.plugins.draft.matte.pile._IN_MEMORY", 10_000)
    monkeypatch.setattr("anyportal_core.plugins.draft.matte.person._RUN", 8)
    short, long = (20, 40) if name == "draft.person" else (40, 120)
    peak(name, 2)  # what is loaded once
    frame = GREEN.plate[0].nbytes
    at_once = 12  # some frames are worked on at once, sooner or later than others
    assert peak(name, long) < peak(name, short) + at_once * frame
