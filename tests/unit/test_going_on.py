"""Plug-ins that keep their windows, cut short after any of them: they make the others, and the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from anyportal_core.frames import ArraySource
from anyportal_core.plugins.draft.matte import person
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.plugins.tracks.specs import FLOW
from anyportal_core.registry import create
from anyportal_core.roles import Chunk, Part, RoleContext
from anyportal_core.roles.matte import MatteHints
from anyportal_core.settings import Settings
from anyportal_core.stages.tracks import follow_all
from anyportal_core.testing.clips import moving_scene
from anyportal_core.testing.cut_short import check_goes_on
from anyportal_core.testing.drawn import drawn_person


def context(settings: Settings) -> RoleContext:
    return RoleContext(settings, np.random.default_rng, lambda: None, lambda text: None)


def test_people_are_found_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame is steadied by the one before it, across the cut as well."""
    monkeypatch.setattr(person, "_RUN", 3)
    spec = next(spec for spec in MATTES if spec.name == "draft.person")
    plate, own = ArraySource(drawn_person(count=8).plate), context(Settings.check(spec.settings, {}, ""))
    hints = MatteHints(None, None, 0)
    check_goes_on(lambda part: create(spec).find(plate, hints, replace(own, part=part)), 3)


def test_tracks_are_followed_on() -> None:
    own = context(Settings.check(FLOW.settings, {"points": 8, "window": 5, "overlap": 2}, ""))
    plate = ArraySource(moving_scene(12, 48, 64).plate)
    check_goes_on(lambda part: follow_all(create(FLOW), plate, replace(own, part=part)), 4)


def test_a_plug_in_that_forgets_what_it_needs_of_a_part_is_seen() -> None:
    """The check itself: a sum that is carried on outside of the parts."""

    def run(part: Part) -> Iterator[Chunk]:
        total = 0

        def make(number: int) -> Chunk:
            nonlocal total
            total += number
            return {"total": np.array([total])}

        for number in range(3):
            yield part(number, bound(make, number))

    with pytest.raises(AssertionError, match="cut after 2 parts"):
        check_goes_on(run, 3)


def bound(make: Callable[[int], Chunk], number: int) -> Callable[[], Chunk]:
    return lambda: make(number)
