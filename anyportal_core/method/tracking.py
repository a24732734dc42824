"""The colour-coded tracking video that steers Diffusion-as-Shader (arXiv 2501.03847, section 3.1).

A point keeps one colour for the whole clip: red and green say where it was in the first frame, blue how near it was.
So equal colours in two frames are the same point of the scene. Points are painted as small rectangles on black, far
to near. There are two published ways: sparse tracks with the rectangle's size taken from their spacing
(`draw_tracks`), and a point for every pixel of the first frame (`draw_point_maps`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Canvas = NDArray[np.uint8]

NEAR_AND_FAR: Final = (2, 98)
"""Percentiles of the first frame's 1/z that blue runs between: a few wild depths must not flatten the rest."""

FLATTENING: Final = 1.5
"""How much wider than high a track's rectangle is."""


def draw_tracks(tracks: Floats, height: int, width: int) -> Canvas:
    """Paint point tracks: ``(T, N, 3)`` (x, y in pixels, depth z) to ``(T, height, width, 3)`` uint8 RGB.

    A rectangle's half width is half the distance (whole pixels, depth counted as one more axis) to the nearest other
    point of the first frame; later frames take the one of the point painted last in the first frame. A point at
    exactly x = 0 or y = 0 is one that the tracker lost: it is left out, as is one that is not finite.
    """
    video = np.zeros((len(tracks), height, width, 3), np.uint8)
    if not tracks.size:
        return video
    colours = _track_colours(tracks[0])
    halves = _half_spacing(tracks[0])
    for index, (points, frame) in enumerate(zip(tracks, video, strict=True)):
        order = _painting_order(points)
        for n in order:
            _paint(frame, points[n, 0], points[n, 1], halves[n], colours[n])
        if index == 0 and order.size:
            halves = np.full_like(halves, halves[order[-1]])
    return video


def draw_point_maps(points: Floats, height: int, width: int) -> Canvas:
    """Paint a point for every pixel: ``(T, H, W, 3)`` (x, y over the picture's size 0..1, depth z) to uint8 RGB.

    The result is ``(T, height, width, 3)``. Every point is a square of 3x3 pixels. The top row of the picture never
    gets a point of its own: the published drawing leaves it out.
    """
    rows, columns = points.shape[1:3]
    colours = np.empty((rows, columns, 3), np.uint8)
    colours[..., 0] = np.linspace(0, 255, columns)
    colours[..., 1] = np.linspace(0, 255, rows)[:, None]
    colours[..., 2] = 255 * _between(1 / points[0, ..., 2], *NEAR_AND_FAR).clip(0, 1)
    video = np.zeros((len(points), height, width, 3), np.uint8)
    for frame, flat in zip(video, points.reshape(len(points), -1, 3), strict=True):
        _paint_squares(frame, flat, colours.reshape(-1, 3))
    return video


def _track_colours(first: Floats) -> Canvas:
    """Colour by place and nearness in the first frame, ``(N, 3)``: rounded to even halves and saturated."""
    shades = [_between(first[:, 0]), _between(first[:, 1]), _between(1 / first[:, 2], *NEAR_AND_FAR)]
    scaled = np.stack(shades, axis=-1) * 255
    colours: Canvas = np.rint(scaled).clip(0, 255).astype(np.uint8)
    return colours


def _between(values: Floats, low: float = 0, high: float = 100) -> Floats:
    """Values as a fraction of the way between two of their percentiles; 0 where there is no way, or no value."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros_like(values)
    start, end = np.percentile(finite, (low, high)).astype(values.dtype)
    scaled = (values - start) / (end - start) if end > start else np.zeros_like(values)
    return np.nan_to_num(scaled)


def _half_spacing(points: Floats) -> NDArray[np.float64]:
    """Half the distance, cut to whole pixels, from each point to its nearest other one, ``(N,)``."""
    return np.array([_nearest(point, points) // 1 / 2 for point in points])


def _nearest(point: Floats, points: Floats) -> float:
    """Distance to the nearest point that lies elsewhere; 0 if there is none."""
    distances = np.linalg.norm(points - point, axis=-1)
    elsewhere = distances[(distances > 0) & np.isfinite(distances)]
    return float(elsewhere.min()) if elsewhere.size else 0.0


def _painting_order(points: Floats) -> NDArray[np.intp]:
    """Indices of the points that can be seen, far to near; equally far ones in their own order."""
    there = np.isfinite(points).all(axis=-1) & (points[:, 0] != 0) & (points[:, 1] != 0)
    seen = np.flatnonzero(there)
    order: NDArray[np.intp] = seen[np.argsort(-points[seen, 2], kind="stable")]
    return order


def _paint(frame: Canvas, x: float, y: float, half: float, colour: Canvas) -> None:
    """Fill the rectangle around a point, both ends included; coordinates are cut towards zero."""
    left, right = int(x - half), int(x + half)
    top, bottom = int(y - half / FLATTENING), int(y + half / FLATTENING)
    if right >= 0 and bottom >= 0:
        frame[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = colour


def _paint_squares(frame: Canvas, points: Floats, colours: Canvas) -> None:
    """Paint ``(N, 3)`` points as squares of 3x3 pixels, far to near."""
    height, width = frame.shape[:2]
    x, y = np.trunc(points[:, 0] * width), np.trunc(points[:, 1] * height)
    there = np.isfinite(points).all(axis=-1) & (x >= 0) & (x < width) & (y > 0) & (y < height)
    seen = np.flatnonzero(there)
    order = seen[np.argsort(points[seen, 2], kind="stable")[::-1]]
    pixels = np.stack([*_squares(x[order].astype(int), y[order].astype(int), width)], axis=-1)
    # A border of one pixel takes what hangs over the edge. Where a pixel is named twice the later entry stays,
    # that is, the nearer point.
    bordered = np.zeros(((height + 2) * (width + 2), 3), np.uint8)
    bordered[pixels.ravel()] = np.repeat(colours[order], 9, axis=0)
    frame[:] = bordered.reshape(height + 2, width + 2, 3)[1:-1, 1:-1]


def _squares(x: NDArray[np.int_], y: NDArray[np.int_], width: int) -> Iterator[NDArray[np.int_]]:
    """Flat indices of the nine pixels around each point, in a picture with a border of one pixel."""
    for down in range(3):
        for across in range(3):
            yield (y + down) * (width + 2) + x + across
