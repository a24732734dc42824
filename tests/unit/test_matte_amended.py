"""Strokes that correct a matte that was found: near them alone, and only what they disagree with."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anyportal_core.errors import ShotError
from anyportal_core.frames import Image
from anyportal_core.plugins.draft.matte.amended import amended
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.roles.matte import MatteHints
from anyportal_core.testing.drawn import drawn_person
from anyportal_core.testing.matte_contract import MatteCase, joined

PERSON = next(spec for spec in MATTES if spec.name == "draft.person")
SCENE = drawn_person(count=1, height=180, width=240)


def strokes(*lines: tuple[tuple[int, int], tuple[int, int], float]) -> Image:
    mask = np.full((180, 240), 0.5, np.float32)
    for start, end, value in lines:
        cv2.line(mask, start, end, value, 4)
    return mask


def inner() -> tuple[int, int]:
    """The place ``(x, y)`` deepest inside the person."""
    depth = cv2.distanceTransform((SCENE.matte[0] > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(x), int(y)


def person(**hints: dict[int, Image]) -> Image:
    return joined(MatteCase(PERSON, SCENE, lambda scene, count: MatteHints(**hints)).find())["alpha"]  # type: ignore[arg-type]


def test_a_correction_without_strokes_is_refused() -> None:
    with pytest.raises(ShotError, match="no stroke") as refused:
        person(corrections={0: strokes()})
    assert refused.value.where == "shot.corrections" and "--correct" in refused.value.hint


def test_strokes_that_agree_change_no_bit() -> None:
    x, y = inner()
    agreeing = strokes(((x - 5, y), (x + 5, y), 1.0), ((3, 3), (3, 30), 0.0))
    assert (person(corrections={0: agreeing}) == person()).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_stroke_changes_what_it_lies_on_and_nothing_far_or_the_other_way(value: float) -> None:
    x, y = inner() if value == 0 else (20, 20)
    known = SCENE.matte[0]
    mask = strokes(((x - 5, y), (x + 5, y), value))
    change = amended(SCENE.plate[0], mask, known) - known
    on = mask == value
    assert (change[on] == (2 * value - 1)).all()
    assert (change * (2 * value - 1) >= 0).all()
    away = cv2.distanceTransform((~on).astype(np.uint8), cv2.DIST_L2, 5)
    assert away[change != 0].max() < 20


def test_a_stroke_takes_the_thing_that_it_lies_on_and_not_the_body_beside_it() -> None:
    """A thing of its own colour, found with the body that it touches; a bit of it is stroked."""
    plate = np.zeros((180, 240, 3), np.float32) + np.float32([0.2, 0.3, 0.6])
    plate[40:, 80:160], plate[80:100, 160:180] = (0.7, 0.5, 0.4), (0.1, 0.7, 0.2)
    noise = np.random.default_rng(0).normal(0, 0.01, plate.shape).astype(np.float32)
    body, thing = np.zeros((180, 240), np.float32), np.zeros((180, 240), np.float32)
    body[40:, 80:160], thing[80:100, 160:180] = 1, 1
    left = amended(np.clip(plate + noise, 0, 1), strokes(((166, 90), (174, 90), 0.0)), body + thing)
    assert left[thing > 0].mean() < 0.05 and (left[body > 0] == 1).mean() > 0.999
    back = amended(np.clip(plate + noise, 0, 1), strokes(((166, 90), (174, 90), 1.0)), body)
    assert back[thing > 0].mean() > 0.95 and back[(body + thing) == 0].mean() < 0.001


def test_strokes_of_both_kinds_side_by_side_each_do_their_own() -> None:
    x, y = inner()
    mask = strokes(((x - 8, y), (x + 8, y), 0.0), ((x - 8, y + 9), (x + 8, y + 9), 1.0))
    left = amended(SCENE.plate[0], mask, SCENE.matte[0])
    assert (left[mask == 0] == 0).all() and (left[mask == 1] == SCENE.matte[0][mask == 1]).all()


def test_a_faint_ghost_is_taken_though_it_was_less_than_half_there() -> None:
    ghost = np.zeros((180, 240), np.float32)
    ghost[15:25, 10:30] = 0.4
    left = amended(SCENE.plate[0], strokes(((14, 20), (26, 20), 0.0)), np.maximum(SCENE.matte[0], ghost))
    assert left[ghost > 0].max() < 0.01 and (left[40:] == SCENE.matte[0][40:]).all()
