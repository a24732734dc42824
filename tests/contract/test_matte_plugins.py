"""Every matte plug-in of the draft preset keeps the role's contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from anyportal_core.frames import ArraySource
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.roles.matte import MatteHints
from anyportal_core.testing.clips import Scene
from anyportal_core.testing.drawn import drawn_person
from anyportal_core.testing.matte_contract import CHECKS, MatteCase

SPECS = {spec.name: spec for spec in MATTES}


def supplied(scene: Scene, count: int) -> MatteHints:
    return MatteHints(matte=ArraySource(scene.matte[:count, ..., None]))


def mask_in_the_middle(scene: Scene, count: int) -> MatteHints:
    return MatteHints(mask=(scene.matte[count // 2] > 0.5).astype(np.float32), mask_index=count // 2)


def mask_at_the_end(scene: Scene, count: int) -> MatteHints:
    return MatteHints(mask=(scene.matte[count - 1] > 0.5).astype(np.float32), mask_index=count - 1)


def mask_at_both_ends(scene: Scene, count: int) -> MatteHints:
    ends = {0, count - 1}
    return MatteHints(corrections={index: (scene.matte[index] > 0.5).astype(np.float32) for index in ends})


def clean_plate(scene: Scene, count: int) -> MatteHints:
    return MatteHints(clean_plate=ArraySource(scene.background[:1]))


@cache
def cases() -> dict[str, MatteCase]:
    person = drawn_person(count=3)
    walking = drawn_person(count=10, height=90, width=120)
    green, blue = (drawn_person(count=3, wall=wall, height=90, width=120) for wall in ((30, 180, 70), (30, 60, 200)))
    return {
        "supplied": MatteCase(SPECS["draft.supplied"], walking, supplied, tolerance=0.005),
        "green": MatteCase(SPECS["draft.key"], green),
        "blue": MatteCase(SPECS["draft.key"], blue),
        "picked": MatteCase(SPECS["draft.key"], green, settings={"screen": "picked", "screen_colour": "#1eb446"}),
        "mask in the middle": MatteCase(SPECS["draft.propagate"], walking, mask_in_the_middle),
        "mask at the end": MatteCase(SPECS["draft.propagate"], walking, mask_at_the_end),
        "masks at both ends": MatteCase(SPECS["draft.propagate"], walking, mask_at_both_ends),
        "clean plate": MatteCase(SPECS["draft.difference"], walking, clean_plate),
        "person": MatteCase(SPECS["draft.person"], person),
        "person, corrected": MatteCase(SPECS["draft.person"], person, mask_at_both_ends),
    }


NAMES = (
    "supplied",
    "green",
    "blue",
    "picked",
    "mask in the middle",
    "mask at the end",
    "masks at both ends",
    "clean plate",
    "person",
    "person, corrected",
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, check: Callable[[MatteCase], None]) -> None:
    check(cases()[name])


def test_every_plugin_is_tried() -> None:
    assert {case.spec.name for case in cases().values()} == set(SPECS)
    assert set(NAMES) == set(cases())
