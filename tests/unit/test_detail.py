"""What refined frames take over inside the matte."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from anyportal_core.method.detail import blur, gaussian_kernel, take_over


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.mark.parametrize(("sigma", "length"), [(0.6, 1), (2.0, 13), (2.9, 13), (5.0, 31)])
def test_the_kernel_ends_at_three_whole_sigmas(sigma: float, length: int) -> None:
    kernel = gaussian_kernel(sigma)
    assert len(kernel) == length and sum(kernel) == pytest.approx(1)


def test_the_blur_is_opencvs_with_that_kernel() -> None:
    frames = noise(2, 24, 30, 3)
    kernel = np.array(gaussian_kernel(2.0))
    expected = [cv2.sepFilter2D(frame, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101) for frame in frames]
    np.testing.assert_allclose(blur(frames, 2.0), expected, atol=1e-6)


def test_a_picture_smaller_than_the_kernel_is_reflected_again_and_again() -> None:
    flat = np.full((1, 4, 3, 1), 0.25, np.float32)
    np.testing.assert_allclose(blur(flat, 5.0), flat, atol=1e-6)


@pytest.mark.parametrize("band", ["whole", "high"])
def test_outside_the_matte_nothing_changes(band: str) -> None:
    target, source, matte = noise(2, 16, 20, 3), noise(2, 16, 20, 3, seed=1), np.zeros((2, 16, 20, 1), np.float32)
    assert np.array_equal(take_over(target, source, matte, band, 2.0), target)
    around = noise(2, 16, 20, 3, seed=2)
    assert np.array_equal(take_over(target, source, matte, band, 2.0, outside=around), around)


def test_the_high_band_keeps_the_targets_colour_and_takes_the_sources_detail() -> None:
    detail = 0.05 * (np.indices((32, 32)).sum(0) % 2)[None, ..., None]
    source, target = (0.2 + detail).astype(np.float32), np.full((1, 32, 32, 1), 0.6, np.float32)
    taken = take_over(target, source, np.ones((1, 32, 32, 1), np.float32), "high", 2.0)
    np.testing.assert_allclose(taken, 0.6 + detail - detail.mean(), atol=1e-3)


def test_numpy_and_torch_agree() -> None:
    torch = pytest.importorskip("torch")
    given = noise(2, 16, 20, 3), noise(2, 16, 20, 3, seed=1), noise(2, 16, 20, 1, seed=2)
    tensors = (torch.from_numpy(array) for array in given)
    np.testing.assert_allclose(take_over(*tensors, "high", 2.0), take_over(*given, "high", 2.0), atol=1e-6)


def test_the_published_numbers(shared: Path) -> None:
    pytest.importorskip("torch")
    from anyportal_core.testing.parity.cases_detail import CASES
    from anyportal_core.testing.parity.golden import read_golden
    from anyportal_core.testing.parity.runner import run_case

    outcome = run_case(read_golden(shared / "golden" / "detail_transfer.json"), CASES["detail_transfer"])
    assert not outcome.reason
