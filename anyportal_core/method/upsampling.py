"""A light gain on its coarse grid reaches the plate's pixels: smooth where the light is, sharp where the plate is.

The grid is enlarged by a kernel that is nowhere negative, so it cannot ring. Where the light jumps from cell to cell,
it is told apart by the plate's lightness: a bilateral grid (Chen, Paris, Durand, "Real-time Edge-aware Image
Processing with the Bilateral Grid", SIGGRAPH 2007) holds one enlarged gain for each of a few levels of lightness, and
every pixel reads its own (joint bilateral upsampling; Kopf et al., SIGGRAPH 2007). Cells that the matte covers
partly are taken from fully covered ones nearby: what lies beyond the matte's edge has no say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from anyportal_core.method.channels import thrice
from anyportal_core.method.gain import extend
from anyportal_core.ops import ImageOps

LEVELS = 8
"""Of lightness that a jump of the light is told apart by."""

FINE = 4
"""Times as fine as the gain's own grid is what pixels are read from."""

STRIPE = 64
"""Rows of a picture that are worked on at a time."""

_SMOOTH = 0.5 * FINE  # the kernel's sigma; with the linear steps before and after it, about that of a cubic B-spline
_TINY = 1e-6
_FALLBACK = 1e-3  # of a cell's weight: where no cell nearby has a pixel's lightness, the smooth gain stands in
_STRICT = 64  # exponent: a cell covered by 95 % has a thirtieth of the say of a covered one beside it
_EVEN = 0.02  # a deviation of lightness within a cell: less is even
_SLOPE, _JUMP = 0.005, 0.015  # how far a cell's gain lies from the smooth one: that is a slope; that is an edge
_CELL_BLUR = 0.03  # of a cell: the guide's grain is finer


@dataclass(frozen=True)
class GainGrid:
    """A gain that is ready to be read at any pixel.

    Args:
        smooth: ``(FINE*h, FINE*w, 3)``.
        levels: one such gain for each level of lightness, below each other; None where the light does not jump.
    """

    smooth: Any
    levels: Any | None


def gain_guide(lightness: Any, grid: tuple[int, int], ops: ImageOps) -> Any:
    """A plate's lightness ``(H, W)`` 0..1 without its grain, to read a gain on a grid ``(h, w)`` by."""
    return ops.gaussian(lightness, _CELL_BLUR * lightness.shape[0] / grid[0])


def gain_grid(log_gain: Any, guide: Any, matte: Any, ops: ImageOps) -> GainGrid:
    """Prepare a coarse gain.

    Args:
        log_gain: ``(h, w, 3)``, logarithms.
        guide: ``(H, W)``, see `gain_guide`.
        matte: ``(H, W)`` 0..1.
    """
    xp = array_namespace(log_gain)
    height, width = log_gain.shape[:2]
    shade, cover = (ops.resize(plane, height, width, "area") for plane in (guide, matte))
    known = _inside(log_gain, cover, ops)
    smooth = _finer(known, ops)
    jumps = _jumps(known, smooth, cover, ops)
    if not bool(xp.any(jumps > 0)):
        return GainGrid(smooth, None)
    calm, jumps = _calm(guide, shade, ops), thrice(jumps[..., 0])
    levels = [smooth + (own - smooth) * jumps for own in _by_lightness(known, shade, calm, smooth, ops)]
    return GainGrid(smooth, xp.concat(levels, axis=0))


def read_gain(grid: GainGrid, guide: Any, place: tuple[int, int], size: tuple[int, int], ops: ImageOps) -> Any:
    """The gain's logarithm ``(h, w, 3)`` in a part of a picture.

    Args:
        guide: that part ``(h, w)`` of what the grid was prepared with.
        place: its first row and column.
        size: the whole picture's ``(H, W)``.
    """
    xp = array_namespace(guide)
    y, x = (_places(guide, axis, place[axis], size[axis], grid.smooth.shape[axis]) for axis in (0, 1))
    y, x = (xp.broadcast_to(v, guide.shape) for v in (y[:, None], x[None, :]))
    if grid.levels is None:
        return ops.remap(grid.smooth, x, y, "replicate")
    shade = guide.clip(0.0, 1.0) * (LEVELS - 1)
    below = xp.floor(shade).clip(0.0, LEVELS - 2.0)
    y = y + below * grid.smooth.shape[0]
    dark, bright = (ops.remap(grid.levels, x, v, "replicate") for v in (y, y + grid.smooth.shape[0]))
    return dark + (bright - dark) * thrice(shade - below)


def guided_gain(log_gain: Any, lightness: Any, matte: Any, ops: ImageOps) -> Any:
    """A coarse gain ``(h, w, 3)`` at the size of a plate of this ``lightness`` and ``matte``, both ``(H, W)``."""
    xp = array_namespace(log_gain)
    guide = gain_guide(lightness, log_gain.shape[:2], ops)
    grid = gain_grid(log_gain, guide, matte, ops)
    parts = (read_gain(grid, guide[rows], (rows.start, 0), guide.shape, ops) for rows in stripes(0, guide.shape[0]))
    return xp.concat(list(parts), axis=0)


def lightness(picture: Any) -> Any:
    """Of a display-referred picture ``(H, W, 3)``: ``(H, W)``."""
    return 0.2126 * picture[..., 0] + 0.7152 * picture[..., 1] + 0.0722 * picture[..., 2]


def stripes(top: int, bottom: int) -> Iterator[slice]:
    """A picture's rows, some at a time."""
    for start in range(top, bottom, STRIPE):
        yield slice(start, min(start + STRIPE, bottom))


def _places(guide: Any, axis: int, first: int, size: int, cells: int) -> Any:
    """Where the pixels of a part lie on the grid, along an axis; beyond its outer cells' centres, on those."""
    xp = array_namespace(guide)
    pixels = xp.astype(xp.arange(first, first + guide.shape[axis]), guide.dtype)
    return ((pixels + 0.5) * (cells / size) - 0.5).clip(0.0, cells - 1.0)


def _inside(log_gain: Any, cover: Any, ops: ImageOps) -> Any:
    """The gain as cells have it that are covered as far as any nearby, continued to the others."""
    xp = array_namespace(log_gain)
    most = ops.dilate(cover, 1)
    trust = xp.where(cover > 0, (cover / most.clip(_TINY, None)) ** _STRICT, xp.zeros_like(cover))
    return extend(log_gain, trust[..., None], ops)


def _finer(cells: Any, ops: ImageOps) -> Any:
    height, width = cells.shape[:2]
    return ops.gaussian(ops.resize(cells, FINE * height, FINE * width, "linear"), _SMOOTH)


def _jumps(cells: Any, smooth: Any, cover: Any, ops: ImageOps) -> Any:
    """Where the smooth gain does not do, ``(FINE*h, FINE*w, 1)``, 0..1: an edge of the light on the foreground."""
    xp = array_namespace(cells)
    height, width = cover.shape
    off = xp.max(xp.abs(ops.resize(smooth, height, width, "area") - cells), axis=-1)
    off = ((off - _SLOPE) / (_JUMP - _SLOPE)).clip(0.0, 1.0) * xp.astype(cover > 0, cells.dtype)
    # An edge lies between cells: those beside it are part of it.
    return _finer(ops.dilate(off, 2)[..., None], ops)


def _calm(guide: Any, shade: Any, ops: ImageOps) -> Any:
    """How far a cell ``(h, w)`` is of one lightness, next to the evenest beside it: those on an edge mix its sides."""
    xp = array_namespace(guide)
    height, width = shade.shape
    spread = ops.resize(guide * guide, height, width, "area") - shade * shade
    spread = xp.sqrt(spread.clip(0.0, None)) + _EVEN
    return (ops.erode(spread, 1) / spread) ** 4


def _by_lightness(cells: Any, shade: Any, calm: Any, smooth: Any, ops: ImageOps) -> Iterator[Any]:
    """For each level, the gain of the calm cells that are about as light, enlarged."""
    xp, fallback = array_namespace(cells), _FALLBACK * smooth
    for level in range(LEVELS):
        near = calm * (1.0 - xp.abs(shade * (LEVELS - 1) - level)).clip(0.0, None)
        weight, total = _finer(near[..., None], ops)[..., 0], _finer(thrice(near) * cells, ops)
        yield (total + fallback) / thrice(weight + _FALLBACK)
