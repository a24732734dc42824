"""Pictures of work size at the plate's size."""

from __future__ import annotations

import numpy as np

from anyportal_core.method.enlarging import enlarge, patched
from anyportal_core.ops import opencv as ops


def test_an_edge_gets_no_rim() -> None:
    step = np.full((40, 64, 3), 0.1, np.float32)
    step[:, 30:] = 0.9
    step[20:] *= 0.5
    large = enlarge(step, 250, 400, ops)
    assert large.min() >= step.min() and large.max() <= step.max()
    assert ops.resize(step, 250, 400, "cubic").max() > 0.93


def test_it_is_sharper_than_linear() -> None:
    truth = np.full((24, 240, 3), 0.1, np.float32)
    truth[:, 120:] = 0.9
    step = ops.resize(truth, 4, 40, "area")
    sharp, soft = enlarge(step, 24, 240, ops), ops.resize(step, 24, 240, "linear")
    assert np.square(sharp - truth).mean() < 0.95 * np.square(soft - truth).mean()


def test_a_flat_picture_stays_flat() -> None:
    flat = np.full((9, 13, 3), 0.37, np.float32)
    np.testing.assert_allclose(enlarge(flat, 90, 131, ops), 0.37, atol=1e-6)


def test_a_patch_covers_the_hole_and_fades_into_the_plate() -> None:
    generator = np.random.default_rng(0)
    plate, painted = generator.random((2, 400, 600, 3), np.float32)
    matte = np.zeros((400, 600), np.float32)
    matte[180:230, 280:330] = 1
    made = patched(plate, painted, matte, ops)
    np.testing.assert_array_equal(made[matte > 0], painted[matte > 0])
    np.testing.assert_array_equal(made[:60], plate[:60])
    share = patched(np.zeros_like(plate), np.ones_like(plate), matte, ops)
    assert np.abs(np.diff(share, axis=1)).max() < 0.05


def test_a_picture_of_that_size_already_stays_as_it_is() -> None:
    picture = np.random.default_rng(1).random((24, 40, 3), np.float32)
    np.testing.assert_array_equal(enlarge(picture, 24, 40, ops), picture)
