"""Windows that a model paints a little brighter or bluer than the one before, brought back to its light."""

from __future__ import annotations

import numpy as np
import pytest

from anyportal_core.method.blend import joined
from anyportal_core.method.carry import MOST, carried
from anyportal_core.method.srgb import to_display, to_light
from anyportal_core.testing.clips import moving_scene
from anyportal_core.testing.seams import seam, second_differences
from anyportal_core.windows import Window, cut

COUNT = 120
SCENE = moving_scene(COUNT, 36, 48, pan=0.7)
ALL = np.ones((1, 1, 1, 1), np.float32)
NOTHING = np.zeros((0, 36, 48, 3), np.float32)


def in_light(frames: np.ndarray, gain: object) -> np.ndarray:
    return np.asarray(to_display(to_light(frames) * np.asarray(gain, np.float32)), np.float32)


def painted(frames: np.ndarray, carry: bool) -> tuple[np.ndarray, list[Window]]:
    """A shot in windows of its own colours, each drifting by 6 % from the one before; with the first's light or not."""
    windows, tail = cut(len(frames), 25, 5), NOTHING

    def make(number: int, window: Window) -> np.ndarray:
        nonlocal tail
        made = in_light(frames[window.start : window.stop], np.array([1.06, 1.0, 0.94]) ** number)
        made = carried(made, tail, ALL) if carry else made
        if number + 1 < len(windows):
            tail = made[windows[number + 1].start - window.start :]
        return made

    return np.concatenate(list(joined(windows, make))), windows


def test_light_that_drifts_from_window_to_window_is_that_of_the_first() -> None:
    plate = 0.8 * SCENE.plate
    found, windows = painted(plate, carry=True)
    assert len(windows) > 4 and np.abs(found - plate).max() < 2e-3
    assert np.abs(painted(plate, carry=False)[0] - plate).max() > 0.05


def test_no_seam_is_left_at_the_borders_of_windows() -> None:
    still = np.repeat(SCENE.plate[:1], COUNT, 0) + np.random.default_rng(0).normal(0, 2e-4, SCENE.plate.shape)
    for plate in (SCENE.plate, still.astype(np.float32).clip(0, 0.9)):
        given, windows = seam(plate, cut(COUNT, 25, 5)), cut(COUNT, 25, 5)
        found = seam(painted(plate, carry=True)[0], windows)
        assert found == pytest.approx(given, rel=0.02)
    assert seam(painted(still.clip(0, 0.9).astype(np.float32), carry=False)[0], windows) > 1.5 * given


def test_what_the_model_did_not_make_stays_bit_for_bit() -> None:
    frames, cover = SCENE.plate[:9], SCENE.matte[:9, ..., None]
    found = carried(frames, in_light(frames[:3], 0.8), cover)
    assert np.array_equal(found[cover[..., 0] == 0], frames[cover[..., 0] == 0])
    inside = cover[..., 0] == 1
    np.testing.assert_allclose(found[inside], in_light(frames, 0.8)[inside], atol=2e-3)
    assert np.array_equal(carried(frames, in_light(frames[:3], 0.8), 0 * cover), frames)
    assert np.array_equal(carried(frames, NOTHING, cover), frames)


def test_another_picture_is_no_drift() -> None:
    dark, bright = np.full((5, 2, 2, 3), 0.1, np.float32), np.full((2, 2, 2, 3), 0.9, np.float32)
    np.testing.assert_allclose(carried(dark, bright, ALL), in_light(dark, MOST), atol=1e-5)
    assert np.isfinite(carried(0 * dark, bright, ALL)).all()


def test_a_jump_is_a_seam_and_a_steady_move_is_none() -> None:
    frames = np.linspace(0, 1, 60, dtype=np.float32)[:, None, None, None] * np.ones((1, 4, 4, 3), np.float32)
    assert second_differences(frames).max() < 1e-6
    noise = np.random.default_rng(1).normal(0, 0.02, (60, 16, 16, 3)).astype(np.float32)
    jump = noise + 0.1 * (np.arange(60) >= 20)[:, None, None, None]
    windows = [Window(0, 20, ()), Window(20, 60, ())]
    assert seam(noise, windows) == pytest.approx(1, abs=0.1)
    assert seam(jump, windows) > 1.5
