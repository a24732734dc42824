"""A coarse gain at a plate's size: nothing rings, nothing bleeds, and the plate's detail stays the plate's."""

from __future__ import annotations

import numpy as np
import pytest

from anyportal_core.method import upsampling
from anyportal_core.method.upsampling import guided_gain
from anyportal_core.ops import opencv as ops

HEIGHT, WIDTH, CELL = 540, 1024, 32
LIGHT = np.log(np.float32([1.8, 0.7, 1.2]))
OTHER = np.log(np.float32([0.4, 2.0, 0.7]))
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)


def coarse(full: np.ndarray) -> np.ndarray:
    return ops.resize(full, round(HEIGHT / CELL), round(WIDTH / CELL), "area")


def pick(where: np.ndarray) -> np.ndarray:
    """One light where a mask is true, another elsewhere."""
    return np.where(where[..., None], LIGHT, OTHER).astype(np.float32)


def disc() -> np.ndarray:
    radius = np.hypot(COLUMNS - WIDTH / 2, ROWS - HEIGHT / 2)
    return np.clip((210 - radius) / 3 + 0.5, 0, 1).astype(np.float32)


def zone_plate() -> np.ndarray:
    return 0.5 + 0.45 * np.cos(np.pi * ((COLUMNS - WIDTH / 2) ** 2 + (ROWS - HEIGHT / 2) ** 2) / (2 * WIDTH))


def grain(deviation: float = 0.06) -> np.ndarray:
    return np.clip(0.4 + deviation * np.random.default_rng(0).standard_normal((HEIGHT, WIDTH)), 0, 1)


PLATES = {"ramp": COLUMNS / WIDTH, "zone plate": zone_plate(), "grain": grain()}


def off(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How far the light is from the true one, by its share, ``(H, W)``."""
    return np.asarray(np.abs(np.exp(found - truth) - 1).max(-1))


def high(picture: np.ndarray) -> np.ndarray:
    return picture - ops.gaussian(picture, 2.0)


@pytest.mark.parametrize("plate", PLATES)
def test_no_light_bleeds_or_rings_across_the_mattes_edge(plate: str) -> None:
    matte, lightness = disc(), PLATES[plate].astype(np.float32)
    truth = pick(matte > 0.5)
    inside = matte > 0.5
    assert off(guided_gain(coarse(truth), lightness, matte, ops), truth)[inside].max() < 0.01
    assert off(ops.resize(coarse(truth), HEIGHT, WIDTH, "cubic"), truth)[inside].max() > 0.5


@pytest.mark.parametrize("gain", ["slope", "edge"])
@pytest.mark.parametrize("plate", PLATES)
def test_the_plates_detail_stays_its_own(plate: str, gain: str) -> None:
    """In the foreground's core: the high band is that of the plate, in the light that there is."""
    matte, lightness = disc(), PLATES[plate].astype(np.float32)
    slope = np.stack([0.4 * np.sin(3 * COLUMNS / WIDTH), 0.3 * np.cos(4 * ROWS / HEIGHT), 0.2 * COLUMNS / WIDTH], -1)
    truth = slope.astype(np.float32) if gain == "slope" else pick(matte > 0.5)
    found = np.exp(guided_gain(coarse(truth), lightness, matte, ops))
    core = ops.erode(matte, 8) == 1
    for channel in range(3):
        added = high(lightness * found[..., channel]) - found[..., channel] * high(lightness)
        assert np.abs(added[core]).max() < 0.01
        if plate != "ramp":  # a ramp has no high band that anything could correlate with
            lit = high(lightness * found[..., channel] / found[core, channel].mean())
            assert np.corrcoef(high(lightness)[core], (lit / found[..., channel])[core])[0, 1] > 0.999


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_light_that_jumps_where_the_plate_does_jumps_there(noise: float) -> None:
    edge = COLUMNS + 0.3 * ROWS > 0.6 * WIDTH
    lightness = np.clip(0.25 + 0.5 * edge + noise * np.random.default_rng(1).standard_normal(edge.shape), 0, 1)
    truth, whole = pick(edge), np.ones(edge.shape, np.float32)
    found = guided_gain(coarse(truth), lightness.astype(np.float32), whole, ops)
    beside = ops.dilate(edge.astype(np.float32), 3) == ops.erode(edge.astype(np.float32), 3)
    wrong = off(found, truth)[beside]
    assert np.quantile(wrong, 0.99) < 0.01
    assert wrong.max() < 0.08
    assert off(ops.resize(coarse(truth), HEIGHT, WIDTH, "cubic"), truth)[beside].max() > 0.3


def test_where_the_plate_shows_no_edge_the_light_stays_between_its_cells_values() -> None:
    cells = np.random.default_rng(3).normal(0, 0.4, (17, 32, 3)).astype(np.float32)
    flat, whole = np.full((HEIGHT, WIDTH), 0.4, np.float32), np.ones((HEIGHT, WIDTH), np.float32)
    found = guided_gain(cells, flat, whole, ops)
    assert found.min() >= cells.min() - 1e-5
    assert found.max() <= cells.max() + 1e-5


def test_a_slope_of_the_light_is_enlarged_without_creases() -> None:
    truth = np.stack([0.3 * np.sin(3 * COLUMNS / WIDTH), np.cos(2 * ROWS / HEIGHT) / 2, 0 * ROWS], -1)
    whole = np.ones((HEIGHT, WIDTH), np.float32)
    found = guided_gain(coarse(truth.astype(np.float32)), zone_plate().astype(np.float32), whole, ops)
    inner = found[CELL:-CELL, CELL:-CELL]
    assert off(inner, truth[CELL:-CELL, CELL:-CELL]).max() < 0.005
    bends = np.abs(np.diff(inner, n=2, axis=1)).max()
    assert bends < 0.003


def test_no_gain_stays_no_gain_to_the_bit() -> None:
    nothing = np.zeros((17, 32, 3), np.float32)
    nothing[:, 24:] = 0.7
    found = guided_gain(nothing, grain().astype(np.float32), np.ones((HEIGHT, WIDTH), np.float32), ops)
    assert not found[:, : 20 * CELL].any()


def test_stripes_make_the_picture_that_the_whole_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    matte, lightness = disc(), grain().astype(np.float32)
    cells = np.random.default_rng(3).normal(0, 0.4, (17, 32, 3)).astype(np.float32)
    striped = guided_gain(cells, lightness, matte, ops)
    monkeypatch.setattr(upsampling, "STRIPE", HEIGHT)
    np.testing.assert_allclose(striped, guided_gain(cells, lightness, matte, ops), atol=1e-6)


@pytest.mark.parametrize(("grid", "size"), [((1, 1), (1, 1)), ((1, 3), (1, 40)), ((5, 1), (64, 1)), ((9, 16), (9, 16))])
def test_every_shape_is_served(grid: tuple[int, int], size: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    cells = generator.normal(0, 1, (*grid, 3)).astype(np.float32)
    found = guided_gain(cells, generator.random(size, np.float32), generator.random(size, np.float32), ops)
    assert found.shape == (*size, 3)
    assert np.isfinite(found).all()


def test_an_empty_matte_gives_a_finite_gain() -> None:
    cells = np.ones((17, 32, 3), np.float32)
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    assert np.isfinite(guided_gain(cells, nothing, nothing, ops)).all()
