"""Film and sensor grain: how much a picture has at each brightness, what it looks like, and the same made anew.

Grain is measured where a picture has nothing else: in its flattest blocks. What is left of such a block when a plane is
taken away is grain; its deviation over the brightness is the noise level function (Liu, Freeman, Szeliski and Kang,
"Noise estimation from a single image", CVPR 2006), its mean autocorrelation says how coarse it is, and the correlation
of its channels whether it is coloured. Everything here is about code values of a display or log curve, in which grain
is about equally strong at all brightnesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from anyportal_core.ops import ImageOps

Image = NDArray[np.float32]
Values = NDArray[np.float64]

BINS = 16
"""Of brightness, over 0..1."""

_BLOCK = 24
_MOST = 3000  # blocks of a picture: more tell no more
_REACH = 6  # pixels to which grain is taken to hang together
_LUMA = np.array([0.2126, 0.7152, 0.0722])
_FLAT = 2.0  # variances above that of a bin's flattest tenth, times this, are texture
_FEW = 6  # blocks below which a bin is left to its neighbours
_ENDS = (0.004, 0.985)  # brightness outside which code values are clipped, and grain with them
_STEADY = 1e-5  # deviation below which a picture has no grain: rounding of 16 bits


@dataclass(frozen=True)
class Grain:
    """What grain a picture has.

    Args:
        level: ``(BINS,)`` standard deviation of luma in code values 0..1, by brightness.
        kernel: ``(2 * reach + 1,) * 2``, the filter that makes it of white noise; its squares sum to 1.
        colour: ``(3, 3)``, from independent channels to R, G, B; with white noise of deviation 1, luma's is 1.
    """

    level: Values
    kernel: Values
    colour: Values

    @property
    def none(self) -> bool:
        """Whether there is next to none."""
        return bool(self.level.max() <= _STEADY)


NO_GRAIN = Grain(np.zeros(BINS), np.pad([[1.0]], _REACH), np.eye(3) / np.sqrt(np.sum(_LUMA**2)))


def measure_grain(pictures: Sequence[Image], weights: Sequence[Image]) -> Grain:
    """The grain that some frames of a clip have in common.

    Args:
        pictures: ``(H, W, 3)`` code values, 0..1.
        weights: ``(H, W)``, 0..1: blocks count that are 1 all over.
    """
    blocks = np.concatenate([_blocks(picture, weight) for picture, weight in zip(pictures, weights, strict=True)])
    if not len(blocks):
        return NO_GRAIN
    brightness = blocks.mean((1, 2)) @ _LUMA
    rest = _without_plane(blocks)
    inside = (brightness > _ENDS[0]) & (brightness < _ENDS[1])
    brightness, rest = brightness[inside], rest[inside]
    luma = rest @ _LUMA
    variance = luma.var((1, 2), ddof=3)
    bins = np.minimum((brightness * BINS).astype(int), BINS - 1)
    level, flat = _levels(variance, bins)
    if not flat.any() or level.max() <= _STEADY:
        return NO_GRAIN
    scale = np.maximum(level[bins[flat]], _STEADY)
    return Grain(level, _kernel(luma[flat] / scale[:, None, None]), _colour(rest[flat] / scale[:, None, None, None]))


def missing_level(wanted: Grain, present: Grain) -> Values:
    """The level ``(BINS,)`` of what has to be added where some grain is present already: variances add."""
    return np.sqrt(np.maximum(wanted.level**2 - present.level**2, 0.0))


def add_grain(picture: Image, grain: Grain, level: Values, noise: Image, ops: ImageOps) -> Image:
    """A picture ``(H, W, 3)`` in code values with grain of some ``level`` laid over it.

    Args:
        noise: white, deviation 1, ``(H, W, 3)``: the only source of chance.
    """
    shaped = ops.convolve(noise, grain.kernel.astype(np.float32))
    coloured = shaped @ grain.colour.T.astype(np.float32)
    luma = np.clip(picture @ _LUMA.astype(np.float32), 0, 1)
    centres = (np.arange(BINS) + 0.5) / BINS
    table = np.interp(np.linspace(0, 1, 1024), centres, level).astype(np.float32)
    coloured *= table[np.rint(luma * 1023).astype(np.int32)][..., None]
    coloured += picture
    return np.asarray(coloured, np.float32)


def _blocks(picture: Image, weight: Image) -> NDArray[np.float32]:
    """Blocks that count, ``(n, B, B, 3)``, half overlapping, at most ``_MOST`` of them from all over the picture."""
    if min(picture.shape[:2]) < _BLOCK:
        return np.empty((0, _BLOCK, _BLOCK, 3), np.float32)
    step = _BLOCK // 2
    cover = sliding_window_view(weight, (_BLOCK, _BLOCK))[::step, ::step].min((2, 3))
    rows, columns = np.nonzero(cover >= 1)
    chosen = np.unique(np.linspace(0, max(len(rows) - 1, 0), _MOST).astype(int))[: len(rows)]
    views = sliding_window_view(picture, (_BLOCK, _BLOCK), (0, 1))[rows[chosen] * step, columns[chosen] * step]
    return np.moveaxis(views, 1, -1)


def _without_plane(blocks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Blocks without the plane that fits each best."""
    y, x = np.mgrid[0:_BLOCK, 0:_BLOCK].reshape(2, -1) / (_BLOCK - 1) - 0.5
    basis, _ = np.linalg.qr(np.column_stack([np.ones_like(x), x, y]))
    flat = blocks.reshape(len(blocks), -1, 3).astype(np.float64)
    return (flat - basis @ (basis.T @ flat)).reshape(blocks.shape)


def _levels(variance: Values, bins: NDArray[np.intp]) -> tuple[Values, NDArray[np.bool_]]:
    """Deviation by brightness, and which blocks are flat enough to have told it."""
    level, flat = np.full(BINS, np.nan), np.zeros(len(variance), bool)
    for place in range(BINS):
        here = bins == place
        if here.sum() < _FEW:
            continue
        found = here & (variance <= _FLAT * np.quantile(variance[here], 0.1))
        if found.sum() < _FEW:
            continue
        level[place] = np.sqrt(np.median(variance[found]))
        flat |= found
    known = np.flatnonzero(~np.isnan(level))
    if not len(known):
        return np.zeros(BINS), flat
    return np.interp(np.arange(BINS), known, level[known]), flat


def _kernel(luma: Values) -> Values:
    """The zero-phase filter whose power spectrum is that of the blocks, ``(n, B, B)``."""
    size = 2 * _BLOCK
    spectrum = (np.abs(np.fft.fft2(luma, (size, size))) ** 2).mean(0)
    overlap = np.abs(np.fft.fft2(np.ones((_BLOCK, _BLOCK)), (size, size))) ** 2
    correlation = np.fft.ifft2(spectrum).real / np.maximum(np.fft.ifft2(overlap).real, 1)
    near = np.fft.fftshift(correlation)[_BLOCK - _REACH : _BLOCK + _REACH + 1, _BLOCK - _REACH : _BLOCK + _REACH + 1]
    window = np.sqrt(np.hanning(2 * _REACH + 3)[1:-1])
    wide = np.zeros((size, size))
    wide[: 2 * _REACH + 1, : 2 * _REACH + 1] = near * np.outer(window, window)
    power = np.maximum(np.fft.fft2(np.roll(wide, (-_REACH, -_REACH), (0, 1))).real, 0)
    filtered = np.roll(np.fft.ifft2(np.sqrt(power)).real, (_REACH, _REACH), (0, 1))
    kernel = filtered[: 2 * _REACH + 1, : 2 * _REACH + 1]
    return np.asarray(kernel / np.sqrt(np.sum(kernel**2)))


def _colour(rest: Values) -> Values:
    """From independent channels to those of the blocks ``(n, B, B, 3)``, luma's deviation 1."""
    covariance = np.cov(rest.reshape(-1, 3), rowvar=False) + 1e-9 * np.eye(3)
    covariance /= _LUMA @ covariance @ _LUMA
    return np.asarray(np.linalg.cholesky(covariance))
