"""The contract of ImageOps. A further half of the port joins by an entry in ``HALVES``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anyportal_core.ops import ImageOps, opencv

Half = tuple[ImageOps, Callable[[np.ndarray], Any], Callable[[Any], np.ndarray]]

# name -> (the port, from numpy, to numpy)
HALVES: dict[str, Half] = {"opencv": (opencv, lambda a: a, np.asarray)}


class Port:
    """A half of the port that takes and gives numpy arrays, and checks that inputs stay untouched."""

    def __init__(self, half: Half) -> None:
        self._ops, self._to, self._from = half

    def __getattr__(self, name: str) -> Callable[..., np.ndarray]:
        def call(image: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
            before = image.copy()
            args = tuple(self._to(a) if isinstance(a, np.ndarray) else a for a in args)
            out = self._from(getattr(self._ops, name)(self._to(image), *args, **kwargs))
            np.testing.assert_array_equal(image, before)
            assert out.dtype == np.float32
            assert not np.shares_memory(out, image)
            return out

        return call


@pytest.fixture(params=sorted(HALVES))
def ops(request: pytest.FixtureRequest) -> Port:
    return Port(HALVES[request.param])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).random(shape, dtype=np.float32)


def ramp(height: int, width: int) -> np.ndarray:
    """The unit coordinates of the pixel centres, ``(H, W, 2)``."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(x + 0.5) / width, (y + 0.5) / height], -1).astype(np.float32)


CALLS: dict[str, tuple[Any, ...]] = {
    "gaussian": (1.5,),
    "box": (2,),
    "convolve": (np.full((3, 3), 1 / 9, np.float32),),
    "resize": (9, 14),
    "warp": (np.eye(3), 12, 10),
    "dilate": (2,),
    "erode": (2,),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_the_channel_axis_is_kept(ops: Port, name: str, channels: int | None) -> None:
    shape = (24, 20) if channels is None else (24, 20, channels)
    out = getattr(ops, name)(noise(*shape), *CALLS[name])
    assert out.shape[2:] == shape[2:]


@pytest.mark.parametrize(("name", "args"), [("gaussian", (2.0,)), ("box", (3,))])
def test_a_blur_keeps_a_constant_and_the_mean(ops: Port, name: str, args: tuple[Any, ...]) -> None:
    flat = np.full((16, 18, 3), 0.37, np.float32)
    np.testing.assert_allclose(getattr(ops, name)(flat, *args), flat, atol=1e-6)
    spike = np.zeros((41, 41), np.float32)
    spike[20, 20] = 1
    assert getattr(ops, name)(spike, *args).sum() == pytest.approx(1, abs=1e-4)


def test_gaussian_has_the_sigma_it_was_asked_for(ops: Port) -> None:
    spike = np.zeros((61, 61), np.float32)
    spike[30, 30] = 1
    out = ops.gaussian(spike, 3.0)
    y, x = np.mgrid[-30:31, -30:31]
    np.testing.assert_allclose(out, np.exp(-(x * x + y * y) / 18) / (18 * np.pi), atol=2e-5)


def test_gaussian_reflects_without_repeating_the_edge(ops: Port) -> None:
    image = noise(20, 20)
    padded = np.pad(image, 12, mode="reflect")
    np.testing.assert_allclose(ops.gaussian(image, 2.0), ops.gaussian(padded, 2.0)[12:-12, 12:-12], atol=1e-6)


def test_gaussian_of_no_width_is_the_image(ops: Port) -> None:
    image = noise(8, 9)
    np.testing.assert_array_equal(ops.gaussian(image, 0.0), image)


def test_box_is_the_mean_of_the_square(ops: Port) -> None:
    image = noise(15, 15)
    assert ops.box(image, 2)[7, 7] == pytest.approx(image[5:10, 5:10].mean(), abs=1e-6)
    assert ops.box(image, 1)[0, 0] == pytest.approx(np.pad(image, 1, mode="reflect")[:3, :3].mean(), abs=1e-6)


def test_convolve_does_not_turn_its_kernel_round(ops: Port) -> None:
    spike, kernel = np.zeros((9, 9), np.float32), np.arange(9, dtype=np.float32).reshape(3, 3)
    spike[4, 4] = 1
    np.testing.assert_allclose(ops.convolve(spike, kernel)[3:6, 3:6], kernel[::-1, ::-1], atol=1e-6)
    image = noise(12, 13)
    padded = np.pad(image, 4, mode="reflect")
    np.testing.assert_allclose(ops.convolve(image, kernel), ops.convolve(padded, kernel)[4:-4, 4:-4], atol=1e-4)


def test_resize_to_the_same_size_changes_nothing(ops: Port) -> None:
    image = noise(7, 9, 3)
    np.testing.assert_array_equal(ops.resize(image, 7, 9, "cubic"), image)


@pytest.mark.parametrize("filter", ["linear", "cubic", "lanczos"])
def test_resize_has_its_pixel_centres_at_half_integers(ops: Port, filter: str) -> None:
    out = ops.resize(ramp(12, 16), 24, 32, filter)
    np.testing.assert_allclose(out[4:-4, 4:-4], ramp(24, 32)[4:-4, 4:-4], atol=5e-3)


def test_area_is_the_mean_of_what_each_pixel_covers(ops: Port) -> None:
    image = noise(12, 16)
    blocks = image.reshape(4, 3, 4, 4).mean((1, 3))
    np.testing.assert_allclose(ops.resize(image, 4, 4, "area"), blocks, atol=1e-6)


def test_remap_samples_between_pixels(ops: Port) -> None:
    image = noise(6, 7)
    x, y = np.float32([[2.5, 3.0]]), np.float32([[1.0, 2.5]])
    expected = [(image[1, 2] + image[1, 3]) / 2, (image[2, 3] + image[3, 3]) / 2]
    np.testing.assert_allclose(ops.remap(image, x, y)[0], expected, atol=1e-6)


@pytest.mark.parametrize(("border", "expected"), [("reflect", 2), ("replicate", 0), ("zero", None)])
def test_remap_borders(ops: Port, border: str, expected: int | None) -> None:
    image = noise(6, 7)
    out = ops.remap(image, np.float32([[-2.0]]), np.float32([[3.0]]), border)[0, 0]
    assert out == pytest.approx(0 if expected is None else image[3, expected], abs=1e-6)


def test_an_identity_warp_changes_nothing(ops: Port) -> None:
    image = noise(18, 22, 3)
    np.testing.assert_array_equal(ops.warp(image, np.eye(3), 18, 22), image)
    np.testing.assert_array_equal(ops.warp(image, 3 * np.eye(3) + 1e-12, 18, 22), image)


MATRICES = {
    "move and scale": [[0.8, 0.05, 0.07], [-0.04, 0.75, 0.12], [0, 0, 1]],
    "perspective": [[0.8, 0.02, 0.08], [0.01, 0.85, 0.05], [0.08, -0.05, 1]],
}


@pytest.mark.parametrize("name", MATRICES)
def test_warp_maps_unit_coordinates_of_the_output_to_the_input(ops: Port, name: str) -> None:
    matrix = np.array(MATRICES[name], np.float64)
    out = ops.warp(ramp(60, 80), matrix, 45, 70)
    points = np.concatenate([ramp(45, 70), np.ones((45, 70, 1))], -1) @ matrix.T
    np.testing.assert_allclose(out, points[..., :2] / points[..., 2:], atol=4e-3)


def test_warp_does_not_alias_when_it_shrinks(ops: Port) -> None:
    checks = (np.indices((256, 256)).sum(0) % 2).astype(np.float32)
    for shift in (0.0, 0.3 / 256, 0.7 / 256):
        matrix = np.array([[1, 0, shift], [0, 1, 0], [0, 0, 1.0]])
        np.testing.assert_allclose(ops.warp(checks, matrix, 60, 60)[4:-4, 4:-4], 0.5, atol=0.05)


def test_a_slow_zoom_does_not_pulse(ops: Port) -> None:
    image = noise(240, 240)
    spread = []
    for zoom in np.linspace(0.5, 1.0, 24):
        out = ops.warp(image, np.array([[zoom, 0, 0.2], [0, zoom, 0.2], [0, 0, 1]]), 40, 40)
        spread.append(out.std())
    assert np.abs(np.diff(np.log(spread))).max() < 0.35
    assert spread[0] > spread[-1]


def test_warp_fills_outside_as_told(ops: Port) -> None:
    image = np.full((10, 10), 0.5, np.float32)
    away = np.array([[1, 0, 2.0], [0, 1, 0], [0, 0, 1]])
    assert ops.warp(image, away, 10, 10, "zero").max() == 0
    np.testing.assert_allclose(ops.warp(image, away, 10, 10, "replicate"), 0.5, atol=1e-6)
    np.testing.assert_allclose(ops.warp(image, away, 10, 10, "reflect"), 0.5, atol=1e-6)


def test_dilate_and_erode_use_a_disc(ops: Port) -> None:
    spike = np.zeros((15, 15), np.float32)
    spike[7, 7] = 0.6
    y, x = np.mgrid[-7:8, -7:8]
    disc = np.where(x * x + y * y <= 16, 0.6, 0).astype(np.float32)
    np.testing.assert_allclose(ops.dilate(spike, 4), disc, atol=1e-6)
    np.testing.assert_allclose(ops.erode(1 - spike, 4), 1 - disc, atol=1e-6)


def test_dilate_and_erode_do_not_invent_a_border(ops: Port) -> None:
    ones = np.ones((9, 9), np.float32)
    np.testing.assert_array_equal(ops.erode(ones, 3), ones)
    np.testing.assert_array_equal(ops.dilate(0 * ones, 3), 0 * ones)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (1, 3000), (2, 1)])
@pytest.mark.parametrize("border", ["reflect", "replicate", "zero"])
def test_a_single_row_or_column_can_be_warped(ops: Port, shape: tuple[int, int], border: Any) -> None:
    picture = noise(*shape, 3)
    tilted = np.array([[0.9, 0.02, 0.03], [0.01, 0.9, 0.04], [0.001, 0, 1]])
    for matrix in (np.eye(3), tilted):
        out = ops.warp(picture, matrix, 12, 20, border)
        assert out.shape == (12, 20, 3) and np.isfinite(out).all()
    assert ops.warp(picture, np.eye(3), 12, 20, border).mean() > 0.05
