"""The colour-coded tracking video, against OpenCV's rectangles and the published numbers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from anyportal_core.method.tracking import draw_point_maps, draw_tracks


def random_tracks(seed: int, frames: int = 3, points: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    start = rng.uniform([-4, -4, 1], [76, 52, 9], (1, points, 3))
    tracks = start + rng.normal(0, 3, (frames, points, 3)) * [[[1, 1, 0.1]]]
    tracks[0, :3, 0] = 0  # lost points
    return tracks.astype(np.float32)


def drawn_by_opencv(tracks: np.ndarray, height: int, width: int) -> np.ndarray:
    """The rule, word by word, with OpenCV's own rectangle and its own rounding of colours."""
    first = tracks[0]
    low, high = np.percentile(1 / first[:, 2], [2, 98]).astype(np.float32)
    x, y = first[:, 0], first[:, 1]
    colours = 255 * np.stack(
        [
            (x - x.min()) / (x.max() - x.min()),
            (y - y.min()) / (y.max() - y.min()),
            (1 / first[:, 2] - low) / (high - low),
        ],
        axis=-1,
    )
    video = np.zeros((len(tracks), height, width, 3), np.uint8)
    half = 0.0
    for t, points in enumerate(tracks):
        for n in sorted(range(len(points)), key=lambda n: -points[n, 2]):
            px, py = points[n, 0], points[n, 1]
            if px == 0 or py == 0:
                continue
            if t == 0:
                apart = [float(np.linalg.norm(points[n] - other)) for other in points]
                half = int(min(d for d in apart if d > 0)) / 2
            corners = (int(px - half), int(py - half / 1.5)), (int(px + half), int(py + half / 1.5))
            cv2.rectangle(video[t], *corners, colours[n].astype(float).tolist(), -1)
    return video


@pytest.mark.parametrize("seed", range(20))
def test_tracks_are_painted_as_opencv_paints_them(seed: int) -> None:
    tracks = random_tracks(seed)
    assert np.array_equal(draw_tracks(tracks, 48, 72), drawn_by_opencv(tracks, 48, 72))


def test_a_point_keeps_its_colour_and_the_nearer_one_is_in_front() -> None:
    tracks = np.array([[[10, 10, 5], [40, 20, 2], [60, 40, 3]]] * 2, np.float32)
    tracks[1, 0] = [40, 20, 1]  # the first point moves in front of the second
    video = draw_tracks(tracks, 48, 72)
    assert np.array_equal(video[1, 20, 40], video[0, 10, 10])
    assert not np.array_equal(video[0, 20, 40], video[0, 10, 10])


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_points_that_are_not_finite_are_left_out(broken: float) -> None:
    tracks, outside = random_tracks(1), random_tracks(1)
    tracks[1, 5] = broken
    outside[1, 5, :2] = 1000
    assert np.array_equal(draw_tracks(tracks, 48, 72), draw_tracks(outside, 48, 72))


def test_no_tracks_give_black_frames() -> None:
    assert not draw_tracks(np.zeros((2, 0, 3), np.float32), 8, 8).any()
    assert draw_tracks(np.full((1, 1, 3), 4, np.float32), 8, 8).shape == (1, 8, 8, 3)


def point_maps(seed: int, frames: int = 2, height: int = 12, width: int = 18) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    points = np.stack([x / width, y / height, np.ones_like(x)], axis=-1)[None].repeat(frames, 0)
    points = points + rng.normal(0, 0.05, points.shape)
    points[..., 2] = rng.uniform(1, 9, points.shape[:3])
    return points.astype(np.float32)


def maps_drawn_one_by_one(points: np.ndarray, height: int, width: int) -> np.ndarray:
    low, high = np.percentile(1 / points[0, ..., 2], [2, 98]).astype(np.float32)
    blue = (255 * np.clip((1 / points[0, ..., 2] - low) / (high - low), 0, 1)).astype(np.uint8)
    rows, columns = blue.shape
    video = np.zeros((len(points), height, width, 3), np.uint8)
    for frame, grid in zip(video, points, strict=True):
        for row, column in sorted(np.ndindex(rows, columns), key=lambda i: -grid[i][2]):
            x, y = int(grid[row, column, 0] * width), int(grid[row, column, 1] * height)
            if 0 <= x < width and 0 < y < height:
                red, green = int(np.linspace(0, 255, columns)[column]), int(np.linspace(0, 255, rows)[row])
                frame[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = red, green, blue[row, column]
    return video


@pytest.mark.parametrize("seed", range(5))
def test_point_maps_are_painted_far_to_near_in_squares(seed: int) -> None:
    points = point_maps(seed)
    untouched = points.copy()
    assert np.array_equal(draw_point_maps(points, 12, 18), maps_drawn_one_by_one(points, 12, 18))
    assert np.array_equal(points, untouched)


def test_the_published_drawings(shared: Path) -> None:
    pytest.importorskip("torch")
    from anyportal_core.testing.parity.cases_tracking import CASES
    from anyportal_core.testing.parity.golden import read_golden
    from anyportal_core.testing.parity.runner import run_case

    outcome = run_case(read_golden(shared / "golden" / "tracking_video.json"), CASES["tracking_video"])
    assert outcome.max_error == 0, outcome.reason
