"""The gain made steady along the foreground's motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anyportal_core.frames import ArraySource, Image
from anyportal_core.method.srgb import to_display, to_light
from anyportal_core.plugins.draft.scene.refine import Steady
from anyportal_core.plugins.draft.scene.specs import SCENE
from anyportal_core.roles import RoleContext
from anyportal_core.settings import Settings

SPEC = next(spec for spec in SCENE if spec.name == "draft.steady")
HEIGHT, WIDTH, COUNT = 64, 96, 16
GRID = (16, 24)


class Harmonised:
    """The harmonise stage's result."""

    def __init__(self, **arrays: np.ndarray) -> None:
        self._arrays = arrays
        self.names = frozenset(arrays)
        self.count = COUNT
        self.latest = 0

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        self.latest = max(self.latest, stop)
        return self._arrays[name][start:stop]


def cloth() -> Image:
    coarse = np.random.default_rng(3).uniform(0.15, 0.85, (HEIGHT // 4, WIDTH // 4, 3)).astype(np.float32)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def shot(step: float = 2.0) -> tuple[Image, Image]:
    """A textured disc that moves ``step`` pixels a frame before a grey wall: plate and matte."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    plate, matte = [], []
    for t in range(COUNT):
        shift = np.float32([[1, 0, step * t], [0, 1, 0]])
        alpha = np.clip(20 - np.hypot(columns - 28 - step * t, rows - 32) + 0.5, 0, 1)[..., None]
        moved = cv2.warpAffine(cloth(), shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_WRAP)
        plate.append(moved * alpha + 0.5 * (1 - alpha))
        matte.append(alpha)
    return np.stack(plate).astype(np.float32), np.stack(matte).astype(np.float32)


def steady(harmonised: Harmonised, step: float = 2.0, span: int = 4) -> np.ndarray:
    plate, matte = shot(step)
    count = harmonised.count
    settings = Settings.check(SPEC.settings, {"span": span}, "refine")
    context = RoleContext(settings, np.random.default_rng, lambda: None, lambda text: None)
    sources = ArraySource(plate[:count]), ArraySource(matte[:count]), ArraySource(plate[:count])
    return np.concatenate([chunk["log_gain"] for chunk in Steady().steady(*sources, harmonised, context)])


def covered(step: float = 2.0) -> np.ndarray:
    """Cells of the grid that lie well inside the foreground."""
    small = [cv2.resize(alpha, GRID[::-1], interpolation=cv2.INTER_AREA) for alpha in shot(step)[1]]
    return np.stack(small) > 0.95


def test_noise_is_removed_and_the_light_is_kept() -> None:
    generator = np.random.default_rng(0)
    truth = np.float32([0.3, -0.2, 0.1])
    noisy = (truth + generator.normal(0, 0.2, (COUNT, *GRID, 3))).astype(np.float32)
    inside = covered()
    before, after = (np.abs(gain - truth)[inside].mean() for gain in (noisy, steady(Harmonised(log_gain=noisy))))
    assert after < 0.55 * before


def test_flicker_of_the_whole_frame_is_damped() -> None:
    flicker = np.where(np.arange(COUNT) % 2, 0.3, -0.3).astype(np.float32)
    gain = np.broadcast_to(flicker[:, None, None, None], (COUNT, *GRID, 3)).copy()
    out = steady(Harmonised(log_gain=gain))
    inside = covered()
    means = np.array([out[t][inside[t]].mean() for t in range(COUNT)])
    assert np.abs(means[4:-4]).max() < 0.1


def test_a_steady_gain_stays_as_it_is() -> None:
    gain = np.broadcast_to(np.float32([0.4, 0.1, -0.7]), (COUNT, *GRID, 3)).copy()
    np.testing.assert_allclose(steady(Harmonised(log_gain=gain)), gain, atol=1e-5)


def test_light_that_grows_evenly_is_followed() -> None:
    grow = np.linspace(-0.5, 0.5, COUNT, dtype=np.float32)
    gain = np.broadcast_to(grow[:, None, None, None], (COUNT, *GRID, 3)).copy()
    out, inside = steady(Harmonised(log_gain=gain)), covered()
    means = np.array([out[t][inside[t]].mean() for t in range(COUNT)])
    np.testing.assert_allclose(means[4:-4], grow[4:-4], atol=0.02)


def test_the_mean_is_taken_along_the_motion() -> None:
    """A shade that is painted on the moving disc stays sharp; averaged in place it would be smeared."""
    step = 3.0
    columns = (np.arange(GRID[1]) + 0.5) * WIDTH / GRID[1]
    gain = np.zeros((COUNT, *GRID, 3), np.float32)
    for t in range(COUNT):
        gain[t] = np.tanh((columns - 28 - step * t) / 5)[None, :, None]
    out, inside = steady(Harmonised(log_gain=gain), step), covered(step)[..., None]
    middle = slice(5, 11)
    smeared = np.stack([gain[t - 4 : t + 5].mean(0) for t in range(5, 11)])
    error = np.abs((out - gain)[middle] * inside[middle]).sum()
    assert error < 0.35 * np.abs((smeared - gain[middle]) * inside[middle]).sum()


def test_away_from_the_foreground_the_gain_comes_back_bit_for_bit() -> None:
    gain = np.random.default_rng(0).normal(0, 0.2, (COUNT, *GRID, 3)).astype(np.float32)
    out = steady(Harmonised(log_gain=gain))
    assert out[0][:, -3:].tobytes() == gain[0][:, -3:].tobytes()


def test_relit_frames_become_a_smooth_gain_without_their_detail() -> None:
    plate, matte = shot()
    light = np.float32([1.5, 1.0, 0.6])
    wrong = np.random.default_rng(1).uniform(0.8, 1.25, plate.shape).astype(np.float32)  # invented detail
    relit = to_display(to_light(plate) * light * wrong).astype(np.float32)
    out = steady(Harmonised(relit=relit))
    assert out.shape[1] <= 96
    small = np.stack([cv2.resize(alpha, out.shape[2:0:-1], interpolation=cv2.INTER_AREA) for alpha in matte])
    inside = small > 0.95
    np.testing.assert_allclose(np.median(out[inside], axis=0), np.log(light), atol=0.06)
    assert np.abs(out - np.log(light))[inside].mean() < 0.06


@pytest.mark.parametrize("count", [1, 2, 3, 9, COUNT])
def test_every_length_yields_every_frame(count: int) -> None:
    gain = np.random.default_rng(0).normal(0, 0.2, (COUNT, *GRID, 3)).astype(np.float32)
    harmonised = Harmonised(log_gain=gain)
    harmonised.count = count
    out = steady(harmonised)
    assert out.shape == (count, *GRID, 3)
    assert np.isfinite(out).all()
    if count == 1:
        assert out.tobytes() == gain[:1].tobytes()


def test_it_looks_no_further_than_its_window() -> None:
    gain = np.zeros((COUNT, *GRID, 3), np.float32)
    changed = gain.copy()
    changed[12:] = 1
    first, second = (steady(Harmonised(log_gain=g), span=3) for g in (gain, changed))
    assert first[:9].tobytes() == second[:9].tobytes()
    assert np.abs(second[9:] - first[9:]).max() > 0.01
    harmonised = Harmonised(log_gain=gain)
    plate, matte = (ArraySource(x) for x in shot())
    context = RoleContext(Settings.check(SPEC.settings, {"span": 3}, ""), np.random.default_rng, lambda: None, print)
    next(Steady().steady(plate, matte, plate, harmonised, context))
    assert harmonised.latest <= 7, "the span, the next frame for its flow, and two that are worked on meanwhile"


def test_a_foreground_that_is_gone_in_some_frames_is_no_trouble() -> None:
    plate, matte = shot()
    matte[5:9] = 0
    gain = np.random.default_rng(0).normal(0, 0.2, (COUNT, *GRID, 3)).astype(np.float32)
    context = RoleContext(Settings.check(SPEC.settings, {}, ""), np.random.default_rng, lambda: None, print)
    source = ArraySource(plate)
    chunks = list(Steady().steady(source, ArraySource(matte), source, Harmonised(log_gain=gain), context))
    out = np.concatenate([chunk["log_gain"] for chunk in chunks])
    assert np.isfinite(out).all()
    assert out[6].tobytes() == gain[6].tobytes()
