"""Optical flow."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anyportal_core.frames import Image
from anyportal_core.plugins.draft.flow import Flow, closes, follow


def texture(height: int, width: int, seed: int = 0) -> Image:
    noise = np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 1, cv2.NORM_MINMAX)


@pytest.mark.parametrize("shrink", [1, 2])
def test_flow_leads_from_the_first_frame_to_the_second(shrink: int) -> None:
    wide = texture(120, 200)
    a, b = wide[10:110, 10:170], wide[7:107, 15:175]  # the content of b lies 5 to the left and 3 down
    flow = Flow(shrink)(a, b)
    inner = flow[15:-15, 15:-15]
    assert flow.dtype == np.float32 and flow.shape == (100, 160, 2)
    assert np.median(inner, axis=(0, 1)) == pytest.approx([-5, 3], abs=0.3)
    assert np.abs(follow(b, flow) - a)[15:-15, 15:-15].mean() < 0.25 * np.abs(b - a)[15:-15, 15:-15].mean()


def test_what_is_covered_is_not_seen() -> None:
    """A square moves over a wall: the wall it covers next is not seen there, the wall it frees was not before."""
    wall, patch = texture(200, 320), texture(100, 100, seed=1)
    a, b = wall.copy(), wall.copy()
    a[50:150, 50:150] = patch
    b[50:150, 62:162] = patch
    pair = Flow().pair(a, b)
    assert pair.seen[54:146, 54:146].mean() > 0.95 and pair.seen[:45].mean() > 0.95
    assert pair.seen[54:146, 151:162].mean() < 0.4
    assert pair.seen_back[54:146, 50:62].mean() < 0.4


def test_what_leaves_the_frame_does_not_close() -> None:
    out = np.zeros((20, 30, 2), np.float32) + np.array([4, 0], np.float32)
    closed = closes(out, -out)
    assert closed[:, :26].all() and not closed[:, 26:].any()


def test_results_do_not_depend_on_threads_or_history() -> None:
    wide = texture(140, 220)
    a, b, c = wide[:120, :200], wide[4:124, 6:206], wide[9:129, 11:211]
    flow, before = Flow(), cv2.getNumThreads()
    flow(b, c)
    found = flow(a, b)
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            assert Flow()(a, b).tobytes() == found.tobytes()
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(
    "size", [(1, 1), (8, 40), (17, 33), (3, 300), (10, 160), (20, 300), (30, 320), (30, 640), (31, 2000), (640, 9)]
)
def test_tiny_frames_have_a_flow(size: tuple[int, int]) -> None:
    frame = texture(*size)
    assert np.isfinite(Flow()(frame, frame)).all() and Flow(2)(frame, frame).shape == (*size, 2)


def test_the_flow_of_a_strip_is_found() -> None:
    strip = texture(20, 700)
    flow = Flow()(strip[:, 10:650], strip[:, 16:656])
    assert np.median(flow[:, 20:-20], axis=(0, 1)) == pytest.approx([-6, 0], abs=0.3)
