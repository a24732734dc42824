"""How loosely a mask is painted."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import pytest

from anyportal_core.frames import Image
from anyportal_core.method.masks import looseness, tightened
from anyportal_core.ops import ImageOps, opencv
from anyportal_core.testing.drawn import drawn_person

OPS = cast(ImageOps, opencv)


def wider(mask: Image, pixels: int) -> Image:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cast(Image, cv2.dilate(mask, disc))


@pytest.mark.parametrize("pixels", [0, 2, 4])
def test_what_a_mask_is_too_wide_by_is_measured_and_taken_off(pixels: int) -> None:
    scene = drawn_person(count=1, height=240, width=320)
    exact = (scene.matte[0] > 0.5).astype(np.float32)
    wide = wider(exact, pixels)
    loose = looseness(scene.plate[0], wide, 8, OPS)
    assert abs(loose - pixels) <= 1
    tight = tightened(scene.plate[0], wide, loose, OPS) > 0.5
    assert (tight != (exact > 0.5)).mean() < 0.003


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_and_everything_are_not_loose(value: float) -> None:
    frame, mask = np.full((40, 50, 3), 0.4, np.float32), np.full((40, 50), value, np.float32)
    assert looseness(frame, mask, 4, OPS) == 0
    assert (tightened(frame, mask, 3, OPS) == mask).all()


def test_colours_that_tell_nothing_take_nothing_off() -> None:
    frame = np.full((60, 80, 3), 0.4, np.float32)
    mask = np.zeros((60, 80), np.float32)
    mask[15:45, 20:60] = 1
    assert looseness(frame, mask, 6, OPS) == 0
