"""Metrics and baselines: against published figures, against the tool that measured the references, and alone."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from anyportal_core.evaluation.baselines import composite, global_gain, oracle_gain
from anyportal_core.evaluation.ciede2000 import delta_e, lab
from anyportal_core.evaluation.clips import FIGURES, Plate, evaluate, is_relit, medians
from anyportal_core.evaluation.truth import Truth, bounds, closed, difference

HEIGHT, WIDTH = 48, 72

# Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula", 2005, table 1: pairs that trip implementations.
PAIRS = [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, -0.001, 2.49), (50, 0.0011, -2.49), 4.7461),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (61, -5, 29), 22.8977),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "expected"), PAIRS)
def test_colour_differences_are_the_published_ones(first: Any, second: Any, expected: float) -> None:
    assert float(delta_e(np.array(first), np.array(second))) == pytest.approx(expected, abs=1e-4)
    assert float(delta_e(np.array(second), np.array(first))) == pytest.approx(expected, abs=1e-4)


def test_lab_of_white_grey_and_red() -> None:
    np.testing.assert_allclose(lab([1.0, 1, 1]), [100, 0, 0], atol=1e-3)
    assert lab([0.5, 0.5, 0.5])[0] == pytest.approx(53.39, abs=0.01)
    np.testing.assert_allclose(lab([1.0, 0, 0]), [53.24, 80.09, 67.20], atol=0.02)


def scene(gain: tuple[float, float, float] = (0.6, 0.4, 0.2)) -> Truth:
    """A foreground under a light that changes as the whole place does."""
    generator = np.random.default_rng(0)
    source = generator.uniform(0.1, 0.7, (HEIGHT, WIDTH, 3)).astype(np.float32)
    matte = np.zeros((HEIGHT, WIDTH), np.float32)
    matte[12:40, 24:48] = 1
    target = (source * np.float32(gain)).astype(np.float32)
    return Truth(source, target, target, matte)


def test_the_naive_composite_closes_nothing_and_the_best_gain_all() -> None:
    truth = scene()
    naive, oracle = bounds(truth)
    assert oracle < 0.5 < 10 < naive
    assert closed(naive, oracle, naive) == 0
    assert closed(naive, oracle, oracle) == 1
    plain = difference(truth, composite(truth.source, truth.matte, truth.backdrop))
    assert plain == pytest.approx(naive)


def test_one_gain_by_the_backgrounds_means_overdoes_luminance_and_underdoes_colour() -> None:
    truth = scene((0.5, 0.5, 0.5))
    found = global_gain(truth.source, truth.matte, truth.backdrop)
    np.testing.assert_allclose(found, 1.2 * math.log(0.5), atol=0.05)
    np.testing.assert_array_equal(global_gain(truth.source, truth.matte * 0 + 1, truth.backdrop), 0)


def test_the_oracle_is_smooth_and_knows_nothing_from_outside_the_foreground() -> None:
    truth = scene()
    found = oracle_gain(truth.source, truth.target * truth.matte[..., None], truth.matte, 3)
    np.testing.assert_allclose(found[25, 36], np.log([0.6, 0.4, 0.2]), atol=0.03)


def shot(count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A textured square that moves before a textured wall that moves the other way."""
    generator = np.random.default_rng(1)
    wall, cloth = (cv2.resize(generator.integers(0, 255, (60, 90, 3), np.uint8), (540, 360)) for _ in range(2))
    frames, mattes = [], []
    for t in range(count):
        frame, matte = wall[60:300, 60 + 3 * t : 420 + 3 * t].copy(), np.zeros((240, 360), np.uint8)
        box = np.s_[60:200, 100 + 2 * t : 220 + 2 * t]
        frame[box], matte[box] = cloth[60:200, 100:220], 255
        frames.append(frame)
        mattes.append(matte)
    return np.stack(frames), np.stack(mattes)


def test_a_clip_is_like_itself_and_unlike_what_is_torn_out_of_it() -> None:
    frames, mattes = shot()
    plate = Plate.read(frames, mattes)
    same = evaluate(plate, frames)
    assert set(same) == set(FIGURES)
    assert same["detail_corr"] == pytest.approx(1) and same["motion_agree"] == pytest.approx(1)
    assert same["light_change"] == 0 and same["cam_rel"] == 0 and same["leak_bg"] == pytest.approx(1)
    flickering = (frames * np.where(np.arange(8) % 2, 1, 0.8)[:, None, None, None]).astype(np.uint8)
    worse = evaluate(plate, flickering)
    assert worse["flicker_fg"] > same["flicker_fg"] + 5
    assert worse["we_fg_in"] > 2 * same["we_fg_in"]
    blurred = evaluate(plate, np.stack([cv2.GaussianBlur(frame, (0, 0), 6) for frame in frames]))
    assert blurred["detail_corr"] < 0.6
    assert medians([same, worse])["light_change"] == pytest.approx(worse["light_change"] / 2)


def test_the_figures_are_those_of_the_tool_that_measured_the_references(shared: Path) -> None:
    tool, clips = shared / "tools" / "clip_metrics.py", shared / "data" / "clips"
    if not tool.is_file() or not (clips / "16_input.mp4").is_file():
        pytest.skip("the published clips are not here")
    spec = importlib.util.spec_from_file_location("clip_metrics", tool)
    assert spec is not None and spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    frames, result, matte = (
        theirs.read(clips / f"16_{name}.mp4", name == "matte")[:9] for name in ("input", "anyportal", "matte")
    )
    expected = theirs.evaluate(frames, result, matte)
    found = evaluate(Plate.read(frames, matte), result)
    for name in FIGURES:
        assert found[name] == pytest.approx(expected[name], rel=0.02, abs=1e-3), name


def test_relit_is_what_changed_enough_and_not_too_much() -> None:
    assert [is_relit({"light_change": change}) for change in (0.2, 10, 22, 35, 40, float("nan"))] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]
